"""Geometry along a trajectory agrees with ASE and MDAnalysis, and does not care how molecules are turned."""

import ase
import MDAnalysis
import numpy as np
import pytest
from ase.build import molecule
from MDAnalysis.analysis.rms import rmsd as their_rmsd
from scipy.spatial.transform import Rotation

from so3lab import observables, units
from so3lab.labels import reference_sets
from so3lab.structures import from_smiles, read_structure

SKEWED = np.array([[9.0, 0.0, 0.0], [4.0, 8.5, 0.0], [-3.0, 3.5, 9.5]])


@pytest.fixture
def frames() -> np.ndarray:
    """Thirty shaken ethanols."""
    rest = molecule("CH3CH2OH").positions
    return rest + np.random.default_rng(0).normal(0, 0.15, (30, *rest.shape))


def turned(frames: np.ndarray, seed: int = 1) -> np.ndarray:
    """Every frame rotated and moved by itself."""
    random = np.random.default_rng(seed)
    matrices = Rotation.random(len(frames), random).as_matrix()
    return np.einsum("fxy,fay->fax", matrices, frames) + random.normal(0, 5, (len(frames), 1, 3))


def test_internal_coordinates_are_those_of_ase(frames):
    names = {"CO": (1, 2), "CCO": (0, 1, 2), "CCOH": (0, 1, 2, 3)}
    time_fs = 2.0 * np.arange(30)
    table = observables.internal_coordinates(frames, names, time_fs)
    assert list(table) == ["time_fs", "CO_A", "CCO_deg", "CCOH_deg"]
    for row, positions in zip(table.itertuples(), frames, strict=True):
        atoms = ase.Atoms("C2OH6", positions)
        assert atoms.get_distance(1, 2) == pytest.approx(row.CO_A)
        assert row.CCO_deg == pytest.approx(atoms.get_angle(0, 1, 2))
        assert row.CCOH_deg % 360 == pytest.approx(atoms.get_dihedral(0, 1, 2, 3))
    dihedral = observables.dihedral_degrees(frames, (0, 1, 2, 3))
    np.testing.assert_array_equal(table["CCOH_deg"], dihedral)


def test_dihedrals_have_the_sign_of_iupac():
    """Seen along +z, with x to the right, y points down: from x towards y is clockwise, thus positive."""
    angle = np.radians(60.0)
    chain = np.array([[1.0, 0, 0], [0, 0, 0], [0, 0, 1], [np.cos(angle), np.sin(angle), 1]])[None]
    atoms = {"turn": (0, 1, 2, 3)}
    assert observables.internal_coordinates(chain, atoms)["turn_deg"].item() == pytest.approx(60.0)
    mirrored = chain * [1, -1, 1]
    assert observables.internal_coordinates(mirrored, atoms)["turn_deg"].item() == pytest.approx(-60.0)


def test_internal_coordinates_cross_the_faces_of_a_skewed_cell(frames):
    names = {"d": (0, 2), "a": (0, 1, 2), "t": (3, 2, 1, 0)}
    free = observables.internal_coordinates(frames, names)
    images = np.random.default_rng(2).integers(-2, 3, frames.shape)
    for cell in (SKEWED, np.tile(SKEWED, (30, 1, 1)) * np.linspace(1.0, 1.1, 30)[:, None, None]):
        wrapped = frames + images @ cell
        np.testing.assert_allclose(observables.internal_coordinates(wrapped, names, cell=cell), free, atol=1e-9)
    slab = SKEWED * [[1], [1], [0]]
    only_two = frames + (images * [1, 1, 0]) @ SKEWED
    np.testing.assert_allclose(observables.internal_coordinates(only_two, names, cell=slab), free, atol=1e-9)


def test_minimum_image_is_the_shortest_of_many():
    random = np.random.default_rng(4)
    vectors = random.uniform(-30, 30, (1, 200, 3))
    images = np.stack(np.meshgrid(*[np.arange(-9, 10)] * 3), axis=-1).reshape(-1, 3) @ SKEWED
    shortest = np.linalg.norm(vectors[0, :, None] + images, axis=-1).min(axis=1)
    found = observables.minimum_image(vectors, SKEWED)
    np.testing.assert_allclose(np.linalg.norm(found[0], axis=-1), shortest, atol=1e-9)


@pytest.mark.parametrize(
    ("atoms", "message"),
    [
        ((0,), r"'x' must name two, three or four different atoms, got \(0,\)"),
        ((0, 1, 1), "different atoms"),
        ((0, 9), r"'x' must name atoms 0 to 8, got \(0, 9\)"),
        ((-1, 0), "0 to 8"),
    ],
)
def test_internal_coordinates_refuse_wrong_atoms(frames, atoms, message):
    with pytest.raises(ValueError, match=message):
        observables.internal_coordinates(frames, {"x": atoms})


def test_rmsd_sees_no_rotation_but_sees_reflection(frames):
    reference, time_fs = frames[0], np.arange(30.0)
    copies = turned(np.repeat(reference[None], 30, axis=0))
    np.testing.assert_allclose(observables.rmsd(copies, reference, time_fs)["rmsd_A"], 0.0, atol=1e-7)
    mirrored = observables.rmsd(-copies, reference, time_fs)["rmsd_A"]
    assert mirrored.min() > 0.1
    assert mirrored.std() < 1e-6
    assert observables.rmsd(copies, reference, time_fs, align=False)["rmsd_A"].min() > 0.5


@pytest.mark.parametrize("weighted", [False, True])
def test_rmsd_is_that_of_mdanalysis(frames, weighted):
    masses = molecule("CH3CH2OH").get_masses() if weighted else None
    table = observables.rmsd(turned(frames), frames[3], np.arange(30.0), masses=masses)
    theirs = [their_rmsd(frame, frames[3], masses, superposition=True) for frame in frames]
    np.testing.assert_allclose(table["rmsd_A"], theirs, atol=1e-6)


def test_a_planar_molecule_is_superposed_too():
    flat = molecule("C6H6").positions
    placed = observables.superpose(turned(np.repeat(flat[None], 5, axis=0)), flat)
    np.testing.assert_allclose(placed, np.repeat(flat[None], 5, axis=0), atol=1e-7)


def test_rmsf_is_how_much_atoms_shake_however_frames_are_turned():
    random = np.random.default_rng(5)
    rest = random.uniform(-8, 8, (50, 3))
    widths = np.where(np.arange(50) < 5, 0.4, 0.1)
    frames = rest + widths[:, None] * random.normal(size=(4000, 50, 3))
    symbols = ["O"] * 5 + ["C"] * 45
    table = observables.rmsf(turned(frames), symbols)
    np.testing.assert_allclose(table["rmsf_A"], np.sqrt(3) * widths, rtol=0.08)
    np.testing.assert_allclose(table["rmsf_A"], observables.rmsf(frames, symbols)["rmsf_A"], rtol=1e-4)
    assert table["element"].tolist() == symbols
    with pytest.raises(ValueError, match="symbols must name 50 atoms, got 2"):
        observables.rmsf(frames, ["C", "O"])


def test_alignment_refuses_nan_and_senseless_weights(frames):
    with pytest.raises(ValueError, match="weights must not be negative and not all zero"):
        observables.superpose(frames, frames[0], np.zeros(9))
    frames[7, 2, 1] = np.nan
    with pytest.raises(ValueError, match="positions must be finite, frame 7 is not"):
        observables.rmsd(frames, frames[0], np.arange(30.0))


def test_radius_of_gyration_is_that_of_mdanalysis(frames):
    masses = molecule("CH3CH2OH").get_masses()
    universe = MDAnalysis.Universe.empty(9, trajectory=True)
    universe.add_TopologyAttr("masses", masses)
    universe.load_new(frames)
    theirs = [universe.atoms.radius_of_gyration() for _ in universe.trajectory]
    time_fs = np.arange(float(len(frames)))
    ours = observables.radius_of_gyration(turned(frames), masses, time_fs)
    np.testing.assert_allclose(ours["radius_of_gyration_A"], theirs, rtol=1e-5)
    with pytest.raises(ValueError, match="masses must be positive"):
        observables.radius_of_gyration(frames, np.zeros(9), time_fs)


def test_end_to_end_distance_and_its_nearest_image():
    positions = np.zeros((2, 3, 3))
    positions[:, 2] = [[3.0, 4.0, 0.0], [9.0, 0.0, 0.0]]
    time_fs, column = np.array([0.0, 10.0]), "end_to_end_distance_A"
    np.testing.assert_allclose(observables.end_to_end_distance(positions, 0, 2, time_fs)[column], [5.0, 9.0])
    inside = observables.end_to_end_distance(positions, 0, 2, time_fs, np.diag([10.0, 20.0, 20.0]))
    np.testing.assert_allclose(inside[column], [5.0, 1.0])
    assert inside["time_fs"].tolist() == [0, 10]
    with pytest.raises(ValueError, match="last must be an atom from 0 to 2, got 3"):
        observables.end_to_end_distance(positions, 0, 3, time_fs)


@pytest.mark.parametrize(("name", "residues"), [("ala2", 1), ("ala3", 3)])
def test_backbone_is_found_in_the_bundled_peptides(name, residues):
    found = observables.backbone_torsions(read_structure(name))
    assert found == [reference_sets.backbone(residue) for residue in range(residues)]


@pytest.mark.parametrize("seed", range(5))
def test_backbone_runs_from_the_n_terminus_whatever_the_order_of_atoms(seed):
    atoms = read_structure("ala3")
    order = np.random.default_rng(seed).permutation(len(atoms))
    shuffled = observables.backbone_torsions(atoms[order])
    back = [tuple(tuple(int(order[i]) for i in torsion) for torsion in residue) for residue in shuffled]
    assert back == [reference_sets.backbone(residue) for residue in range(3)]


def test_backbone_of_proline_of_a_ring_and_of_no_peptide():
    assert len(observables.backbone_torsions(from_smiles("CC(=O)N1CCC[C@H]1C(=O)NC"))) == 1
    assert len(observables.backbone_torsions(from_smiles("C1NC(=O)CNC(=O)CNC(=O)CNC1=O"))) == 4
    with pytest.raises(ValueError, match="must hold a residue between two amide groups, C2H6O has none"):
        observables.backbone_torsions(molecule("CH3CH2OH"))


def test_free_energy_of_a_known_distribution():
    """Samples of exp(-V / kT) with V = a cos φ + b cos(ψ - 40°) give back V up to a constant."""
    random = np.random.default_rng(6)
    temperature_K, a, b = 300.0, 0.03, -0.02
    kT = units.kB * temperature_K
    phi = np.degrees(random.vonmises(np.pi, a / kT, 400_000))
    psi = np.degrees(random.vonmises(np.radians(40.0), -b / kT, 400_000))
    table = observables.ramachandran(phi, psi + 360.0, temperature_K, bins=18)
    potential = a * np.cos(np.radians(table["phi_deg"])) + b * np.cos(np.radians(table["psi_deg"] - 40.0))
    seen = table["probability"] > 4e-4
    assert seen.sum() > 150
    difference = (table["free_energy_eV"] - potential)[seen]
    assert (difference - difference.mean()).abs().max() < 0.25 * kT
    assert (difference - difference.mean()).std() < 0.06 * kT
    assert table["probability"].sum() == pytest.approx(1.0)


def test_free_energy_of_two_squares_is_exact_and_nan_elsewhere():
    phi, psi = np.array([[-62.0, -65.0, -300.0 + 235.0], [55.0, 55.0, 55.0]]), np.full((2, 3), 179.9)
    phi[1, 1:], psi[0, 0] = -61.0, -180.1
    table = observables.ramachandran(phi, psi, 500.0)
    assert len(table) == 36 * 36
    lowest = table.loc[table["free_energy_eV"].idxmin()]
    assert (lowest["phi_deg"], lowest["psi_deg"]) == (-65.0, 175.0)
    seen = table.dropna()
    rare = -units.kB * 500.0 * np.log(1 / 5)
    np.testing.assert_allclose(np.sort(seen["free_energy_eV"])[::-1], [rare, 0.0])
    np.testing.assert_allclose(seen["free_energy_kcal_mol"], seen["free_energy_eV"] * 23.0605, rtol=1e-4)
    with pytest.raises(ValueError, match="temperature_K must be positive, got 0"):
        observables.ramachandran(phi, psi, 0)
    with pytest.raises(ValueError, match="must hold finite angles"):
        observables.ramachandran(np.array([np.nan]), np.array([0.0]), 300.0)
