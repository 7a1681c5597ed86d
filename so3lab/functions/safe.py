"""Operations whose values and gradients stay finite where the plain formula divides by zero."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def safe_norm(vectors: Float[Array, "*batch 3"]) -> Float[Array, "*batch"]:
    """Length of vectors; value and gradient are zero, not NaN, for the zero vector.

    Args:
        vectors: Any unit, shape ``(..., 3)``.

    Returns:
        Lengths in the same unit, shape ``(...)``.
    """
    squares = jnp.sum(vectors * vectors, axis=-1)
    positive = squares > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, squares, 1.0)), 0.0)


def masked(mask: Bool[Array, " rows"], values: Float[Array, "rows *rest"], fill: float) -> Float[Array, "rows *rest"]:
    """``values`` where ``mask`` holds and the constant ``fill`` elsewhere, with zero gradient there.

    Padding is replaced *before* a function that is singular on it, because a NaN that is
    masked afterwards still poisons the gradient.
    """
    return jnp.where(mask.reshape(mask.shape + (1,) * (values.ndim - 1)), values, fill)


def smooth_step(x: Float[Array, "*any"]) -> Float[Array, "*any"]:
    r"""The infinitely differentiable ramp :math:`e^{-1/x}` for positive ``x``, else 0.

    ``x`` is clamped from below before the division, so that :math:`1/x^2` in the gradient does
    not overflow in float32 (the value there is below the smallest float anyway).
    """
    positive = x > 0.012
    return jnp.where(positive, jnp.exp(-1.0 / jnp.where(positive, x, 1.0)), 0.0)


def switch(distances: Float[Array, "*any"], start: float, stop: float) -> Float[Array, "*any"]:
    r"""Smooth switch, 1 up to ``start`` and 0 from ``stop`` on.

    .. math:: s(1-c) / (s(1-c) + s(c)), \quad c = (r - a)/(b - a)

    with ``s`` the :func:`smooth_step`.

    Args:
        distances: Å, any shape.
        start: Where the switch begins to fall, Å.
        stop: Where it has reached zero, Å.
    """
    c = (distances - start) / (stop - start)
    rising, falling = smooth_step(c), smooth_step(1.0 - c)
    return falling / (rising + falling)
