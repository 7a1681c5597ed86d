"""Distances, cutoff, harmonics and shared radial basis of pairs by the loops in C.

The same numbers as :mod:`so3lab.functions.radial`, :mod:`so3lab.functions.spherical` and
:func:`so3lab.engine.compressed_filters.shared_basis`.
"""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float

from so3lab.engine.kernels.library import HeadLayout, call, pad_to_lanes, shape_like
from so3lab.engine.kernels.pair_inputs import PairInputs, gradient_of
from so3lab.structures.neighbors import HostOrDevice

_CUTOFFS = ("phys", "cosine", "polynomial", "exponential")  # in the order of the source


class GeometrySpec(NamedTuple):
    """Constants of the geometry; ``decay`` and ``shortest`` are those of the coordinate of the shared basis."""

    heads: HeadLayout
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


def geometry(spec: GeometrySpec, inputs: PairInputs, mixing: Float[Array, "polynomials basis"]) -> Geometry:
    """Geometry of pairs.

    Args:
        spec: Constants.
        inputs: The pairs; padding gets weight 0.
        mixing: Shared basis functions as combinations of products of polynomials.
    """
    return _geometry(spec, inputs, mixing)


def _inputs(
    spec: GeometrySpec, inputs: PairInputs, mixing: Float[Array, "polynomials basis"]
) -> tuple[HostOrDevice, ...]:
    told = np.array([_CUTOFFS.index(spec.cutoff_function), *spec.heads.degrees], np.int32)
    numbers = np.array([spec.cutoff, spec.decay, spec.shortest], mixing.dtype)
    return *inputs, told, numbers, pad_to_lanes(mixing)


class _Kept(NamedTuple):
    inputs: PairInputs
    mixing: Float[Array, "polynomials basis"]


def _forward(
    spec: GeometrySpec, inputs: PairInputs, mixing: Float[Array, "polynomials basis"]
) -> tuple[Geometry, _Kept]:
    pairs, orders = inputs.mask.shape[0], sum(2 * degree + 1 for degree in spec.heads.degrees)
    sizes = ((pairs,), (pairs,), (pairs, orders), (pairs, mixing.shape[1]))
    results = tuple(shape_like(mixing, *size) for size in sizes)
    found = call(spec.heads, "geometry", results, *_inputs(spec, inputs, mixing))
    return Geometry(*found), _Kept(inputs, mixing)


def _backward(spec: GeometrySpec, kept: _Kept, gradients: Geometry) -> tuple[PairInputs, None]:
    inputs, mixing = kept
    structures = max(inputs.strain.shape[0], 1)
    results = (shape_like(mixing, *inputs.positions.shape), shape_like(mixing, 9 * structures))
    positions, strain = call(spec.heads, "geometry_back", results, *_inputs(spec, inputs, mixing), *gradients)
    return gradient_of(inputs, positions, strain), None


_geometry = jax.custom_vjp(lambda spec, *arguments: _forward(spec, *arguments)[0], nondiff_argnums=(0,))
_geometry.defvjp(_forward, _backward)
