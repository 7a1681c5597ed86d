"""Functions of distance: radial bases and smooth cutoffs, as SO3krates and SO3LR use them.

Bases are not multiplied by the cutoff; the cutoff multiplies the attention weights.
"""

from typing import Literal, get_args

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.special import comb

from so3lab import units

RadialBasis = Literal["bernstein", "physnet", "bessel"]
CutoffFunction = Literal["phys", "cosine", "polynomial", "exponential"]

BERNSTEIN_DECAY = float(np.float32(0.5 / units.bohr))
"""Decay of the exponential coordinate of the Bernstein basis in 1/Å: half an inverse bohr, in float32."""


def radial_basis(
    distances: Float[Array, " pairs"], kind: RadialBasis, count: int, cutoff: float
) -> Float[Array, "pairs basis"]:
    r"""Expand distances in ``count`` smooth functions.

    - ``bernstein``: :math:`\binom{K-1}{k} t^k (1-t)^{K-1-k}` with :math:`t = e^{-\gamma d}` (SO3LR).
    - ``physnet``: :math:`e^{-\beta (e^{-d} - \mu_k)^2}`, centres equally spaced from
      :math:`e^{-r_c}` to 1 (Unke and Meuwly, JCTC 15, 3678, 2019, eq. 7).
    - ``bessel``: :math:`\sin(k \pi d / r_c) / d` for k = 0..K-1, not normalised.

    Args:
        distances: Pair distances in Å, positive, shape ``(pairs,)``.
        kind: Which basis.
        count: Number of functions K.
        cutoff: Cutoff radius in Å; the Bernstein basis does not depend on it.

    Raises:
        ValueError: If ``kind`` is unknown or ``count`` is below 2.
    """
    if count < 2:
        raise ValueError(f"num_radial must be at least 2, got {count}")
    d = distances[:, None]
    k = np.arange(count)
    if kind == "bernstein":
        return _bernstein(jnp.exp(-BERNSTEIN_DECAY * d), count)
    if kind == "physnet":
        first = float(np.exp(-cutoff))
        centres = jnp.asarray(np.linspace(first, 1.0, count), d.dtype)
        return jnp.exp(-((0.5 * count / (1.0 - first)) ** 2) * (jnp.exp(-d) - centres) ** 2)
    if kind == "bessel":
        return jnp.sin(d * jnp.asarray(k * np.pi / cutoff, d.dtype)) / d
    raise ValueError(f"radial_basis must be one of {get_args(RadialBasis)}, got {kind!r}")


def _bernstein(t: Float[Array, "pairs 1"], count: int) -> Float[Array, "pairs basis"]:
    """Bernstein polynomials of degree ``count - 1`` at ``t`` in (0, 1), through one exponential of logs."""
    k = np.arange(count)
    log_binomials = np.log(comb(count - 1, k))
    tiny = 1e-30
    log_t, log_rest = jnp.log(jnp.maximum(t, tiny)), jnp.log(jnp.maximum(1.0 - t, tiny))
    exponents = jnp.asarray(log_binomials, t.dtype) + log_t * jnp.asarray(k, t.dtype)
    return jnp.exp(exponents + log_rest * jnp.asarray(count - 1 - k, t.dtype))


def cutoff_weight(distances: Float[Array, " pairs"], kind: CutoffFunction, cutoff: float) -> Float[Array, " pairs"]:
    r"""Smooth weight of a pair, exactly 0 at and beyond the cutoff; with :math:`x = d / r_c`:

    - ``phys``: :math:`1 - 10x^3 + 15x^4 - 6x^5` (SO3LR; two continuous derivatives).
    - ``cosine``: :math:`(1 + \cos \pi x)/2` (SO3krates; one continuous derivative).
    - ``polynomial``: the DimeNet envelope with p = 6 (two continuous derivatives).
    - ``exponential``: :math:`\exp(-d^2 / ((r_c - d)(r_c + d)))` (all derivatives).

    Args:
        distances: Å, shape ``(pairs,)``.
        kind: Which function.
        cutoff: Cutoff radius in Å.

    Raises:
        ValueError: If ``kind`` is unknown.
    """
    inside = distances < cutoff
    x = jnp.where(inside, distances / cutoff, 0.5)
    if kind == "phys":
        weight = 1.0 - x**3 * (10.0 - x * (15.0 - 6.0 * x))
    elif kind == "cosine":
        weight = 0.5 * (1.0 + jnp.cos(np.pi * x))
    elif kind == "polynomial":
        weight = 1.0 - x**6 * (28.0 - x * (48.0 - 21.0 * x))
    elif kind == "exponential":
        weight = jnp.exp(-x * x / jnp.maximum((1.0 - x) * (1.0 + x), 1e-6))
    else:
        raise ValueError(f"cutoff_function must be one of {get_args(CutoffFunction)}, got {kind!r}")
    return jnp.where(inside, weight, 0.0)
