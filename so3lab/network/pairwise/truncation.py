"""Which structures' long-range pairs end at a cutoff, and at which."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from so3lab.network.settings import ModelSettings
from so3lab.structures.graph import Graph, structure_of_pairs

CELL_CUTOFF = 12.0
"""Å; where the far pairs of cells end when ``long_range_cutoff`` is None."""


class Truncation(NamedTuple):
    """A cutoff and the structures it applies to."""

    cutoff: float  # Å
    structures: Bool[Array, " structures"]

    def choose(
        self, graph: Graph, truncated: Float[Array, " pairs"], whole: Float[Array, " pairs"]
    ) -> Float[Array, " pairs"]:
        """``truncated`` for pairs of the structures that it applies to, ``whole`` for others."""
        if graph.num_structures == 1:
            return jnp.where(self.structures[0], truncated, whole)
        return jnp.where(self.structures[structure_of_pairs(graph)], truncated, whole)


def truncation(settings: ModelSettings, graph: Graph) -> Truncation | None:
    """The truncation of a graph's far pairs: that of the settings, else that of cells; None for none."""
    if settings.long_range_cutoff is not None:
        return Truncation(settings.long_range_cutoff, jnp.ones(graph.num_structures, bool))
    periodic = None if graph.long_range is None else graph.long_range.periodic
    return None if periodic is None else Truncation(CELL_CUTOFF, jnp.asarray(periodic))
