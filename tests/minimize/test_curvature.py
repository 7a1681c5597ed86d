"""A minimum is told from a saddle by its own Hessian, and what is none goes on downhill."""

import ase
import numpy as np
import pytest
from ase.constraints import FixAtoms
from lennard_jones import cluster_in_reduced_units

from so3lab.minimize import Held, minimize, relax
from so3lab.minimize.curvature import curvature
from so3lab.minimize.freedom import Freedom

LJ4_SQUARE = 2 ** (1 / 6) * 0.96 * np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.0]])


def at(positions: np.ndarray) -> ase.Atoms:
    return ase.Atoms(f"Ar{len(positions)}", positions)


def test_a_square_of_four_is_no_minimum_and_a_tetrahedron_is():
    """By symmetry the forces on a flat square point along its plane, where it relaxes to a stationary point."""
    flat = relax(cluster_in_reduced_units(), at(LJ4_SQUARE), max_force=1e-6)
    assert flat.why == "converged"
    assert np.ptp(flat.atoms.positions[:, 2]) < 1e-6
    confirmed = relax(cluster_in_reduced_units(), at(LJ4_SQUARE), max_force=1e-6, confirm=True)
    assert confirmed.why == "converged"
    assert confirmed.energy == pytest.approx(-6.0, abs=1e-6)
    assert flat.energy > -5.9
    assert confirmed.lowest_curvature is not None
    assert confirmed.lowest_curvature > 1.0
    assert confirmed.gain_meV <= 0.03
    assert flat.lowest_curvature is None


def test_a_saddle_at_the_last_step_is_told_as_it_is():
    flat = relax(cluster_in_reduced_units(), at(LJ4_SQUARE), max_force=1e-6)
    ended = relax(cluster_in_reduced_units(), at(LJ4_SQUARE), max_force=1e-6, confirm=True, max_steps=flat.evaluations)
    assert ended.why == "out of steps"
    np.testing.assert_allclose(ended.atoms.positions, flat.atoms.positions)
    assert ended.energy == pytest.approx(flat.energy)


def test_whole_motions_fixed_atoms_and_held_coordinates_are_left_out():
    model, atoms = cluster_in_reduced_units(), at(LJ4_SQUARE)
    none = np.zeros((4, 3))
    assert len(curvature(model, atoms, none, Freedom(atoms)).values) == 6
    assert len(curvature(model, atoms, none, Freedom(atoms, [Held((0, 1))])).values) == 5
    atoms.set_constraint(FixAtoms([0]))
    found = curvature(model, atoms, none, Freedom(atoms))
    assert len(found.values) == 9
    assert not found.directions[:, :3].any()
    assert not found.is_minimum


def test_the_gain_is_that_of_a_parabola():
    model = cluster_in_reduced_units()
    best = relax(model, at(LJ4_SQUARE), max_force=1e-8, max_gain_meV=1e-9, confirm=True).atoms
    off = best.copy()
    off.rattle(0.002, seed=4)
    (start,) = minimize(model, [off], max_steps=1)
    gradient = -start.atoms.get_forces()
    predicted = curvature(model, off, gradient, Freedom(off))
    assert predicted.gain == pytest.approx(start.energy - best.get_potential_energy(), rel=0.1)
    off.positions += predicted.downhill()
    (near,) = minimize(model, [off], max_steps=1)
    assert near.max_force < 0.1 * start.max_force
