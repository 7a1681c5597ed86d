"""The Lennard-Jones fluid of simulation textbooks: cut at 3 σ, not shifted."""

import jax.numpy as jnp

from so3lab.engine.energy_model import Dtype, EnergyModel
from so3lab.structures.graph import displacements, sum_pairs_per_structure

EPSILON, SIGMA = 0.0104, 3.4  # argon, eV and Å


def _energy(parameters, graph, strain=None):
    epsilon, sigma = parameters
    d = displacements(graph, strain)
    squares = jnp.sum(d * d, axis=1)
    near = graph.pair_mask & (squares < (3 * SIGMA) ** 2)
    sixth = (sigma * sigma / jnp.where(near, squares, 1e3)) ** 3
    return sum_pairs_per_structure(jnp.where(near, 4 * epsilon * (sixth * sixth - sixth), 0.0), graph)


def truncated_lennard_jones(dtype: Dtype) -> tuple[EnergyModel, float, float]:
    """The force field, ε in eV and σ in Å."""
    return EnergyModel(_energy, (EPSILON, SIGMA), 3 * SIGMA, dtype), EPSILON, SIGMA


def cluster_in_reduced_units(dtype: Dtype = "float64") -> EnergyModel:
    """ε = 1 eV and σ = 1 Å, for clusters whose minima are known; no pair of a cluster is beyond the cutoff."""
    return EnergyModel(_energy, (1.0, 1.0), 3 * SIGMA, dtype)
