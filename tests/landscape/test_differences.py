"""Hessians by differences are those of the energy, in one batch or in several."""

import numpy as np

from so3lab.engine.hessians import hessian
from so3lab.landscape import differences
from so3lab.landscape.differences import DifferenceHessians
from so3lab.pretrained import lennard_jones, random_cluster

CLUSTER = random_cluster(5, seed=3)


def test_differences_are_the_second_derivatives(monkeypatch):
    monkeypatch.setattr(differences, "DISPLACEMENT", 1e-4)
    expected = hessian(lennard_jones(), CLUSTER)
    whole = DifferenceHessians(lennard_jones(), CLUSTER)(CLUSTER.positions)
    np.testing.assert_allclose(whole, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    monkeypatch.setattr(differences, "_ATOMS_AT_ONCE", 40)
    parts = DifferenceHessians(lennard_jones(), CLUSTER)(CLUSTER.positions)  # eight structures at a time, then six
    np.testing.assert_allclose(parts, whole)
