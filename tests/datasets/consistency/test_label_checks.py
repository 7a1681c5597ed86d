"""Labels that contradict each other are refused or warned of, and labels that are right are left alone."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from label_remarks import refused, remarks_on
from labelled_springs import as_dataset, crystal, springs

from so3lab import datasets
from so3lab.datasets.consistency.energy_against_forces import agreement, pairs_of_frames
from so3lab.datasets.sanity_checks import check_units_and_geometry
from so3lab.units import bohr as BOHR
from so3lab.units import hartree as HARTREE
from so3lab.units import kcal_per_mol as KCAL_PER_MOL


@pytest.mark.parametrize("frames", [1, 2, 5, 40, 500])
def test_right_labels_are_left_alone(frames):
    assert remarks_on(as_dataset(**springs(frames=frames))) == ()


@pytest.mark.parametrize("name", ["H2O", "CH4", "N2", "C6H6", "CH3"])
def test_right_labels_of_other_molecules_are_left_alone(name):
    assert remarks_on(as_dataset(**springs(name))) == ()


def test_cells_are_compared_by_nearest_images():
    assert remarks_on(crystal()) == ()
    assert agreement(pairs_of_frames(crystal())).slope == pytest.approx(1.0, abs=1e-6)
    refused(replace(crystal(), forces=tuple(-f for f in crystal().forces)), "wrong sign")


def test_turned_and_moved_molecules_are_compared_as_they_are():
    arrays, rng = springs(), np.random.default_rng(1)
    turns = np.linalg.qr(rng.normal(size=(40, 3, 3)))[0]
    turns *= np.linalg.det(turns)[:, None, None]
    arrays["positions"] = arrays["positions"] @ turns + rng.normal(size=(40, 1, 3))
    arrays["forces"] = arrays["forces"] @ turns
    found = agreement(pairs_of_frames(as_dataset(**arrays)))
    assert found.frames > 20
    assert found.slope == pytest.approx(1.0, abs=0.05)
    assert remarks_on(as_dataset(**arrays)) == ()


@pytest.mark.parametrize("frames", [8, 40, 500])
@pytest.mark.parametrize(
    ("energy", "force", "sentence"),
    [
        (1.0, -1.0, "wrong sign: they are gradients"),
        (-1.0, 1.0, "wrong sign"),
        (1 / HARTREE, 1.0, r"energies in hartree beside forces in eV/angstrom"),
        (1 / KCAL_PER_MOL, 1.0, "energies in kcal/mol beside forces in eV/angstrom"),
        (1.0, BOHR / HARTREE, "like forces in hartree/bohr, and were read as eV/angstrom"),
        (1.0, 1 / KCAL_PER_MOL, "like forces in kcal/mol/angstrom, and were read as eV"),
        (1000.0, 1.0, "energies in meV beside forces in eV/angstrom"),
    ],
)
def test_signs_and_units_that_do_not_go_together_are_refused(frames, energy, force, sentence):
    arrays = springs(frames=frames)
    refused(
        as_dataset(**arrays | {"energies": energy * arrays["energies"], "forces": force * arrays["forces"]}), sentence
    )


@pytest.mark.parametrize("factor", [BOHR, 1 / BOHR])
def test_bohr_in_forces_alone_is_refused_where_energies_say_the_same_and_warned_of_where_few_do(factor):
    unit = "eV/bohr, and were" if factor == BOHR else "eV/angstrom, and were read as eV/bohr"
    for frames in (8, 40):
        arrays = springs(frames=frames, spread=0.04)
        dataset = as_dataset(**arrays | {"forces": arrays["forces"] * factor})
        if factor != BOHR:
            dataset = replace(dataset, meta={"force_unit_read": "eV/bohr"})
        if frames == 40:
            refused(dataset, f"energies change by .* times what the forces say; they are like forces in .*{unit}")
        else:
            assert any("like forces in" in remark and unit in remark for remark in remarks_on(dataset))


def scan(lengths, at_rest, depth, steepness, elements=7):
    """Two atoms of Morse's potential."""
    stretched = np.exp(-steepness * (np.asarray(lengths) - at_rest))
    pushes = -2.0 * depth * steepness * (1.0 - stretched) * stretched
    forces = np.zeros((len(lengths), 2, 3))
    forces[:, 1, 2], forces[:, 0, 2] = pushes, -pushes
    positions = np.zeros_like(forces)
    positions[:, 1, 2] = lengths
    return as_dataset(
        numbers=np.full(2, elements), positions=positions, energies=depth * (1.0 - stretched) ** 2, forces=forces
    )


@pytest.mark.parametrize(
    ("lengths", "bond"),
    [
        ((0.38, 0.50), (0.74, 4.75, 1.94, 1)),
        ((0.40, 1.20), (0.74, 4.75, 1.94, 1)),
        ((0.80, 1.00), (1.10, 9.9, 2.69, 7)),
        ((0.85, 1.05), (1.10, 9.9, 2.69, 7)),
        ((0.85, 1.61), (1.10, 9.9, 2.69, 7)),
        ((1.38, 1.62), (1.10, 9.9, 2.69, 7)),
        ((1.05, 1.15), (1.10, 9.9, 2.69, 7)),
    ],
)
@pytest.mark.parametrize("frames", [10, 40])
def test_compressed_and_torn_bonds_are_no_springs(lengths, bond, frames):
    """Scans of H2 and N2: far inside their length at rest bonds are many times stiffer, far outside they let go."""
    dataset = scan(np.linspace(*lengths, frames), *bond)
    check_units_and_geometry(dataset)
    assert remarks_on(dataset) == ()


def test_torn_bonds_are_no_bohr():
    check_units_and_geometry(scan(np.linspace(1.4, 3.5, 12), 0.74, 4.75, 1.94, 1))
    with pytest.raises(ValueError, match="positions are probably in bohr"):
        check_units_and_geometry(scan(np.linspace(0.68, 0.8, 12) / BOHR, 0.74, 4.75, 1.94, 1))


def test_forces_in_kcal_are_large_where_bonds_are_at_rest():
    dataset = scan(np.linspace(0.95, 1.25, 20), 1.10, 9.9, 2.69)
    check_units_and_geometry(dataset)
    with pytest.raises(ValueError, match=r"have an rms of .*; check energy_unit and length_unit"):
        check_units_and_geometry(replace(dataset, forces=tuple(f / KCAL_PER_MOL for f in dataset.forces)))


@pytest.mark.parametrize("steepness", [3.0, 5.0, 8.0])
def test_energies_of_steep_walls_follow_forces_between_neighbours(steepness):
    """Between far points of an exponential wall, as of compressed HI by GFN2-xTB, the mean force says too much."""
    lengths = np.linspace(1.0, 1.6, 30)
    forces = np.zeros((30, 2, 3))
    forces[:, 1, 2] = 20.0 * np.exp(-steepness * (lengths - 1.0))
    forces[:, 0, 2] = -forces[:, 1, 2]
    positions = np.zeros_like(forces)
    positions[:, 1, 2] = lengths
    energies = forces[:, 1, 2] / steepness
    arrays = {"numbers": np.array([53, 1]), "positions": positions, "forces": forces}
    assert remarks_on(as_dataset(**arrays, energies=energies)) == ()
    refused(as_dataset(**arrays, energies=energies / HARTREE), r"energies change by 0\.0\d+ times what the forces say")


def test_bonds_of_phosphorus_to_hydrogen_are_softer_than_the_rule():
    """Of PH3 and SiH4 by GFN2-xTB they have 0.56 and 0.68 times its stiffness, in eV/Å."""
    arrays = springs("PH3")
    arrays["energies"] = arrays["energies"][0] + 0.6 * (arrays["energies"] - arrays["energies"][0])
    assert remarks_on(as_dataset(**arrays | {"forces": 0.6 * arrays["forces"]})) == ()


@pytest.mark.parametrize("rest", [(1.40, 1.40), (1.30, 1.50)])
def test_geometries_that_another_method_relaxed_are_left_alone(rest):
    """Short and long bonds of a chain are no elongations: MMFF geometries of polyenes with labels of GFN2-xTB."""
    frames = [chain(*rest, seed) for seed in range(12)]
    positions, forces = (np.stack([frame[part] for frame in frames]) for part in (0, 1))
    energies = -200.0 + 0.3 * np.random.default_rng(0).normal(size=12)  # of conformers
    dataset = as_dataset(numbers=np.full(10, 6), positions=positions, energies=energies, forces=forces)
    assert remarks_on(dataset) == ()
    assert len(dataset.untold) == 2


def chain(double, single, seed):
    """Positions of a carbon chain with bonds of 1.34 and 1.46 Å, and forces that pull them to other lengths."""
    lengths = np.where(np.arange(9) % 2, 1.46, 1.34) + 0.002 * np.random.default_rng(seed).normal(size=9)
    steps = np.stack([lengths * 0.87, np.where(np.arange(9) % 2, -0.5, 0.5) * lengths, np.zeros(9)], axis=1)
    positions = np.concatenate([np.zeros((1, 3)), np.cumsum(steps, axis=0)])
    pulls = -40.0 * (lengths - np.where(np.arange(9) % 2, single, double))[:, None] * steps / lengths[:, None]
    forces = np.zeros((10, 3))
    forces[1:] += pulls
    forces[:-1] -= pulls
    return positions, forces


def test_what_could_not_be_told_is_kept_and_is_no_doubt():
    two, copper = as_dataset(**springs(frames=2)), crystal(frames=2)
    for dataset, untold in ((two, 1), (copper, 2), (as_dataset(**springs()), 0), (crystal(), 0)):
        assert remarks_on(dataset) == ()
        assert len(dataset.untold) == untold
    assert "energies and forces go together, in sign and unit, could not be told from 2 frames" in two.untold[0]
    assert two.select([0]).untold == two.untold


@pytest.mark.parametrize("frames", [1, 3])
def test_bonds_tell_the_sign_of_forces_of_single_frames(frames):
    arrays = springs("C6H6", frames=frames)
    refused(as_dataset(**arrays | {"forces": -arrays["forces"]}), "push them further apart .* multiply them by -1")


def test_single_atoms_and_relaxed_frames_are_left_alone():
    atom = datasets.Dataset("atom", [np.array([8])], [np.zeros((1, 3))], np.array([-2042.0]), [np.zeros((1, 3))])
    assert remarks_on(atom) == ()
    arrays = springs(spread=3e-4)
    rounded = np.round(arrays["forces"], 2)
    assert (rounded == 0.0).all(axis=2).any()
    assert not any("exactly zero" in remark for remark in remarks_on(as_dataset(**arrays | {"forces": rounded})))


def test_a_set_and_its_parts_are_asked_once():
    arrays = springs()
    forces = arrays["forces"].copy()
    forces[3] += 0.2
    dataset = as_dataset(**arrays | {"forces": forces})
    remarks = remarks_on(dataset)
    part = dataset.select([3, 4])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert datasets.check_labels(part) == datasets.check_labels(dataset) == remarks
    assert replace(dataset, forces=arrays["forces"]).remarks is None


def test_who_knows_better_may_go_on():
    arrays = springs()
    dataset = as_dataset(**arrays | {"forces": -arrays["forces"]})
    with pytest.warns(datasets.LabelWarning, match="wrong sign"):
        datasets.check_labels(dataset, refuse=False)
    assert len(datasets.check_labels(dataset)) == 1


@pytest.mark.parametrize("name", ["ethanol", "ala2", "ala3"])
def test_bundled_sets_are_right(name):
    assert datasets.load(name).remarks == ()


@pytest.mark.parametrize("name", ["ethanol_pbe_rmd17", "aspirin_pbe_rmd17", "acac_pbe_d3", "md22_ala3_5frames"])
def test_public_sets_are_right_and_their_gradients_are_not(shared, name):
    dataset = datasets.load(shared / "public_data" / f"{name}.npz", energy_unit="eV")
    assert dataset.remarks == ()
    assert dataset.untold == ()
    refused(replace(dataset, forces=tuple(-f for f in dataset.forces)), "wrong sign")


def test_radicals_and_closed_shells_of_the_same_atoms_are_not_compared():
    arrays = springs("CH2_s3B1d")
    both = as_dataset(**{k: v if k == "numbers" else np.concatenate([v, v]) for k, v in arrays.items()},
                      unpaired_electrons=np.repeat([2.0, 0.0], 40))  # fmt: skip
    both = replace(both, energies=both.energies + np.repeat([0.0, 3.0], 40))
    assert remarks_on(both) == ()
