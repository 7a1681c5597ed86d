"""Lennard-Jones clusters in reduced units: the one potential whose minima are all known, for tests of truth.

Energies are in units of ε and lengths in units of σ wherever so3lab says eV and Å.
"""

import ase
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from so3lab.engine.energy_model import Dtype, EnergyModel
from so3lab.functions.safe import safe_norm
from so3lab.structures.graph import Graph, displacements, sum_pairs_per_structure

REACH = 60.0
"""σ within which pairs are counted: all of a cluster."""
CORE = 0.85
"""σ below which the energy goes on as a straight line: no minimum has such a pair, and atoms that a move puts upon each
other repel with forces that a minimiser can follow."""
_APART = 0.95


def _energy(
    parameters: tuple[float, float], graph: Graph, strain: Float[Array, "structures 3 3"] | None = None
) -> Float[Array, " structures"]:
    epsilon, sigma = parameters
    vectors = displacements(graph, strain)
    distances = safe_norm(vectors) / sigma
    outside = jnp.where(graph.pair_mask, jnp.maximum(distances, CORE), 1e3)
    sixth = outside**-6
    energies = 4.0 * (sixth * sixth - sixth)
    slope = 4.0 * (12.0 * CORE**-13 - 6.0 * CORE**-7)
    energies = energies + slope * (outside - distances)
    return sum_pairs_per_structure(jnp.where(graph.pair_mask, epsilon * energies, 0.0), graph)


def lennard_jones(dtype: Dtype = "float64") -> EnergyModel:
    r"""The model :math:`4 \sum_{i<j} (r_{ij}^{-12} - r_{ij}^{-6})`, in reduced units; straight below :data:`CORE`.

    Args:
        dtype: Precision to compute in.
    """
    return EnergyModel(_energy, (1.0, 1.0), REACH, dtype)


def random_cluster(size: int, *, seed: int = 0) -> ase.Atoms:
    """Atoms at random in a sphere with about the room of a cluster, none closer than 0.95 σ; argon stands for any.

    Args:
        size: Number of atoms.
        seed: Of the positions.

    Raises:
        ValueError: If ``size`` is not positive, or a cluster would be larger than the model's reach.
    """
    if not 1 <= size <= 2000:
        raise ValueError(f"size of a Lennard-Jones cluster must be 1 to 2000 atoms, got {size}")
    rng = np.random.default_rng(seed)
    radius = 0.8 * (size / 0.74) ** (1 / 3)
    positions: list[np.ndarray] = []
    while len(positions) < size:
        point = rng.uniform(-radius, radius, 3)
        if point @ point <= radius**2 and all(np.linalg.norm(point - one) > _APART for one in positions):
            positions.append(point)
        else:
            radius *= 1.001
    return ase.Atoms(f"Ar{size}", np.array(positions))
