"""Basin hopping of clusters: all atoms displaced, or the most weakly bound one put elsewhere on the surface."""

import numpy as np
from jaxtyping import Float
from scipy.spatial.distance import cdist

from so3lab.minima.proposals.basin_hopping import BasinHopping
from so3lab.minima.proposals.walkers import Walkers

DISPLACEMENT = 0.36
"""Largest displacement along each axis, in distances of nearest neighbours (D. J. Wales and J. P. K. Doye, J. Phys.
Chem. A 101, 5111, 1997)."""
SURFACE_SHARE = 0.3
"""Of the moves that put atoms elsewhere on the surface."""
CONTACT = 1.3
"""Distances of nearest neighbours within which atoms touch."""


class ClusterMoves(BasinHopping):
    """Displacements and surface moves of clusters of atoms that exchange neighbours as they like.

    Args:
        walkers: How many basins are hopped from at once.
        window: eV (or the cluster's unit of energy) by which a walker may climb at the beginning.
    """

    name = "cluster moves"

    def __init__(self, *, walkers: int = 8, window: float = 0.5):
        super().__init__(Walkers(walkers, window))

    def moved(self, positions: Float[np.ndarray, "atoms 3"], rng: np.random.Generator) -> Float[np.ndarray, "atoms 3"]:
        """Displaced, or with an atom elsewhere, and no two on top of each other; a single atom stays."""
        if len(positions) < 2:
            return positions
        move = surface_move if rng.random() < SURFACE_SHARE else displaced
        return apart(move(positions, rng), nearest_neighbour(positions))


def nearest_neighbour(positions: Float[np.ndarray, "atoms 3"]) -> float:
    """Median distance of an atom's nearest neighbour, in the unit of the positions."""
    distances = cdist(positions, positions)
    np.fill_diagonal(distances, np.inf)
    return float(np.median(distances.min(axis=1)))


def displaced(positions: Float[np.ndarray, "atoms 3"], rng: np.random.Generator) -> Float[np.ndarray, "atoms 3"]:
    """Every atom moved at random."""
    largest = DISPLACEMENT * nearest_neighbour(positions)
    return positions + rng.uniform(-largest, largest, positions.shape)


def surface_move(positions: Float[np.ndarray, "atoms 3"], rng: np.random.Generator) -> Float[np.ndarray, "atoms 3"]:
    """One to three of the atoms with the fewest neighbours put at random places of the surface."""
    centred = positions - positions.mean(axis=0)
    contacts = (cdist(centred, centred) < CONTACT * nearest_neighbour(centred)).sum(axis=1)
    many = int(rng.integers(1, min(3, len(centred) - 1) + 1))
    weakest = np.lexsort((rng.random(len(centred)), contacts))[:many]
    radius = np.linalg.norm(centred, axis=1).max()
    directions = rng.normal(size=(many, 3))
    result = centred.copy()
    result[weakest] = radius * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    return result


def apart(positions: Float[np.ndarray, "atoms 3"], distance: float) -> Float[np.ndarray, "atoms 3"]:
    """Positions with atoms on top of each other pushed apart to two thirds of a distance, as well as it goes."""
    result = positions.copy()
    for _ in range(20):
        vectors = result[:, None] - result
        lengths = np.linalg.norm(vectors, axis=2)
        np.fill_diagonal(lengths, np.inf)
        missing = np.maximum(0.67 * distance - lengths, 0.0)
        if not missing.any():
            break
        result += 0.5 * np.einsum("ij,ijx->ix", missing / np.maximum(lengths, 1e-9), vectors)
    return result
