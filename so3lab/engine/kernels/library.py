"""Whether this process has the loops in C: compiled once per processor and release of jaxlib, kept in the cache.

The source is a few hundred lines of C11 with vector extensions (GCC 9 or Clang 12 and later), made for XLA's foreign
function interface, whose header comes with jaxlib. Without a compiler, or on another device, energies are computed by
XLA alone: the same numbers, slower.
"""

import ctypes
import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Shaped

from so3lab.machine.c_compiler import OFF, Unavailable, library_for, variant
from so3lab.network.settings import ModelSettings
from so3lab.structures.neighbors import HostOrDevice

_FUNCTIONS = tuple(
    name + back for name in ("geometry", "project", "attend", "first", "update", "far") for back in ("", "_back")
)


def supports(settings: ModelSettings) -> bool:
    """Whether the loops in C are made for networks with these settings."""
    heads, degrees = settings.num_heads, len(settings.degrees)
    return (
        settings.num_features % 16 == 0
        and heads in (1, 2, 4, 8)
        and degrees in (1, 2, 4)
        and settings.qk_activation == "identity"
        and (settings.layer_form == "v1.0" or not any(settings.layer_normalization + settings.residual_mlp))
    )


def available(settings: ModelSettings, dtype: str) -> bool:
    """Whether a network can run in C: made for it, on CPU, with its library at hand or compiled now."""
    if os.environ.get(OFF) or not supports(settings) or jax.default_backend() != "cpu":
        return False
    try:
        register(dtype, settings.num_heads, len(settings.degrees))
    except Unavailable:
        return False
    return True


@functools.lru_cache
def register(dtype: str, heads: int, degrees: int) -> Path:
    """Make the functions of one precision, for so many heads and degrees, known to XLA; where they come from.

    Raises:
        Unavailable: If there is no compiler, or it fails.
    """
    path = library_for(dtype, heads, degrees)
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:  # such as a folder from which nothing may be executed
        raise Unavailable(f"{path} cannot be loaded: {error}") from None
    for name in _FUNCTIONS:
        symbol = _symbol(name, dtype, heads, degrees)
        jax.ffi.register_ffi_target(symbol, jax.ffi.pycapsule(getattr(library, symbol)), platform="cpu")
    return path


def _symbol(name: str, dtype: str, heads: int, degrees: int) -> str:
    return f"so3lab_{name}_{variant(dtype, heads, degrees)}"


def shape_like(array: jax.Array, *sizes: int) -> jax.ShapeDtypeStruct:
    """The shape of a result in an array's precision."""
    return jax.ShapeDtypeStruct(sizes, array.dtype)


def lanes(dtype: str) -> int:
    """Numbers in a vector of the source."""
    return {"float32": 16, "float64": 8}[dtype]


def pad_to_lanes(rows: Shaped[Array, "*rows numbers"]) -> Shaped[Array, "*rows padded"]:
    """The same array with rows that fill whole vectors."""
    return jnp.pad(rows, [(0, 0)] * (rows.ndim - 1) + [(0, -rows.shape[-1] % lanes(rows.dtype.name))])


class HeadLayout(NamedTuple):
    """What a library is made for: heads of the attention on features, and degrees of Euclidean variables."""

    features: int
    degrees: tuple[int, ...]

    def sizes(self) -> Int[np.ndarray, " degrees_and_one"]:
        """Heads, then the number of orders of each degree, as the source wants them."""
        return np.array([self.features, *(2 * degree + 1 for degree in self.degrees)], np.int32)


def call(
    heads: HeadLayout, name: str, results: tuple[jax.ShapeDtypeStruct, ...], *arguments: HostOrDevice
) -> Sequence[jax.Array]:
    """Results of a function of the library, in the precision of the first of them; for compiled code."""
    symbol = _symbol(name, results[0].dtype.name, heads.features, len(heads.degrees))
    return jax.ffi.ffi_call(symbol, results)(*arguments)
