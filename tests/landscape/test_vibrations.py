"""Symmetry orders are those of the point groups, and vibrations those of the exact Hessian."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.cluster import Icosahedron

from so3lab.landscape import vibrations
from so3lab.landscape.vibrations import symmetry_order
from so3lab.pretrained import lennard_jones

ORDERS = {"H2O": 4, "NH3": 6, "CH4": 24, "C6H6": 24, "C2H6": 12, "CH3OH": 2, "H2O2": 2, "CO2": 2, "HCN": 1}


@pytest.mark.parametrize(("name", "order"), ORDERS.items())
def test_orders_of_point_groups(name, order):
    atoms = molecule(name)
    rng = np.random.default_rng(0)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    atoms.positions = atoms.positions @ turn + rng.normal(size=3)
    atoms.positions += 1e-3 * rng.normal(size=atoms.positions.shape)
    shuffled = atoms[rng.permutation(len(atoms))]
    assert symmetry_order(shuffled.numbers, shuffled.positions) == order


def test_an_icosahedron_has_120_operations_and_a_helix_of_four_atoms_two():
    icosahedron = Icosahedron("Ar", 2, 5.0)
    assert symmetry_order(icosahedron.numbers, icosahedron.positions) == 120
    twisted = Atoms("H4", [[0.4, 1.0, -0.9], [0, 0, -0.6], [0, 0, 0.6], [0.4, -1.0, 0.9]])
    assert symmetry_order(twisted.numbers, twisted.positions) == 2


def test_a_trimer_has_two_kinds_of_vibrations():
    """All at the distance of the pair's minimum: curvature k = 57.15 along each side; k 3/m and twice k 3/2m."""
    side = 2 ** (1 / 6)
    trimer = Atoms("Ar3", side * np.array([[0, 0, 0], [1, 0, 0], [0.5, np.sqrt(3) / 2, 0]]))
    found = vibrations(lennard_jones(), trimer)
    assert found.symmetry_order == 12
    assert found.imaginary == 0
    np.testing.assert_allclose(found.wavenumbers_cm / found.wavenumbers_cm[0], [1, 1, np.sqrt(2)], rtol=1e-6)
    mass = trimer.get_masses()[0]
    np.testing.assert_allclose(found.moments, mass * side**2 * np.array([0.5, 0.5, 1.0]), rtol=1e-6)


def test_three_atoms_in_a_row_are_a_saddle():
    """Stretched pairs lie at the distance at which the forces of near and far neighbours cancel."""
    distances = np.linspace(1.1, 1.13, 3001)
    energies = 2 * (distances**-12 - distances**-6) + (2 * distances) ** -12 - (2 * distances) ** -6
    apart = distances[np.argmin(energies)]
    row = Atoms("Ar3", [[0, 0, 0], [apart, 0, 0], [2 * apart, 0, 0]])
    found = vibrations(lennard_jones(), row)
    assert len(found.wavenumbers_cm) == 4
    assert found.imaginary == 2  # it bends either way
    assert found.symmetry_order == 2
