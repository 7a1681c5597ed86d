"""Plane waves of cells: reciprocal vectors, fractional coordinates, the weight of a wave."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from so3lab.structures.graph import Graph


def reciprocal_cells(
    graph: Graph, strain: Float[Array, "structures 3 3"] | None
) -> tuple[Float[Array, "structures 3 3"], Float[Array, " structures"]]:
    """Reciprocal vectors as rows in 1/Å (2π included) and volumes in Å³ of the strained cells."""
    cells = _cells(graph)
    if strain is not None:
        cells = cells + cells @ strain
    inverse, determinants = _inverse(cells)
    return 2.0 * jnp.pi * jnp.swapaxes(inverse, 1, 2), jnp.abs(determinants)


def fractional(graph: Graph) -> Float[Array, "atoms 3"]:
    """Coordinates in units of the lattice vectors, between 0 and 1; a strain does not change them."""
    inverse, _ = _inverse(_cells(graph))
    positions = jnp.asarray(graph.positions)
    if graph.num_structures == 1:
        fractions = positions @ inverse[0]
    else:
        fractions = jnp.einsum("ai,aij->aj", positions, inverse[graph.structure_index])
    return fractions - jnp.floor(fractions)


def gaussian_weight(waves: Float[Array, "*any 3"], screening_length: float) -> Float[Array, "*any"]:
    r"""The weight :math:`e^{-k^2\sigma^2/4}/k^2` in Å²; zero for k = 0.

    Args:
        waves: k vectors in 1/Å.
        screening_length: σ in Å.
    """
    squares = jnp.sum(waves * waves, axis=-1)
    present = squares > 0
    squares = jnp.where(present, squares, 1.0)
    return jnp.where(present, jnp.exp(-0.25 * screening_length**2 * squares) / squares, 0.0)


def _cells(graph: Graph) -> Float[Array, "structures 3 3"]:
    assert graph.cells is not None
    return jnp.asarray(graph.cells)


def _inverse(
    matrices: Float[Array, "structures 3 3"],
) -> tuple[Float[Array, "structures 3 3"], Float[Array, " structures"]]:
    """Inverses and determinants of 3 by 3 matrices by cross products: no call into a linear algebra library."""
    a, b, c = matrices[:, 0], matrices[:, 1], matrices[:, 2]
    columns = jnp.stack([jnp.cross(b, c), jnp.cross(c, a), jnp.cross(a, b)], axis=-1)
    determinants = jnp.sum(a * columns[:, :, 0], axis=-1)
    return columns / determinants[:, None, None], determinants
