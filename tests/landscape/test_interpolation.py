"""Ends of a path lie as near as they can, and between them nothing clashes or breaks."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from so3lab.landscape.alignment import align
from so3lab.landscape.interpolation import clashing, interpolated
from so3lab.structures import from_smiles
from so3lab.structures.bonds import bonds


def butane(degrees):
    """With its dihedral at an angle; the carbons come first."""
    atoms = from_smiles("CCCC")
    near = [np.flatnonzero(atoms.get_distances(carbon, range(len(atoms))) < 1.3).tolist() for carbon in (2, 3)]
    atoms.set_dihedral(0, 1, 2, 3, degrees, indices=sorted({3, *near[0], *near[1]} - {2}))
    return atoms


@pytest.mark.parametrize("end", [65.0, 179.0, -150.0])
def test_a_chain_turns_evenly_and_keeps_its_bonds(end):
    first, last = butane(-60.0), butane(end)
    aligned = align(first, last)
    images = interpolated(first, aligned.positions, 9)
    pairs = bonds(first).T
    lengths = np.linalg.norm(images[:, pairs[0]] - images[:, pairs[1]], axis=2)
    np.testing.assert_allclose(lengths, np.broadcast_to(lengths[0], lengths.shape), rtol=0.03)
    assert not clashing(images, first.numbers)
    turns = [Atoms(first.numbers, image).get_dihedral(0, 1, 2, 3) for image in images]
    steps = (np.diff(turns) + 180) % 360 - 180
    np.testing.assert_allclose(steps, steps.mean(), atol=3.0)


def test_atoms_that_trade_places_go_around_each_other():
    first = Atoms("ArKr2", [[0, 0, 0], [2.0, 0, 0], [0, 5, 0]])
    swapped = first.positions[[1, 0, 2]]
    images = interpolated(first, swapped, 7)
    apart = np.linalg.norm(images[:, 0] - images[:, 1], axis=1)
    assert apart.min() > 1.4  # halfway along straight lines they would meet
    assert clashing(np.linspace(first.positions, swapped, 7), first.numbers)


def test_an_atom_that_leaves_a_cell_goes_the_short_way():
    first = bulk("Cu", cubic=True) * (2, 2, 2)
    del first[0]
    hop = first.copy()
    jumper = int(np.argmin(np.linalg.norm(first.positions - np.array([1.8, 1.8, 0]), axis=1)))
    hop.positions[jumper] = [0, 0, 0]
    hop.positions += [0.0, 0.0, -0.4]
    hop.wrap()
    shuffled = hop[np.random.default_rng(1).permutation(len(hop))]
    aligned = align(first, shuffled)
    moved = np.linalg.norm(aligned.positions - first.positions, axis=1)
    assert np.sort(moved)[-1] == pytest.approx(2.55, abs=0.1)  # the jump, and nobody else's
    assert np.sort(moved)[-2] < 0.2
    images = interpolated(first, aligned.positions, 5)
    assert np.linalg.norm(np.diff(images, axis=0), axis=2).max() < 1.2
    np.testing.assert_array_equal(images[-1], aligned.positions)


def test_hydrogens_of_a_methyl_group_are_renumbered_and_others_are_not():
    first = molecule("CH3OH")
    numbering = [0, 1, 2, 4, 5, 3]
    other = first[numbering]
    other.rotate(80, (0, 1, 1))
    aligned = align(first, other)
    assert aligned.rmsd < 1e-6
    np.testing.assert_array_equal(other.numbers[aligned.partners], first.numbers)
    np.testing.assert_allclose(aligned.positions, first.positions, atol=1e-6)
