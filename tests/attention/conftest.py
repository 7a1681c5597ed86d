"""One structure for all tests of what happens inside a network, and what the network says of it."""

import pytest
from ase.build import molecule

from so3lab.attention import look_inside


@pytest.fixture(scope="package")
def structure():
    """A slightly distorted ethanol molecule; nobody changes it."""
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.03, seed=1)
    return atoms


@pytest.fixture(scope="package")
def inside(potential64, structure):
    """What the small network says of it."""
    return look_inside(potential64, structure)
