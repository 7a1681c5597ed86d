"""A path that turns back on itself is drawn anew between the same ends, without folds and with even distances."""

import numpy as np
import pytest

from so3lab.landscape.straightening import straightened


def line(places):
    """A path of three atoms, of which the last moves along x by these places."""
    positions = np.zeros((len(places), 3, 3))
    positions[:, 1, 1], positions[:, 2, 0] = 1.0, places
    return positions


@pytest.mark.parametrize(
    "places", [[0, 1, 2, 3, 4], [0, 3, 1, 2, 4], [0, 1, 3, 2, 4], [0, 0, 0, 4, 4], [0, 5, 5, 5, 4]]
)
def test_images_lie_evenly_between_the_ends(places):
    found = straightened(line(places))
    np.testing.assert_allclose(found, line(np.linspace(0, 4, 5)), atol=1e-12)


def test_a_path_that_only_bends_keeps_its_way():
    angles = np.linspace(0, np.pi, 13)
    arc = np.zeros((13, 1, 3))
    arc[:, 0, 0], arc[:, 0, 1] = np.cos(angles), np.sin(angles)
    np.testing.assert_allclose(straightened(arc), arc, atol=1e-12)
