r"""Euclidean attention of a trained layer over undirected pairs, filters included, by the loops in C.

The same as :mod:`so3lab.engine.messages` on compressed filters, in one function with its reverse pass, for energies
that are differentiated once with respect to positions: parameters get no gradients. Filters contain the normalisation,
so that a weight is the scale (cutoff) of its pair times

.. math:: \alpha_{ij}^h = \sum_{a \in h} q_{ia} k_{ja} w_{ija}, \quad
          w_{ij} = B(d) R + \mathrm{silu}(\mathrm{inv}(\chi_j - \chi_i) A + a) C + c

Everything with features is head-minor.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from so3lab.engine.kernels.library import HeadLayout, call, lanes, pad_to_lanes, shape_like
from so3lab.machine.compilation import on_device
from so3lab.structures.neighbors import HostOrDevice

MOST_CLASSES = 32
"""Classes of atoms up to which the first layer takes its weights from a table of their pairs."""
_BLOCK = 48  # pairs; as in the source


class PairWeights(NamedTuple):
    """A layer's filters as the loops want them; both attentions side by side, features first."""

    projection: "Projection"
    first: Float[HostOrDevice, "degrees two_hidden"]  # first layers of the geometric networks
    first_bias: Float[HostOrDevice, " two_hidden"]
    forward: Float[HostOrDevice, "2 basis_and_hidden features"]  # shared basis and hidden layer to filters
    bias: Float[HostOrDevice, " two_features"]
    radial_back: Float[HostOrDevice, "two_features padded_basis"]  # the transposed products
    hidden_back: Float[HostOrDevice, "2 features hidden"]


class Projection(NamedTuple):
    """Maps within heads to queries, keys and values, and back; a row serves one number of every head."""

    features: Float[HostOrDevice, "width three_features"]  # to q, k, v of features
    euclidean: Float[HostOrDevice, "width two_features"]  # to q, k of Euclidean variables
    features_back: Float[HostOrDevice, "three_widths features"]
    euclidean_back: Float[HostOrDevice, "two_widths features"]


class Sums(NamedTuple):
    """What arrives at every atom, and the weights without their scale in each direction."""

    features: Float[Array, "atoms features"]
    euclidean: Float[Array, "atoms orders"]
    weights: tuple[Float[Array, "pairs heads"], Float[Array, "pairs heads"]]
    euclidean_weights: tuple[Float[Array, "pairs degrees"], Float[Array, "pairs degrees"]]


class PairArrays(NamedTuple):
    """What the loops read of pairs."""

    receivers: Int[Array, " pairs"]
    senders: Int[Array, " pairs"]
    scale: Float[Array, " pairs"]  # cutoff, 0 on padding
    harmonics: Float[Array, "pairs orders"]
    basis: Float[Array, "pairs basis"]


class GeometricNetwork(NamedTuple):
    """An attention's geometric network, its second layer head-minor."""

    first: Float[np.ndarray, "degrees hidden"]
    first_bias: Float[np.ndarray, " hidden"]
    second: Float[np.ndarray, "hidden features"]
    second_bias: Float[np.ndarray, " features"]


def pair_weights(
    projections: Sequence[Float[np.ndarray, "_ _ _"]],
    geometric: Sequence[GeometricNetwork],
    radial: Sequence[Float[np.ndarray, "basis features"]],
    norms: Sequence[float],
    dtype: str,
) -> PairWeights:
    """Lay out a layer's weights.

    Args:
        projections: Blocks [heads, out, in] to q, k, v of features and q, k of Euclidean variables.
        geometric: Each attention's geometric network.
        radial: From the shared basis to each attention's filters, head-minor.
        norms: What the weights of each attention are divided by.
        dtype: Precision.
    """
    sizes = geometric[0].first.shape[1], len(radial[0])
    hidden, rank = (-(-size // lanes(dtype)) * lanes(dtype) for size in sizes)

    def wider(x: Float[np.ndarray, "..."], axis: int, size: int) -> Float[np.ndarray, "..."]:
        return np.pad(x, [(0, size - x.shape[k] if k == axis else 0) for k in range(x.ndim)])

    out = [wider(network.second, 0, hidden) / norm for network, norm in zip(geometric, norms, strict=True)]
    filters = [matrix / norm for matrix, norm in zip(radial, norms, strict=True)]
    arrays = PairWeights(
        projection=_projection(projections),
        first=np.concatenate([wider(network.first, 1, hidden) for network in geometric], axis=1),
        first_bias=np.concatenate([wider(network.first_bias, 0, hidden) for network in geometric]),
        forward=np.stack([np.concatenate(parts) for parts in zip(filters, out, strict=True)]),
        bias=np.concatenate([network.second_bias / norm for network, norm in zip(geometric, norms, strict=True)]),
        radial_back=wider(np.concatenate([matrix.T for matrix in filters]), 1, rank),
        hidden_back=np.stack([matrix.T for matrix in out]),
    )
    weights: PairWeights = on_device(arrays, dtype)
    return weights


_Blocks = Sequence[Float[np.ndarray, "heads out in"]]


def _projection(blocks: Sequence[Float[np.ndarray, "_ _ _"]]) -> Projection:
    """Maps within heads, from their blocks [heads, out, in]."""

    def forward(some: _Blocks) -> Float[np.ndarray, "in out_and_head"]:
        return np.concatenate([x.transpose(2, 1, 0).reshape(x.shape[2], -1) for x in some], axis=1)

    def backward(some: _Blocks) -> Float[np.ndarray, "outs in_and_head"]:
        return np.concatenate([x.transpose(1, 2, 0).reshape(x.shape[1], -1) for x in some])

    return Projection(forward(blocks[:3]), forward(blocks[3:]), backward(blocks[:3]), backward(blocks[3:]))


def project(
    heads: HeadLayout, x: Float[Array, "atoms features"], weights: Projection
) -> Float[Array, "atoms five_features"]:
    """Queries, keys and values of features, and queries and keys of Euclidean variables, side by side.

    Args:
        heads: Of the network.
        x: Features, head after head.
        weights: Of the layer.
    """
    return _project(heads, x, weights)


def _project_forward(
    heads: HeadLayout, x: Float[Array, "atoms features"], weights: Projection
) -> tuple[Float[Array, "atoms five_features"], Projection]:
    result = shape_like(x, x.shape[0], 5 * x.shape[1])
    return call(heads, "project", (result,), x, weights.features, weights.euclidean)[0], weights


def _project_backward(
    heads: HeadLayout, weights: Projection, gradient: Float[Array, "atoms five_features"]
) -> tuple[Float[Array, "atoms features"], None]:
    result = shape_like(gradient, gradient.shape[0], gradient.shape[1] // 5)
    back = call(heads, "project_back", (result,), gradient, weights.features_back, weights.euclidean_back)
    return back[0], None


_project = jax.custom_vjp(lambda heads, *arguments: _project_forward(heads, *arguments)[0], nondiff_argnums=(0,))
_project.defvjp(_project_forward, _project_backward)


def attend(
    heads: HeadLayout,
    projected: Float[Array, "atoms five_features"],
    chi: Float[Array, "atoms orders"],
    pairs: PairArrays,
    weights: PairWeights,
) -> Sums:
    """Sums of the messages of all pairs.

    Args:
        heads: Of the network.
        projected: Queries, keys and values, as :func:`project` makes them.
        chi: Euclidean variables.
        pairs: The pairs.
        weights: Of the layer.
    """
    dx, dchi, raw = _attend(heads, projected, chi, *pairs, weights)
    f_i, f_j, e_i, e_j = (raw[:, kind] for kind in range(4))
    number, count = heads.features, len(heads.degrees)
    return Sums(dx, dchi, (f_i[:, :number], f_j[:, :number]), (e_i[:, :count], e_j[:, :count]))


_RawSums = tuple[Float[Array, "atoms features"], Float[Array, "atoms orders"], Float[Array, "pairs 4 lanes"]]
"""Sums of features and of Euclidean variables; weights without scale of features to i, to j, and of Euclidean variables
to i, to j."""


class _Attended(NamedTuple):
    """What the reverse pass reads."""

    projected: Float[Array, "atoms five_features"]
    chi: Float[Array, "atoms orders"]
    receivers: Int[Array, " pairs"]
    senders: Int[Array, " pairs"]
    scale: Float[Array, " pairs"]
    harmonics: Float[Array, "pairs orders"]
    filters: Float[Array, "whole_blocks two_features"]
    raw: Float[Array, "pairs 4 lanes"]
    rank: int  # of the basis
    weights: PairWeights


def _attend_forward(
    heads: HeadLayout,
    projected: Float[Array, "atoms five_features"],
    chi: Float[Array, "atoms orders"],
    receivers: Int[Array, " pairs"],
    senders: Int[Array, " pairs"],
    scale: Float[Array, " pairs"],
    harmonics: Float[Array, "pairs orders"],
    basis: Float[Array, "pairs basis"],
    weights: PairWeights,
) -> tuple[_RawSums, _Attended]:
    sizes, features, pairs = heads.sizes(), projected.shape[1] // 5, scale.shape[0]
    dx, dchi, filters, raw = call(
        heads,
        "attend",
        (
            shape_like(chi, chi.shape[0], features),
            shape_like(chi, *chi.shape),
            shape_like(chi, -(-pairs // _BLOCK) * _BLOCK, 2 * features),
            shape_like(chi, pairs, 4, lanes(chi.dtype.name)),
        ),
        receivers, senders, scale, harmonics, sizes, projected, chi, weights.first, weights.first_bias, basis,
        weights.forward, weights.bias,
    )  # fmt: skip
    kept = _Attended(projected, chi, receivers, senders, scale, harmonics, filters, raw, basis.shape[1], weights)
    return (dx, dchi, jax.lax.stop_gradient(raw)), kept


def _attend_backward(
    heads: HeadLayout, kept: _Attended, gradients: _RawSums
) -> tuple[
    Float[Array, "atoms five_features"], Float[Array, "atoms orders"], None, None,
    Float[Array, " pairs"], Float[Array, "pairs orders"], Float[Array, "pairs basis"], None,
]:  # fmt: skip
    projected, chi, receivers, senders, scale, harmonics, filters, raw, rank, weights = kept
    pairs = scale.shape[0]
    results = call(
        heads,
        "attend_back",
        (
            shape_like(chi, *projected.shape),
            shape_like(chi, *chi.shape),
            shape_like(chi, pairs, rank),
            shape_like(chi, pairs),
            shape_like(chi, *harmonics.shape),
        ),
        receivers, senders, scale, harmonics, heads.sizes(), projected, chi, weights.first, weights.first_bias,
        weights.radial_back, weights.hidden_back, filters, raw, *gradients[:2],
    )  # fmt: skip
    grad_projected, grad_chi, grad_basis, grad_scale, grad_harmonics = results
    return grad_projected, grad_chi, None, None, grad_scale, grad_harmonics, grad_basis, None


_attend = jax.custom_vjp(lambda heads, *arguments: _attend_forward(heads, *arguments)[0], nondiff_argnums=(0,))
_attend.defvjp(_attend_forward, _attend_backward)


def attend_first(
    heads: HeadLayout,
    values: Float[Array, "atoms features"],
    classes: Int[Array, " atoms"],
    table: Float[Array, "classes classes basis_and_one weights"],
    pairs: PairArrays,
) -> Sums:
    """The same in the first layer, whose atoms are what their class is: values get no gradients.

    Args:
        heads: Of the network.
        values: Head-minor values of atoms.
        classes: Of atoms.
        table: For an ordered pair of classes (i, j), coefficients of the basis functions and a constant for the
            weights without scale: those of i ← j, features first, then those of j ← i.
        pairs: The pairs.
    """
    dx, dchi, raw = _first(heads, table, values, classes, *pairs)
    number, one = heads.features, heads.features + len(heads.degrees)  # numbers of raw in one direction
    return Sums(dx, dchi, (raw[:, :number], raw[:, one : one + number]), (raw[:, number:one], raw[:, one + number :]))


_RawFirst = tuple[Float[Array, "atoms features"], Float[Array, "atoms orders"], Float[Array, "pairs weights"]]
"""Sums of features and of Euclidean variables; weights without scale, in the order of the table."""


class _First(NamedTuple):
    """What the reverse pass reads."""

    table: Float[Array, "classes classes basis_and_one weights"]
    values: Float[Array, "atoms features"]
    classes: Int[Array, " atoms"]
    receivers: Int[Array, " pairs"]
    senders: Int[Array, " pairs"]
    scale: Float[Array, " pairs"]
    harmonics: Float[Array, "pairs orders"]
    raw: Float[Array, "pairs weights"]


def _first_forward(
    heads: HeadLayout,
    table: Float[Array, "classes classes basis_and_one weights"],
    values: Float[Array, "atoms features"],
    classes: Int[Array, " atoms"],
    receivers: Int[Array, " pairs"],
    senders: Int[Array, " pairs"],
    scale: Float[Array, " pairs"],
    harmonics: Float[Array, "pairs orders"],
    basis: Float[Array, "pairs basis"],
) -> tuple[_RawFirst, _First]:
    atoms, features = values.shape
    dx, dchi, raw = call(
        heads,
        "first",
        (
            shape_like(values, atoms, features),
            shape_like(values, atoms, harmonics.shape[1]),
            shape_like(values, scale.shape[0], table.shape[-1]),
        ),
        receivers, senders, scale, harmonics, heads.sizes(), values, classes, pad_to_lanes(table), basis,
    )  # fmt: skip
    kept = _First(table, values, classes, receivers, senders, scale, harmonics, raw)
    return (dx, dchi, jax.lax.stop_gradient(raw)), kept


def _first_backward(
    heads: HeadLayout, kept: _First, gradients: _RawFirst
) -> tuple[
    None, None, None, None, None,
    Float[Array, " pairs"], Float[Array, "pairs orders"], Float[Array, "pairs basis"],
]:  # fmt: skip
    table, values, classes, receivers, senders, scale, harmonics, raw = kept
    turned = table[:, :, :-1].swapaxes(2, 3)
    grad_basis, grad_scale, grad_harmonics = call(
        heads,
        "first_back",
        (
            shape_like(values, scale.shape[0], table.shape[2] - 1),
            shape_like(values, *scale.shape),
            shape_like(values, *harmonics.shape),
        ),
        receivers, senders, scale, harmonics, heads.sizes(), values, classes, pad_to_lanes(turned), raw,
        *gradients[:2],
    )  # fmt: skip
    return None, None, None, None, None, grad_scale, grad_harmonics, grad_basis


_first = jax.custom_vjp(lambda heads, *arguments: _first_forward(heads, *arguments)[0], nondiff_argnums=(0,))
_first.defvjp(_first_forward, _first_backward)
