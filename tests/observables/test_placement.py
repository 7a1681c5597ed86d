"""Following a molecule: what moves it as a whole is taken out, what moves within it stays."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from scipy.spatial.transform import Rotation

from so3lab.observables import Molecules, followed


@pytest.fixture
def ethanol():
    return molecule("CH3CH2OH").positions


def moved(positions, seed: int = 0):
    rotation = Rotation.random(random_state=seed).as_matrix()
    return positions @ rotation + np.array([5.0, -3.0, 8.0]), rotation


def test_a_rigid_motion_is_undone_and_vectors_turn_along(ethanol):
    there, rotation = moved(ethanol)
    found = followed(there, ethanol)
    np.testing.assert_allclose(found.positions, ethanol, atol=1e-9)
    forces = np.random.default_rng(1).normal(size=ethanol.shape)
    np.testing.assert_allclose(forces @ rotation @ found.rotation, forces, atol=1e-9)


def test_mirror_images_are_not_laid_upon_each_other(ethanol):
    chiral = ethanol + np.random.default_rng(2).normal(0, 0.2, ethanol.shape)
    found = followed(chiral * [-1, 1, 1], chiral)
    assert np.linalg.det(found.rotation) == pytest.approx(1.0)
    assert np.abs(found.positions - chiral).max() > 0.1


@pytest.mark.parametrize("atoms", [[2], [0, 1], [0, 1, 2], [0, 1, 2, 5]])
def test_atoms_that_are_followed_stay_while_others_move(ethanol, atoms):
    others = np.setdiff1d(np.arange(len(ethanol)), atoms)
    bent = ethanol.copy()
    bent[others] += np.random.default_rng(3).normal(0, 0.3, (len(others), 3))
    there, _ = moved(bent)
    found = followed(there, ethanol, atoms)
    centre = found.positions[atoms].mean(axis=0)
    np.testing.assert_allclose(centre, ethanol[atoms].mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(found.positions[atoms], ethanol[atoms], atol=0.02)


def test_one_followed_atom_leaves_no_turn_open(ethanol):
    there, _ = moved(ethanol)
    np.testing.assert_allclose(followed(there, ethanol, [4]).positions, ethanol, atol=1e-9)


def test_a_cell_is_not_turned(ethanol):
    there, _ = moved(ethanol)
    found = followed(there, ethanol, [2], turn=False)
    np.testing.assert_array_equal(found.rotation, np.eye(3))
    np.testing.assert_allclose(found.positions[2], ethanol[2])


def test_a_position_that_is_no_number_is_refused(ethanol):
    with pytest.raises(ValueError, match="positions must be finite"):
        followed(np.full_like(ethanol, np.nan), ethanol)


@pytest.mark.parametrize("cell", [np.diag([6.0, 7.0, 8.0]), np.array([[6, 0, 0], [2, 7, 0], [-1, 3, 8.0]])])
def test_molecules_that_a_cell_cuts_are_put_together(cell, ethanol):
    both = np.concatenate([ethanol, ethanol + np.array([3.0, 3.0, 3.5])])
    numbers = [*molecule("CH3CH2OH").numbers] * 2
    atoms = Atoms(numbers, both, cell=cell, pbc=True)
    molecules = Molecules(atoms)
    assert molecules.number.tolist() == [0] * 9 + [1] * 9
    rng = np.random.default_rng(4)
    scattered = both + rng.integers(-2, 3, both.shape) @ cell
    whole = molecules.whole(scattered, cell)
    for part in (whole[:9], whole[9:]):
        np.testing.assert_allclose(part - part[0], ethanol - ethanol[0], atol=1e-9)
        inside = part.mean(axis=0) @ np.linalg.inv(cell)
        assert ((inside > -1e-6) & (inside < 1 + 1e-6)).all()
    images = (whole - scattered) @ np.linalg.inv(cell)
    np.testing.assert_allclose(images, np.round(images), atol=1e-9)


def test_wrapped_atoms_stand_within_the_cell():
    cell = np.diag([4.0, 5.0, 6.0])
    atoms = Atoms("H2", [[0, 0, 0], [9, -3, 2]], cell=cell, pbc=[True, True, False])
    np.testing.assert_allclose(Molecules(atoms).wrapped(atoms.positions, cell), [[0, 0, 0], [1, 2, 2]])
