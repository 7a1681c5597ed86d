"""Matrices of three rows, such as cells, by closed formulas: a factorisation costs a GPU a call of its own per step."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def inverse_3x3(matrices: Float[Array, "*batch 3 3"]) -> Float[Array, "*batch 3 3"]:
    r"""Inverse of matrices with rows a, b, c.

    .. math:: A^{-1} = \frac{1}{a \cdot (b \times c)} \big(b \times c,\; c \times a,\; a \times b\big)

    where the products are the columns.

    Args:
        matrices: Not singular.
    """
    a, b, c = (matrices[..., row, :] for row in range(3))
    columns = jnp.stack([jnp.cross(b, c), jnp.cross(c, a), jnp.cross(a, b)], axis=-1)
    volume = jnp.sum(a * columns[..., 0], axis=-1)
    return columns / volume[..., None, None]
