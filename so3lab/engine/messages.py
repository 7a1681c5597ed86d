r"""What neighbours tell each other over undirected pairs, for energies that are differentiated once.

Two functions: the attention weights of a pair in both directions, and the sums of weighted values, as
:class:`so3lab.network.so3krates.EuclideanAttention` has them. Their reverse passes are ours: they keep what atoms and
pairs know and recompute products. A second derivative needs the network itself.

Features are laid out with the head as the *minor* axis here: component a of head h stands at ``a * heads + h``.
A sum within heads is then a sum of short vectors, which compilers vectorise, where a sum along the minor axis
runs number by number.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from so3lab.structures.graph import gather, segment_sum
from so3lab.structures.neighbors import HostOrDevice


def head_minor(features: int, heads: int) -> Int[np.ndarray, " features"]:
    """Where each head-minor feature stands in the usual layout, one head after another."""
    return np.arange(features).reshape(heads, -1).T.ravel()


def head_major(x: Float[Array, "atoms features"], heads: int) -> Float[Array, "atoms features"]:
    """Head-minor features in the usual layout, one head after another."""
    atoms, features = x.shape
    return x.reshape(atoms, features // heads, heads).swapaxes(1, 2).reshape(atoms, features)


def heads_to_matrix(blocks: Float[np.ndarray, "heads out in"]) -> Float[np.ndarray, "features features"]:
    """Per-head matrices [heads, out, in] as one [in, out] matrix with head-minor output: one product for all heads."""
    heads, width, _ = blocks.shape
    spread: np.ndarray = np.einsum("hoi,hg->hiog", blocks, np.eye(heads, dtype=blocks.dtype))
    return spread.reshape(heads * width, heads * width)


def _sum_within_heads(products: Float[Array, "pairs features"], heads: int) -> Float[Array, "pairs heads"]:
    return products.reshape(products.shape[0], -1, heads).sum(axis=1)


def _spread_over_heads(values: Float[Array, "pairs heads"], features: int) -> Float[Array, "pairs features"]:
    return jnp.tile(values, (1, features // values.shape[1]))


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def attention_weights(
    heads: int,
    query: Float[Array, "atoms features"],
    key: Float[Array, "atoms features"],
    pair_filter: Float[Array, "pairs features"],
    scale: Float[Array, " pairs"],
    receivers: Int[HostOrDevice, " pairs"],
    senders: Int[HostOrDevice, " pairs"],
) -> tuple[Float[Array, "pairs heads"], Float[Array, "pairs heads"]]:
    r"""Weights receiver ← sender and sender ← receiver of every pair and head:

    .. math:: \alpha_{ij}^h = s_{ij} \sum_{a \in h} q_{ia} w_{ija} k_{ja}

    Args:
        heads: Number of heads.
        query: Head-minor.
        key: Head-minor.
        pair_filter: The filter w, head-minor; the same in both directions.
        scale: The factor s: cutoff over normalisation, 0 on padding.
        receivers: First atom i of each pair.
        senders: Second atom j of each pair.
    """
    return _weights_forward(heads, query, key, pair_filter, scale, receivers, senders)[0]


_BothWays = tuple[Float[Array, "pairs heads"], Float[Array, "pairs heads"]]
"""For every pair: receiver ← sender, and sender ← receiver."""


class _WeightsKept(NamedTuple):
    """What the reverse pass of the weights reads."""

    query: Float[Array, "atoms features"]
    key: Float[Array, "atoms features"]
    pair_filter: Float[Array, "pairs features"]
    scale: Float[Array, " pairs"]
    i: Int[HostOrDevice, " pairs"]
    j: Int[HostOrDevice, " pairs"]
    to_i: Float[Array, "pairs heads"]  # weights without scale
    to_j: Float[Array, "pairs heads"]


def _weights_forward(
    heads: int,
    query: Float[Array, "atoms features"],
    key: Float[Array, "atoms features"],
    pair_filter: Float[Array, "pairs features"],
    scale: Float[Array, " pairs"],
    i: Int[HostOrDevice, " pairs"],
    j: Int[HostOrDevice, " pairs"],
) -> tuple[_BothWays, _WeightsKept]:
    to_i = _sum_within_heads(gather(query, i) * gather(key, j) * pair_filter, heads)
    to_j = _sum_within_heads(gather(query, j) * gather(key, i) * pair_filter, heads)
    kept = _WeightsKept(query, key, pair_filter, scale, i, j, to_i, to_j)
    return (scale[:, None] * to_i, scale[:, None] * to_j), kept


def _weights_backward(
    heads: int, kept: _WeightsKept, gradients: _BothWays
) -> tuple[
    Float[Array, "atoms features"], Float[Array, "atoms features"],
    Float[Array, "pairs features"], Float[Array, " pairs"], None, None,
]:  # fmt: skip
    query, key, pair_filter, scale, i, j, to_i, to_j = kept
    atoms, features = query.shape
    gradient_i, gradient_j = gradients
    query_i, query_j, key_i, key_j = (
        gather(query, i),
        gather(query, j),
        gather(key, i),
        gather(key, j),
    )
    spread_i = _spread_over_heads(gradient_i * scale[:, None], features)
    spread_j = _spread_over_heads(gradient_j * scale[:, None], features)
    filtered_i, filtered_j = spread_i * pair_filter, spread_j * pair_filter
    return (
        segment_sum(atoms, (i, filtered_i * key_j), (j, filtered_j * key_i)),
        segment_sum(atoms, (j, filtered_i * query_i), (i, filtered_j * query_j)),
        spread_i * query_i * key_j + spread_j * query_j * key_i,
        jnp.sum(gradient_i * to_i + gradient_j * to_j, axis=-1),
        None,
        None,
    )


attention_weights.defvjp(_weights_forward, _weights_backward)


@jax.custom_vjp
def weighted_sums(
    to_receivers: Float[Array, "pairs heads"],
    to_senders: Float[Array, "pairs heads"],
    values: Float[Array, "atoms features"],
    receivers: Int[HostOrDevice, " pairs"],
    senders: Int[HostOrDevice, " pairs"],
) -> Float[Array, "atoms features"]:
    r"""What arrives at every atom, :math:`\sum_j \alpha_{ij}^h v_{ja}`; values and result are head-minor."""
    return _sums(to_receivers, to_senders, values, receivers, senders)


def _sums(
    to_receivers: Float[Array, "pairs heads"],
    to_senders: Float[Array, "pairs heads"],
    values: Float[Array, "atoms features"],
    i: Int[HostOrDevice, " pairs"],
    j: Int[HostOrDevice, " pairs"],
) -> Float[Array, "atoms features"]:
    atoms, features = values.shape
    return segment_sum(
        atoms,
        (i, _spread_over_heads(to_receivers, features) * gather(values, j)),
        (j, _spread_over_heads(to_senders, features) * gather(values, i)),
    )


class _SumsKept(NamedTuple):
    """What the reverse pass of the sums reads."""

    to_receivers: Float[Array, "pairs heads"]
    to_senders: Float[Array, "pairs heads"]
    values: Float[Array, "atoms features"]
    i: Int[HostOrDevice, " pairs"]
    j: Int[HostOrDevice, " pairs"]


def _sums_forward(
    to_receivers: Float[Array, "pairs heads"],
    to_senders: Float[Array, "pairs heads"],
    values: Float[Array, "atoms features"],
    i: Int[HostOrDevice, " pairs"],
    j: Int[HostOrDevice, " pairs"],
) -> tuple[Float[Array, "atoms features"], _SumsKept]:
    return _sums(to_receivers, to_senders, values, i, j), _SumsKept(to_receivers, to_senders, values, i, j)


def _sums_backward(
    kept: _SumsKept, gradient: Float[Array, "atoms features"]
) -> tuple[
    Float[Array, "pairs heads"], Float[Array, "pairs heads"], Float[Array, "atoms features"], None, None
]:  # fmt: skip
    to_receivers, to_senders, values, i, j = kept
    (atoms, features), heads = values.shape, to_receivers.shape[1]
    gradient_i, gradient_j = gather(gradient, i), gather(gradient, j)
    return (
        _sum_within_heads(gradient_i * gather(values, j), heads),
        _sum_within_heads(gradient_j * gather(values, i), heads),
        segment_sum(
            atoms,
            (j, _spread_over_heads(to_receivers, features) * gradient_i),
            (i, _spread_over_heads(to_senders, features) * gradient_j),
        ),
        None,
        None,
    )


weighted_sums.defvjp(_sums_forward, _sums_backward)
