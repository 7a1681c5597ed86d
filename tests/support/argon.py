"""Argon as a force field that is not a network: any energy function of a graph can be simulated."""

import jax.numpy as jnp

from so3lab.engine.energy_model import EnergyModel
from so3lab.functions.safe import safe_norm
from so3lab.structures.graph import displacements, sum_per_structure

LJ_EPSILON, LJ_SIGMA, LJ_CUTOFF = 0.0104, 3.4, 9.0  # argon


def lennard_jones(parameters, graph, strain=None):
    """Lennard-Jones energies in eV, shifted so that the force is continuous."""
    epsilon, sigma = parameters
    d = jnp.where(graph.pair_mask, safe_norm(displacements(graph, strain)), LJ_CUTOFF)
    u = lambda r: 4 * epsilon * ((sigma / r) ** 12 - (sigma / r) ** 6)  # noqa: E731
    slope = 4 * epsilon * (-12 * (sigma / LJ_CUTOFF) ** 12 + 6 * (sigma / LJ_CUTOFF) ** 6) / LJ_CUTOFF
    pair = jnp.where(d < LJ_CUTOFF, u(d) - u(LJ_CUTOFF) - slope * (d - LJ_CUTOFF), 0.0)
    atomic = jnp.zeros(graph.positions.shape[0], d.dtype).at[graph.receivers].add(pair)
    return sum_per_structure(atomic, graph)


ARGON = EnergyModel(lennard_jones, (LJ_EPSILON, LJ_SIGMA), LJ_CUTOFF, "float64")
