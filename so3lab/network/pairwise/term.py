"""One part of the energy, per structure and shared out over atoms."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from so3lab.structures.graph import Graph, segment_sum, sum_pairs_per_structure, sum_per_structure


class Term(NamedTuple):
    """Energies of one kind in eV; the compiler drops the second when nobody asks for it."""

    energies: Float[Array, " structures"]
    atomic_energies: Float[Array, " atoms"]


def atomic_term(atomic_energies: Float[Array, " atoms"], graph: Graph) -> Term:
    """The term of energies that belong to atoms."""
    atomic_energies = jnp.where(graph.atom_mask, atomic_energies, 0.0)
    return Term(sum_per_structure(atomic_energies, graph), atomic_energies)


def pair_term(pair_energies: Float[Array, " pairs"], graph: Graph) -> Term:
    """The term of energies that belong to undirected pairs, zero on padding; half of each to either atom.

    The sum per structure does not go through the atoms, so that it costs no scatter.
    """
    half = 0.5 * pair_energies
    atomic = segment_sum(graph.positions.shape[0], (graph.receivers, half), (graph.senders, half))
    return Term(sum_pairs_per_structure(pair_energies, graph), atomic)
