"""Gradients without whole motions: neither a net force nor a torque is left, and nothing else is taken away."""

import numpy as np
import pytest
from ase.build import molecule

from so3lab.minimize.freedom import without_rigid_motion


@pytest.mark.parametrize("name", ["CH3CH2OH", "CO2", "H2"])
def test_no_force_and_no_torque_is_left_and_deformations_stay(name):
    """Carbon dioxide and hydrogen lie on a line, about which nothing turns."""
    atoms = molecule(name)
    atoms.rotate(35, (1.0, 2.0, 3.0))
    atoms.positions += [3.0, -1.0, 2.0]
    count, rng = len(atoms), np.random.default_rng(0)
    widest = count + 2  # a slot that a larger molecule could take
    positions, gradients = np.zeros((2, 2, widest, 3))
    positions[:, :count], gradients[:, :count] = atoms.positions, rng.normal(size=(2, count, 3))
    present = np.tile(np.arange(widest) < count, (2, 1))
    found = without_rigid_motion(gradients, positions, present, np.array([True, False]))
    np.testing.assert_allclose(found.sum(axis=1), 0.0, atol=1e-12)
    at = atoms.positions - atoms.positions.mean(axis=0)
    np.testing.assert_allclose(np.cross(at, found[0, :count]).sum(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(found[1, :count], gradients[1, :count] - gradients[1, :count].mean(axis=0))
    again = without_rigid_motion(found, positions, present, np.array([True, False]))
    np.testing.assert_allclose(again, found, atol=1e-12)
    taken = (gradients - found)[0, :count]
    apart = at[:, None] - at
    along = np.einsum("ijx,ijx->ij", taken[:, None] - taken, apart)
    np.testing.assert_allclose(along, 0.0, atol=1e-12)  # what was taken stretches no distance
