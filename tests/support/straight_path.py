"""Paths between minima without a model: straight, and 0.2 eV high in the middle."""

import numpy as np

from so3lab.landscape import Band


def straight_path(model, pairs, *, mirror_images):
    """Connect one pair by five images, as :func:`so3lab.landscape.nudged_elastic_band` would."""
    ((first, second),) = pairs
    images = [first.copy() for _ in range(5)]
    for share, atoms in zip(np.linspace(0.0, 1.0, 5), images, strict=True):
        atoms.positions = (1.0 - share) * first.positions + share * second.positions
    energies = np.array([0.0, 0.1, 0.2, 0.1, 0.05])
    yield Band(0, images, energies, True, 0.01, 20, 2, np.zeros(first.positions.shape))
