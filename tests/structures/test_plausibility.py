"""What is right passes, whatever its elements; what cannot be is refused with a reason; empty boxes are found."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.collections import g2
from ase.data import chemical_symbols

from so3lab import datasets
from so3lab.structures import understand
from so3lab.structures.boxes import gaps, is_empty_box, without_box
from so3lab.structures.plausibility import check_no_overlap, check_plausible


def water_box(per_edge: int) -> Atoms:
    box = Atoms()
    for place in np.ndindex(per_edge, per_edge, per_edge):
        one = molecule("H2O")
        one.positions += 3.1 * np.array(place)
        box += one
    box.cell, box.pbc = [3.1 * per_edge] * 3, True
    return box


def test_molecules_of_the_g2_set_pass():
    for name in g2.names:
        understand(molecule(name))


def test_elements_as_crystals_pass():
    passed = 0
    for symbol in chemical_symbols[1:103]:
        try:
            crystal = bulk(symbol)
        except (ValueError, RuntimeError, NotImplementedError):
            continue  # ASE knows no simple crystal
        check_plausible(crystal)
        passed += 1
    assert passed > 60


RIGHT = {
    "rocksalt": bulk("NaCl", "rocksalt", a=5.64),
    "fluorite": bulk("UO2", "fluorite", a=5.47),
    "a slab": fcc111("Pt", (2, 2, 3), vacuum=8.0),
    "a water box": water_box(3),
    "a neon cluster": Atoms("Ne3", [[0, 0, 0], [3.1, 0, 0], [0, 3.1, 0]]),
    "a dimer of mercury": Atoms("Hg2", [[0, 0, 0], [0, 0, 3.7]]),
    "the shortest bond of chromium": Atoms("Cr2", [[0, 0, 0], [0, 0, 1.68]]),
    "H + H2": Atoms("H3", [[0, 0, 0], [0, 0, 0.93], [0, 0, 1.86]]),
    "a stretched H2": Atoms("H2", [[0, 0, 0], [0, 0, 3.0]]),
    "an SN2 transition state": Atoms(
        "CH3ClF", [[0, 0, 0], [1.07, 0, 0], [-0.535, 0.927, 0], [-0.535, -0.927, 0], [0, 0, 2.3], [0, 0, -1.8]]
    ),
    "FHF-": Atoms("FHF", [[0, 0, 0], [0, 0, 1.14], [0, 0, 2.28]]),
    "HeH+": Atoms("HeH", [[0, 0, 0], [0, 0, 0.77]]),
    "a proton": Atoms("H"),
    "hydrogens of X-ray diffraction": Atoms("OH2", [[0, 0, 0], [0.72, 0, 0], [-0.2, 0.7, 0]]),
    "dissociated CO2": Atoms("OCO", [[0, 0, 0], [5, 0, 0], [10, 0, 0]]),
    "a plane of benzene": molecule("C6H6"),
    "a carbon chain": Atoms("C5", [[0, 0, 1.29 * i] for i in range(5)]),
}


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_passes(name):
    check_plausible(RIGHT[name])


@pytest.mark.parametrize("name", ["ethanol", "ala2", "ala3"])
def test_bundled_frames_pass(name):
    data = datasets.load(name)
    for frame in range(0, len(data), 25):
        check_plausible(data[frame])


def test_public_frames_pass(shared):
    if not (shared / "public_data").is_dir():
        pytest.skip("needs the shared public data, which stand beside the repository in development only")
    files = sorted((shared / "public_data").glob("*.npz"))
    assert files
    for file in files:
        with np.load(file) as arrays:
            frames = arrays["R"][:: max(1, len(arrays["R"]) // 40)]
            numbers = arrays["z"]
        for positions in frames:
            check_plausible(Atoms(numbers, positions))


def scaled(factor: float) -> Atoms:
    atoms = molecule("CH3CH2OH")
    atoms.positions *= factor
    return atoms


def drawn() -> Atoms:
    from rdkit import Chem
    from rdkit.Chem import AllChem

    paper = Chem.AddHs(Chem.MolFromSmiles("CCO"))
    AllChem.Compute2DCoords(paper)
    return Atoms([atom.GetSymbol() for atom in paper.GetAtoms()], paper.GetConformer().GetPositions())


def overlapping() -> Atoms:
    both = molecule("CH3CH2OH")
    other = molecule("C6H6")
    other.positions += 0.3
    return both + other


def in_small_cell() -> Atoms:
    atoms = molecule("CH3CH2OH")
    atoms.cell, atoms.pbc = [1.0, 1.0, 1.0], True
    return atoms


def as_fractions() -> Atoms:
    atoms = water_box(2)
    atoms.positions = atoms.get_scaled_positions()
    return atoms


WRONG = [
    (scaled(1 / 0.529177), "look like bohr; multiply them by 0.529177", "Turbomole's coord"),
    (scaled(0.1), r"look like nm \(multiply them by 10\)", "Gromacs"),
    (scaled(100.0), "look like pm; multiply them by 0.01", "crystallographers"),
    (drawn(), "this is a drawing, not a geometry", "ChemDraw, RDKit's 2D coordinates"),
    (overlapping(), "do two molecules overlap", "docking without a check"),
    (in_small_cell(), r"the cell of 1 x 1 x 1 Å is too small.*--no-cell", "placeholders of other formats"),
    (as_fractions(), "look like fractions of the cell", "POSCAR read as Cartesian"),
]


@pytest.mark.parametrize(("atoms", "sentence", "source"), WRONG, ids=[source for *_, source in WRONG])
def test_what_cannot_be_is_refused_with_the_likely_reason(atoms, sentence, source):
    with pytest.raises(ValueError, match=sentence):
        understand(atoms)


def test_curves_of_energies_may_go_where_structures_may_not():
    near = Atoms("CO", [[0, 0, 0], [0, 0, 0.7]])
    check_no_overlap(near)
    with pytest.raises(ValueError, match=r"C0 and O1 are 0\.70 Å apart"):
        check_plausible(near)
    with pytest.raises(ValueError, match=r"C0 and O1 are 0\.10 Å apart"):
        check_no_overlap(Atoms("CO", [[0, 0, 0], [0, 0, 0.1]]))


@pytest.mark.parametrize("atoms", [Atoms("OX2", np.eye(3) * 2), Atoms("OH", [[0, 0, 0], [0, 0, np.inf]])])
def test_placeholders_and_infinities_are_refused(atoms):
    with pytest.raises(ValueError, match=r"placeholder X|finite numbers"):
        understand(atoms)


def boxed(edge: float, shift: float = 0.0) -> Atoms:
    atoms = molecule("CH3CH2OH")
    atoms.cell, atoms.pbc = [edge, edge, edge], True
    atoms.positions += shift
    atoms.wrap()
    return atoms


@pytest.mark.parametrize("edge", [60.0, 100.0, 999.9, 1e5])
@pytest.mark.parametrize("shift", [0.0, 30.0])
def test_a_molecule_in_an_empty_box_is_made_whole(edge, shift):
    found = understand(boxed(edge, shift))
    assert not found.atoms.pbc.any()
    whole = molecule("CH3CH2OH").get_all_distances()
    np.testing.assert_allclose(found.atoms.get_all_distances(), whole, atol=1e-9 * edge)


def test_smaller_boxes_slabs_and_liquids_keep_their_cell():
    for atoms in (boxed(20.0), fcc111("Pt", (2, 2, 3), vacuum=50.0, periodic=True), water_box(3)):
        assert not is_empty_box(atoms)
        assert understand(atoms).atoms.pbc.all()
    assert any("empty around a molecule" in note for note in understand(boxed(20.0)).notes)


def test_gaps_do_not_depend_on_where_a_box_begins():
    for shift in (0.0, 3.0, 11.0):
        np.testing.assert_allclose(gaps(boxed(30.0, shift)), gaps(boxed(30.0)))
    sheared = molecule("CH3CH2OH")
    sheared.cell, sheared.pbc = [[100, 0, 0], [50, 100, 0], [0, 30, 100]], True
    sheared.wrap()
    np.testing.assert_allclose(
        without_box(sheared).get_all_distances(), molecule("CH3CH2OH").get_all_distances(), atol=1e-9
    )


def test_a_person_may_say_that_there_is_no_cell():
    assert not understand(in_small_cell(), cell=False).atoms.pbc.any()


def test_what_was_understood_is_one_record():
    atoms = molecule("CH3CH2OH")
    atoms.info["charge"] = 0
    facts = understand(atoms).facts()
    assert facts["formula"] == "C2H6O"
    assert (facts["total_charge"], facts["total_charge_from"]) == (0, "charge")
    assert facts["unpaired_electrons_from"] is None
    assert facts["cell"] is None
    assert understand(atoms, charge=-1, multiplicity=2).charge == (-1, "charge")
    with pytest.raises(ValueError, match="C2H6O: multiplicity means 1 unpaired electrons"):
        understand(atoms, multiplicity=2)


def test_heavy_atoms_alone_are_said():
    """united atoms, and files in which hydrogens are hidden: C2O may be ethanol without its hydrogens."""
    ethanol = molecule("CH3CH2OH")
    assert any("hydrogens are probably missing" in note for note in understand(ethanol[ethanol.numbers > 1]).notes)
    for name in ("CO2", "C2F4", "CF4", "C2Cl4", "OCS", "CCl4"):
        assert understand(molecule(name)).notes == ()
