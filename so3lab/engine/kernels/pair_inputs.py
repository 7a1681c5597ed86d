"""Where the pairs of a graph are, as the loops in C read it."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from so3lab.structures.graph import Graph


class PairInputs(NamedTuple):
    """Pairs of atoms, and what their vectors come from; arrays that there are none of have no rows."""

    receivers: Int[Array, " pairs"]
    senders: Int[Array, " pairs"]
    mask: Bool[Array, " pairs"]
    images: Int[Array, "pairs_or_none 3"]
    structure_index: Int[Array, " atoms"]
    positions: Float[Array, "atoms 3"]  # Å
    cells: Float[Array, "cells_or_none 3 3"]  # Å, rows
    strain: Float[Array, "strains_or_none 3 3"]


def pair_inputs(graph: Graph, strain: Float[Array, "structures 3 3"] | None) -> PairInputs:
    """Where the pairs of a graph are; images count only where there are cells."""
    positions = jnp.asarray(graph.positions)
    nothing = jnp.zeros((0, 3, 3), positions.dtype)
    periodic = graph.cells is not None and graph.images is not None
    return PairInputs(
        jnp.asarray(graph.receivers),
        jnp.asarray(graph.senders),
        jnp.asarray(graph.pair_mask),
        jnp.asarray(graph.images) if periodic else jnp.asarray(np.zeros((0, 3), np.int32)),
        jnp.asarray(graph.structure_index),
        positions,
        jnp.asarray(graph.cells) if periodic else nothing,
        nothing if strain is None else strain,
    )


def gradient_of(
    inputs: PairInputs, positions: Float[Array, "atoms 3"], strain: Float[Array, " nine_structures"]
) -> PairInputs:
    """A gradient by inputs: by positions and strain."""
    nothing = PairInputs(*(None for _ in PairInputs._fields))  # type: ignore[arg-type]
    strains = strain.reshape(-1, 3, 3)[: inputs.strain.shape[0]]
    return nothing._replace(positions=positions, strain=strains)
