"""What lies far from the rest is asked about, and what is usual is not."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.collections import g2

from so3lab.structures import understand
from so3lab.structures.loose_parts import loose_parts


def moved(atom, step):
    atoms = molecule("CH3CH2OH")
    atoms.positions[atom] += step
    return atoms


def scaled(atoms, factor):
    result = atoms.copy()
    result.set_cell(factor * result.cell[:], scale_atoms=False)
    result.positions *= factor
    return result


@pytest.mark.parametrize(
    ("atoms", "sentence", "source"),
    [
        (moved(8, [10, 0, 0]), "H8 without a neighbour at the distance of a bond", "a slipped decimal point"),
        (moved(3, [0, 105, 0]), "2 parts of 8 and 1 atoms lie apart, 104 Å", "a missing decimal point"),
        (moved(slice(0, 1), [20, 0, 0]), "without a neighbour", "a molecule wrapped into a cell that is lost"),
        (molecule("H2O") + moved(slice(None), [60, 0, 0]), "2 parts of 9 and 3 atoms", "nothing between them"),
        (scaled(molecule("N2"), 1.89), "no atom has a neighbour at the distance of a bond", "bohr"),
        (scaled(bulk("Cu", cubic=True), 1.89), "no atom has a neighbour at the distance of a bond", "bohr, a crystal"),
    ],
)
def test_what_lies_apart_is_asked_about(atoms, sentence, source):
    assert any(sentence in note for note in understand(atoms).notes), source


@pytest.mark.parametrize(
    "atoms",
    [
        bulk("NaCl", "rocksalt", a=5.64), fcc111("Pt", (2, 2, 3), vacuum=8.0), bulk("Ar"), Atoms("O"),
        Atoms("Ar2", [[0, 0, 0], [0, 0, 9]]), Atoms("OH2Cl", [*molecule("H2O").positions, [0, 0, 3.2]]),
    ],
)  # fmt: skip
def test_what_is_usual_is_not(atoms):
    assert loose_parts(atoms) == []


def test_molecules_of_the_g2_set_hang_together():
    assert [name for name in g2.names if loose_parts(molecule(name))] == []


def test_numbers_beyond_a_millimetre_are_refused_before_a_search():
    """A search for neighbours overflows there, which ends the process."""
    for atoms in (scaled(bulk("NaCl", "rocksalt", a=5.64), 1e10), Atoms("O", [[0, 0, 1e9]])):
        with pytest.raises(ValueError, match=r"must be in Å and below 1e\+07"):
            understand(atoms)


def test_fractions_without_a_cell_and_lost_coordinates_are_named():
    small = molecule("CH3CH2OH")
    small.positions = (small.positions + 3.0) / 8.0
    with pytest.raises(ValueError, match="or like fractions of a cell that is missing"):
        understand(small)
    flat = molecule("CH3CH2OH")
    flat.positions *= np.array([1.0, 1.0, 0.0])
    with pytest.raises(ValueError, match="all atoms lie in one plane: is a coordinate lost"):
        understand(flat)


def test_rings_without_hydrogens_are_said():
    ring = [[1.45 * np.cos(a), 1.45 * np.sin(a), 0.25 * (-1) ** k] for k, a in enumerate(np.arange(6) * np.pi / 3)]
    assert any("hydrogens are probably missing" in note for note in understand(Atoms("C6", ring)).notes)
