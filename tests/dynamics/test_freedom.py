"""Degrees of freedom that carry heat, before and after pulls have turned a molecule."""

import numpy as np
import pytest
from ase.build import molecule

from so3lab.dynamics.freedom import DegreesOfFreedom
from so3lab.engine.biases import Pull


def count(name: str, ensemble: str = "nose-hoover", held: tuple[int, ...] = ()) -> DegreesOfFreedom:
    atoms = molecule(name)
    mask = np.isin(np.arange(len(atoms)), held)
    return DegreesOfFreedom([atoms], [mask], [np.zeros((len(atoms), 3))], ensemble)


@pytest.mark.parametrize(
    ("name", "ensemble", "held", "expected"),
    [
        ("H2O", "nose-hoover", (), 3),
        ("CO2", "nose-hoover", (), 4),
        ("H2O", "langevin", (), 9),
        ("CO2", "langevin", (0,), 6),
    ],
)
def test_what_a_thermostat_does_not_see_is_not_counted(name, ensemble, held, expected):
    assert count(name, ensemble, held).counted.tolist() == [expected]


def test_pulls_set_rotations_free_for_good():
    water = count("H2O")
    assert not water.add_pulls([])
    assert water.add_pulls([Pull((0,), (1.0, 0.0, 0.0))])
    assert water.counted.tolist() == [5]  # no torque about its own direction
    assert not water.add_pulls([Pull((1,), (2.0, 0.0, 0.0))])  # the same direction
    assert water.add_pulls([Pull((0,), (0.0, 1.0, 0.0))])
    assert water.counted.tolist() == [6]
    assert not water.add_pulls([])
    assert water.counted.tolist() == [6]


def test_a_linear_molecule_has_two_rotations():
    pulls = [Pull((0,), (1.0, 0.0, 0.0)), Pull((0,), (0.0, 1.0, 0.0))]
    linear = count("CO2")
    assert linear.add_pulls(pulls)
    assert linear.counted.tolist() == [6]


def test_noise_heats_all_from_the_start():
    langevin = count("H2O", "langevin")
    langevin.add_pulls([Pull((0,), (1.0, 0.0, 0.0))])
    assert langevin.counted.tolist() == [9]
