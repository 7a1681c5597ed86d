"""A path that does not converge is divided at the minimum on its way, and its legs meet there; or straightened."""

import numpy as np
import pytest
from muller_brown import MINIMA, muller_brown, place_of, point

from so3lab.landscape import nudged_elastic_band

FIRST, LAST, BETWEEN = MINIMA
PLACES = np.concatenate([np.linspace(FIRST, BETWEEN, 9), np.linspace(BETWEEN, LAST, 9)[1:]])


def path(places, **options):
    """After one step, in which no path converges."""
    ends = [[point(*place) for place in places]]
    (found,) = nudged_elastic_band(muller_brown(), ends, max_force=1e-6, max_steps=1, **options)
    return found


def test_a_path_across_a_minimum_goes_in_legs_that_meet_there():
    whole, found = path(PLACES, divide=False), path(PLACES)
    assert not whole.minima
    assert len(whole.images) == 17
    (stop,) = found.minima
    np.testing.assert_allclose(place_of(found.images[stop]), BETWEEN, atol=5e-3)
    np.testing.assert_allclose(np.linalg.norm(found.images[stop].get_forces(), axis=1).max(), 0.0, atol=0.05)
    assert stop == 16
    assert len(found.images) == len(found.energies) == 33
    for image, end in ((0, FIRST), (32, LAST)):
        np.testing.assert_allclose(place_of(found.images[image]), end, atol=1e-6)
    assert found.highest == np.argmax(found.energies)
    assert found.barrier == pytest.approx(found.energies.max() - found.energies[0])
    assert not found.converged
    assert found.steps == whole.steps + 2 * 3  # and each leg is straightened twice


def test_a_path_without_a_minimum_on_its_way_is_straightened():
    folded = PLACES[[0, 1, 2, 5, 4, 3, 6, 7, 8]]
    once, found = path(folded, divide=False), path(folded)
    assert not found.converged
    assert not found.minima
    assert len(found.images) == 9
    assert found.steps == once.steps + 3
    assert turns(once).min() < 0 < turns(found).min()


def turns(band):
    """Cosines of the angles by which a path turns at its images."""
    steps = np.diff([place_of(image) for image in band.images], axis=0)
    steps /= np.linalg.norm(steps, axis=1, keepdims=True)
    return (steps[1:] * steps[:-1]).sum(axis=1)
