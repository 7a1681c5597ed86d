"""Structures of one molecule lie upon each other whichever way they are turned and their equivalent atoms numbered."""

import ase
import numpy as np
import pytest
from ase.build import bulk, molecule

from so3lab.observables import overlaid


def ethanol(seed: int = 0) -> ase.Atoms:
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.02, seed=seed)
    return atoms


def test_turns_and_numbers_of_equivalent_atoms_do_not_matter():
    reference, other = ethanol(), ethanol(1)
    turned = other[[0, 1, 2, 3, 5, 4, 7, 8, 6]]
    turned.rotate(130, (1, 2, 3))
    turned.translate((4.0, -3.0, 1.0))
    found = overlaid(reference, [other, turned])
    assert found.rmsd[0] == pytest.approx(found.rmsd[1], abs=1e-8)
    np.testing.assert_allclose(found.structures[0].positions, found.structures[1].positions, atol=1e-8)
    assert found.rmsd[0] < 0.06
    away = found.structures[0].positions - reference.positions
    assert np.sqrt(np.mean(np.sum(away**2, axis=1))) == pytest.approx(found.rmsd[0])


def test_mirror_images_are_not_made():
    chiral = ase.Atoms("CHFClBr", [[0, 0, 0], [0.6, 0.6, 0.6], [0.8, -0.8, -0.8], [-1, 1, -1], [-1.1, -1.1, 1.1]])
    mirrored = chiral.copy()
    mirrored.positions[:, 0] *= -1
    assert overlaid(chiral, [chiral]).rmsd[0] < 1e-9
    assert overlaid(chiral, [mirrored]).rmsd[0] > 0.3


def test_cells_keep_their_numbers_and_other_atoms_are_refused():
    argon = bulk("Ar", cubic=True)
    moved = argon.copy()
    moved.rotate(30, "z")
    assert overlaid(argon, [moved]).rmsd[0] < 1e-9
    with pytest.raises(ValueError, match="must be of the same atoms, got CH4 as number 1"):
        overlaid(ethanol(), [ethanol(1), molecule("CH4")])
    broken = ethanol()[[2, 1, 0, 3, 4, 5, 6, 7, 8]]
    broken.positions[3] += 4.0
    with pytest.raises(ValueError, match="with other bonds must have their atoms in the same order"):
        overlaid(ethanol(), [broken])
