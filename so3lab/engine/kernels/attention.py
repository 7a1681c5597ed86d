r"""Euclidean attention of a trained layer over undirected pairs, filters included, by the loops in C.

The same as :mod:`so3lab.engine.messages` on compressed filters, in one function with its reverse pass, for energies
that are differentiated once with respect to positions: parameters get no gradients. Filters contain the normalisation,
so that a weight is the scale (cutoff) of its pair times

.. math:: \alpha_{ij}^h = \sum_{a \in h} q_{ia} k_{ja} w_{ija}, \quad
          w_{ij} = B(d) R + \mathrm{silu}(\mathrm{inv}(\chi_j - \chi_i) A + a) C + c

Everything with features is head-minor.
"""

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


def pair_weights(
    projections: list[np.ndarray],
    geometric: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]],
    radial: list[np.ndarray],
    norms: list[float],
    dtype: str,
) -> PairWeights:
    """Lay out a layer's weights.

    Args:
        projections: Blocks [heads, out, in] to q, k, v of features and q, k of Euclidean variables.
        geometric: Kernel, bias, second kernel and second bias of each attention's geometric network; the second ones
            head-minor.
        radial: From the shared basis to each attention's filters, head-minor.
        norms: What the weights of each attention are divided by.
        dtype: Precision.
    """
    hidden, rank = (-(-size // lanes(dtype)) * lanes(dtype) for size in (geometric[0][0].shape[1], len(radial[0])))

    def wider(x: np.ndarray, axis: int, size: int) -> np.ndarray:
        return np.pad(x, [(0, size - x.shape[k] if k == axis else 0) for k in range(x.ndim)])

    out = [wider(second, 0, hidden) / norm for (_, _, second, _), norm in zip(geometric, norms, strict=True)]
    filters = [matrix / norm for matrix, norm in zip(radial, norms, strict=True)]
    arrays = PairWeights(
        projection=_projection(projections),
        first=np.concatenate([wider(kernel, 1, hidden) for kernel, _, _, _ in geometric], axis=1),
        first_bias=np.concatenate([wider(bias, 0, hidden) for _, bias, _, _ in geometric]),
        forward=np.stack([np.concatenate(parts) for parts in zip(filters, out, strict=True)]),
        bias=np.concatenate([bias / norm for (_, _, _, bias), norm in zip(geometric, norms, strict=True)]),
        radial_back=wider(np.concatenate([matrix.T for matrix in filters]), 1, rank),
        hidden_back=np.stack([matrix.T for matrix in out]),
    )
    return on_device(arrays, dtype)


def _projection(blocks: list[np.ndarray]) -> Projection:
    """Maps within heads, from their blocks [heads, out, in]."""

    def forward(some: list[np.ndarray]) -> np.ndarray:  # [in, out and head]
        return np.concatenate([x.transpose(2, 1, 0).reshape(x.shape[2], -1) for x in some], axis=1)

    def backward(some: list[np.ndarray]) -> np.ndarray:  # [out, in and head]
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


def _project_forward(heads: HeadLayout, x, weights: Projection):
    result = shape_like(x, x.shape[0], 5 * x.shape[1])
    return call(heads, "project", (result,), x, weights.features, weights.euclidean)[0], weights


def _project_backward(heads: HeadLayout, weights: Projection, gradient):
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


def _attend_forward(
    heads: HeadLayout, projected, chi, receivers, senders, scale, harmonics, basis, weights: PairWeights
):
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
    kept = (projected, chi, receivers, senders, scale, harmonics, filters, raw, basis.shape[1], weights)
    return (dx, dchi, jax.lax.stop_gradient(raw)), kept


def _attend_backward(heads: HeadLayout, kept, gradients):
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


def _first_forward(heads: HeadLayout, table, values, classes, receivers, senders, scale, harmonics, basis):
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
    kept = (table, values, classes, receivers, senders, scale, harmonics, raw)
    return (dx, dchi, jax.lax.stop_gradient(raw)), kept


def _first_backward(heads: HeadLayout, kept, gradients):
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
