r"""Real spherical harmonics of degrees 0 to 4 and the per-degree contractions built on them.

Convention: orthonormal on the sphere, no Condon-Shortley phase, orders m = -l..l within a
degree, degrees one after another in the order given. Degree 1 is therefore (y, z, x).
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

MAX_DEGREE = 4
_PI = np.pi


def num_orders(degrees: Sequence[int]) -> int:
    """Length of a Euclidean vector with these degrees: the sum of 2l + 1."""
    return sum(2 * degree + 1 for degree in degrees)


def _harmonics(degree: int, x, y, z) -> list:
    """The 2l + 1 polynomials of one degree at unit vectors (x, y, z)."""
    root = lambda numerator, denominator: float(np.sqrt(numerator / (denominator * _PI)))  # noqa: E731
    xx, yy, zz = x * x, y * y, z * z
    if degree == 0:
        return [root(1, 4) * jnp.ones_like(x)]
    if degree == 1:
        return [root(3, 4) * y, root(3, 4) * z, root(3, 4) * x]
    if degree == 2:
        return [
            root(15, 4) * x * y,
            root(15, 4) * y * z,
            root(5, 16) * (3 * zz - 1),
            root(15, 4) * x * z,
            root(15, 16) * (xx - yy),
        ]
    if degree == 3:
        return [
            root(35, 32) * y * (3 * xx - yy),
            root(105, 4) * x * y * z,
            root(21, 32) * y * (5 * zz - 1),
            root(7, 16) * z * (5 * zz - 3),
            root(21, 32) * x * (5 * zz - 1),
            root(105, 16) * (xx - yy) * z,
            root(35, 32) * x * (xx - 3 * yy),
        ]
    return [
        root(315, 16) * x * y * (xx - yy),
        root(315, 32) * y * z * (3 * xx - yy),
        root(45, 16) * x * y * (7 * zz - 1),
        root(45, 32) * y * z * (7 * zz - 3),
        root(9, 256) * ((35 * zz - 30) * zz + 3),
        root(45, 32) * x * z * (7 * zz - 3),
        root(45, 64) * (xx - yy) * (7 * zz - 1),
        root(315, 32) * x * z * (xx - 3 * yy),
        root(315, 256) * (xx * (xx - 6 * yy) + yy * yy),
    ]


def spherical_harmonics(unit_vectors: Float[Array, "pairs 3"], degrees: Sequence[int]) -> Float[Array, "pairs orders"]:
    """Real spherical harmonics of the given degrees, concatenated.

    Args:
        unit_vectors: Directions of length 1, shape ``(pairs, 3)``.
        degrees: Degrees l, each from 0 to 4.

    Returns:
        Shape ``(pairs, sum of 2l + 1)``.

    Raises:
        ValueError: If a degree is not between 0 and 4.
    """
    check_degrees(degrees)
    x, y, z = unit_vectors[:, 0], unit_vectors[:, 1], unit_vectors[:, 2]
    return jnp.stack([value for degree in degrees for value in _harmonics(degree, x, y, z)], axis=-1)


def check_degrees(degrees: Sequence[int]) -> None:
    """Raise ``ValueError`` unless every degree is an integer from 0 to 4 and at least one is given."""
    if not degrees or any(degree not in range(MAX_DEGREE + 1) for degree in degrees):
        raise ValueError(f"degrees must be one or more integers from 0 to {MAX_DEGREE}, got {tuple(degrees)}")


def order_to_degree(degrees: Sequence[int]) -> np.ndarray:
    """The 0/1 matrix, shape (orders, degrees), that says which order belongs to which degree.

    ``per_degree @ matrix.T`` repeats one number per degree over its orders ("spread").
    """
    sizes = [2 * degree + 1 for degree in degrees]
    return np.repeat(np.eye(len(sizes)), sizes, axis=0)


def parity(degrees: Sequence[int]) -> np.ndarray:
    """Sign (-1)^l for every order: how the harmonics change when the direction is reversed."""
    return np.concatenate([np.full(2 * degree + 1, (-1.0) ** degree) for degree in degrees])


def contract(euclidean: Float[Array, "*rows orders"], degrees: Sequence[int]) -> Float[Array, "*rows degrees"]:
    r"""One invariant per degree: the l = 0 contraction with positive coefficients.

    .. math:: \mathrm{inv}_l(\chi) = (2l+1)^{-1/2} \sum_m \chi_{lm}^2

    Args:
        euclidean: Euclidean variables, shape ``(..., orders)``.
        degrees: Their degrees.
    """
    weights = order_to_degree(degrees) / np.sqrt(2 * np.asarray(degrees) + 1.0)
    return (euclidean * euclidean) @ jnp.asarray(weights, euclidean.dtype)
