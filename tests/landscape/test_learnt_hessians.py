"""The Hessian of a molecule on its way lives in internal coordinates, and steps follow them."""

import numpy as np
import pytest
from ase.build import molecule

from so3lab.landscape.learnt_hessians import CartesianHessian, InternalHessian, learnt_hessian, updated
from so3lab.minimize.assembly import Assembly
from so3lab.minimize.changes import bonds_at_start
from so3lab.minimize.coordinates import internal_coordinates
from so3lab.minimize.freedom import Freedom
from so3lab.minimize.wilson import difference, values, values_and_rows
from so3lab.pretrained import random_cluster

ETHANOL = molecule("CH3CH2OH")
COORDINATES = internal_coordinates(ETHANOL.numbers, ETHANOL.positions, bonds_at_start(ETHANOL))


class Springs:
    """Energy that is a sum of squares of the changes of internal coordinates, so that its Hessian is known in them."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.constants = rng.uniform(1.0, 5.0, COORDINATES.size)
        self.assembly = Assembly(COORDINATES)
        self.rest = values(COORDINATES, column(ETHANOL.positions)) + rng.normal(0, 0.05, (COORDINATES.size, 1))

    def gradient(self, positions):
        q, rows = values_and_rows(COORDINATES, column(positions))
        pulls = self.constants[:, None] * difference(COORDINATES, q, self.rest)
        return self.assembly.to_cartesian(rows, pulls)[:, 0]

    def hessian(self, positions, step=1e-5):
        columns = [
            (self.gradient(positions + shift) - self.gradient(positions - shift)) / (2 * step)
            for shift in step * np.eye(positions.size).reshape(-1, *positions.shape)
        ]
        return np.array(columns)

    def energy(self, positions):
        return (
            0.5 * self.constants @ difference(COORDINATES, values(COORDINATES, column(positions)), self.rest)[:, 0] ** 2
        )

    def along_curves(self, positions):
        """Bᵀ k B."""
        wilson = self.assembly.dense(values_and_rows(COORDINATES, column(positions))[1], 0)
        return wilson.T @ (self.constants[:, None] * wilson)


def column(positions):
    return np.ascontiguousarray(positions.T[:, :, None])


def within(atoms, matrix):
    """The part of a matrix that neither shifts nor turns the whole."""
    basis = Freedom(atoms).directions(atoms.positions)
    return basis @ matrix @ basis.T


def test_the_matrix_says_how_the_energy_changes_along_curved_steps():
    """Even where forces are left, which pull bonds that a straight step stretches."""
    springs, learnt = Springs(), InternalHessian(COORDINATES, ETHANOL)
    gradient, plain = springs.gradient(ETHANOL.positions), springs.hessian(ETHANOL.positions)
    assert np.abs(gradient).max() > 0.1
    learnt.arrive(ETHANOL.positions, gradient)
    assert learnt.matrix is None
    learnt.renew(plain)
    step = 3.0 * beginning_of_a_turn()
    there, back = (springs.energy(learnt.walk(sign * step)) for sign in (1.0, -1.0))
    second = there + back - 2.0 * springs.energy(ETHANOL.positions)
    assert step @ learnt.matrix @ step == pytest.approx(second, rel=0.005)
    assert abs(step @ plain @ step / second - 1.0) > 0.02


def test_what_is_known_stays_true_while_a_dihedral_turns():
    """Springs of internal coordinates stay what they are; in Cartesian ones half a turn changes nearly all."""
    springs = Springs()
    turned = ETHANOL.copy()
    turned.rotate_dihedral(*_dihedral(), 60.0, indices=[_dihedral()[3]])
    errors = []
    for learnt in (InternalHessian(COORDINATES, ETHANOL), CartesianHessian()):
        learnt.arrive(ETHANOL.positions, springs.gradient(ETHANOL.positions))
        learnt.renew(springs.hessian(ETHANOL.positions))
        learnt.arrive(turned.positions, springs.gradient(turned.positions))
        errors.append(np.abs(within(turned, learnt.matrix - springs.along_curves(turned.positions))).max())
    assert errors[0] < 0.2 * errors[1]


def _dihedral():
    """C-C-O-H."""
    hydroxyl = next(a for a in range(len(ETHANOL)) if ETHANOL.numbers[a] == 1 and ETHANOL.get_distance(a, 2) < 1.1)
    assert ETHANOL.numbers[2] == 8
    return 0 if ETHANOL.get_distance(0, 2) > 2 else 1, 0 if ETHANOL.get_distance(0, 2) < 2 else 1, 2, hydroxyl


def beginning_of_a_turn():
    """Å for a degree."""
    turned = ETHANOL.copy()
    turned.rotate_dihedral(*_dihedral(), 0.01, indices=[_dihedral()[3]])
    return 100.0 * (turned.positions - ETHANOL.positions).ravel()


def test_a_curved_step_turns_and_keeps_bonds():
    learnt = InternalHessian(COORDINATES, ETHANOL)
    learnt.arrive(ETHANOL.positions, np.zeros(27))
    step = 40.0 * beginning_of_a_turn()
    curved, straight = ETHANOL.copy(), ETHANOL.copy()
    curved.positions = learnt.walk(step)
    straight.positions += step.reshape(-1, 3)
    bond = _dihedral()[2:]
    before = ETHANOL.get_distance(*bond)
    assert abs(curved.get_distance(*bond) - before) < 0.02
    assert abs(straight.get_distance(*bond) - before) > 0.1
    change = (curved.get_dihedral(*_dihedral()) - ETHANOL.get_dihedral(*_dihedral()) + 180) % 360 - 180
    assert abs(change) == pytest.approx(40.0, abs=1.0)


def test_a_step_is_remembered():
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(6, 6))
    step, change = rng.normal(size=(2, 6))
    after = updated(matrix + matrix.T, step, change)
    np.testing.assert_allclose(after @ step, change)
    np.testing.assert_allclose(after, after.T)
    np.testing.assert_array_equal(updated(matrix, np.zeros(6), change), matrix)


def test_clusters_and_what_is_held_have_cartesian_ones():
    from ase.constraints import FixAtoms

    held = ETHANOL.copy()
    held.set_constraint(FixAtoms([0]))
    for atoms in (random_cluster(5), held, molecule("H2")):
        assert isinstance(learnt_hessian(atoms), CartesianHessian)
    assert isinstance(learnt_hessian(ETHANOL), InternalHessian)
