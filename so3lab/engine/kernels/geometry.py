"""Distances, cutoff, harmonics and shared radial basis of pairs by the loops in C.

The same numbers as :mod:`so3lab.functions.radial`, :mod:`so3lab.functions.spherical` and
:func:`so3lab.engine.compressed_filters.shared_basis`.
"""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float

from so3lab.engine.kernels.library import Heads, call, roomy, shape_like
from so3lab.engine.kernels.pair_inputs import Places, gradient_of

_CUTOFFS = ("phys", "cosine", "polynomial", "exponential")  # in the order of the source


class Shape(NamedTuple):
    """Constants of the geometry; ``decay`` and ``shortest`` are those of the coordinate of the shared basis."""

    heads: Heads
    cutoff_function: str
    cutoff: float  # Å
    decay: float  # 1/Å
    shortest: float  # Å


class Geometry(NamedTuple):
    """What the layers know about pairs."""

    distances: Float[Array, " pairs"]  # Å
    weights: Float[Array, " pairs"]
    harmonics: Float[Array, "pairs orders"]
    basis: Float[Array, "pairs basis"]


def geometry(shape: Shape, places: Places, mixing: Float[Array, "polynomials basis"]) -> Geometry:
    """Geometry of pairs.

    Args:
        shape: Constants.
        places: The pairs; padding gets weight 0.
        mixing: Shared basis functions as combinations of products of polynomials.
    """
    return Geometry(*_geometry(shape, places, mixing))


def _inputs(shape: Shape, places: Places, mixing):
    told = np.array([_CUTOFFS.index(shape.cutoff_function), *shape.heads.degrees], np.int32)
    numbers = np.array([shape.cutoff, shape.decay, shape.shortest], mixing.dtype)
    return *places, told, numbers, roomy(mixing)


def _forward(shape: Shape, places: Places, mixing):
    pairs, orders = places.mask.shape[0], sum(2 * degree + 1 for degree in shape.heads.degrees)
    sizes = ((pairs,), (pairs,), (pairs, orders), (pairs, mixing.shape[1]))
    results = tuple(shape_like(mixing, *size) for size in sizes)
    return tuple(call(shape.heads, "geometry", results, *_inputs(shape, places, mixing))), (places, mixing)


def _backward(shape: Shape, kept, gradients):
    places, mixing = kept
    structures = max(places.strain.shape[0], 1)
    results = (shape_like(mixing, *places.positions.shape), shape_like(mixing, 9 * structures))
    positions, strain = call(shape.heads, "geometry_back", results, *_inputs(shape, places, mixing), *gradients)
    return gradient_of(places, positions, strain), None


_geometry = jax.custom_vjp(lambda shape, *arguments: _forward(shape, *arguments)[0], nondiff_argnums=(0,))
_geometry.defvjp(_forward, _backward)
