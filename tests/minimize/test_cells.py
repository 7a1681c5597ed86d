"""Cells are relaxed with their atoms: to the lattice that the energy wants, at the pressure that is asked for."""

import ase
import numpy as np
import pytest
from argon import ARGON
from ase.build import bulk
from ase.units import GPa

from so3lab.minimize import minimize, relax
from so3lab.minimize.cells import deformed, gradients_of_deformed, real_gradient, undeformed
from so3lab.minimize.evaluators import CellEvaluator, EngineEvaluator


def crystal(seed: int, stretch: float = 1.0) -> ase.Atoms:
    """A cell of argon, sheared, with its atoms off their places, large enough for the cutoff."""
    atoms = bulk("Ar", "fcc", a=5.3, cubic=True) * (2, 2, 2)
    shear = np.eye(3) + 0.03 * np.random.default_rng(seed).normal(size=(3, 3))
    atoms.set_cell(stretch * atoms.cell @ shear, scale_atoms=True)
    atoms.rattle(0.1, seed=seed)
    return atoms


def test_gradients_are_those_of_the_enthalpy():
    atoms, pressure = crystal(1), 0.3 * GPa
    evaluator = CellEvaluator(ARGON, [atoms], pressure)
    rows = undeformed(atoms)[None]
    rows[0, -3:] += np.random.default_rng(2).normal(size=(3, 3))
    gradient = evaluator(rows)[1][0]
    for row, column in ((0, 0), (5, 2), (-3, 0), (-2, 1), (-1, 0)):
        step = np.zeros(rows.shape)
        step[0, row, column] = 1e-3
        slope = (evaluator(rows + step)[0] - evaluator(rows - step)[0])[0] / 2e-3
        assert gradient[row, column] == pytest.approx(slope, abs=1e-6)


def test_coordinates_of_an_undeformed_cell_are_its_atoms():
    atoms = crystal(1)
    rows = undeformed(atoms)
    positions, cell = deformed(atoms, rows)
    np.testing.assert_allclose(positions, atoms.positions)
    np.testing.assert_allclose(cell, atoms.cell)
    gradient = np.random.default_rng(0).normal(size=atoms.positions.shape)
    np.testing.assert_allclose(real_gradient(rows, gradients_of_deformed(rows, gradient, np.eye(3))), gradient)


def test_a_sheared_crystal_becomes_cubic_and_the_same_from_everywhere():
    """Four argon atoms per cube, which is larger the less it is pressed."""
    starts, options = [crystal(1), crystal(2, 1.03)], {"cell": True, "max_force": 1e-3, "batch": 2}
    relaxed = {pressure: list(minimize(ARGON, starts, pressure_GPa=pressure, **options)) for pressure in (0.0, 0.5)}
    volumes = {}
    for pressure, found in relaxed.items():
        assert [one.why for one in found] == ["converged", "converged"]
        volumes[pressure] = [one.atoms.get_volume() / len(one.atoms) for one in found]
        for one in found:
            lengths, angles = one.atoms.cell.lengths(), one.atoms.cell.angles()
            np.testing.assert_allclose(lengths, lengths.mean(), rtol=2e-3)
            np.testing.assert_allclose(angles, 90, atol=0.2)
            alone = EngineEvaluator(ARGON, [one.atoms])(one.atoms.positions[None])
            assert one.energy == pytest.approx(alone[0][0], abs=1e-6)
    assert volumes[0.0][0] == pytest.approx(volumes[0.0][1], rel=2e-3)
    assert volumes[0.5][0] < 0.95 * volumes[0.0][0]


def test_cells_that_stay_do_and_impossible_wishes_are_refused():
    start = crystal(1)
    found = relax(ARGON, start)
    assert found.converged
    np.testing.assert_array_equal(found.atoms.cell, start.cell)
    with pytest.raises(ValueError, match="periodic in all directions"):
        relax(ARGON, ase.Atoms("Ar3", 4 * np.eye(3)), cell=True)
    with pytest.raises(ValueError, match="add cell=True"):
        relax(ARGON, start, pressure_GPa=1.0)
    with pytest.raises(ValueError, match="without hold and confirm"):
        relax(ARGON, start, cell=True, confirm=True)
