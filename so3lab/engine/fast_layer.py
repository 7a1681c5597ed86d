"""The attention of a layer with compressed filters: on XLA, or by the loops in C; for energies differentiated once.

Both say the same as :class:`so3lab.network.so3krates.EuclideanAttention`. In the first layer, atoms are still what
their class is and nothing more (:class:`so3lab.structures.graph.AtomClasses`): queries and keys belong to classes, so
that a weight is a function of distance for every ordered pair of classes, and one small table takes the place of
filters of pairs.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from so3lab.engine.compressed_filters import FastFilter, FastLayer, class_table_pays
from so3lab.engine.kernels import MOST_CLASSES, HeadLayout, PairArrays, attend, attend_first, project, update
from so3lab.engine.messages import attention_weights, head_major, weighted_sums
from so3lab.functions.spherical import contract, num_orders, order_to_degree, parity
from so3lab.network.dense import Filter
from so3lab.network.readout import ACTIVATIONS
from so3lab.network.so3krates import AttentionWeights, EuclideanAttention, Layer, Messages, PairGeometry
from so3lab.structures.graph import Graph, gather, segment_sum

Features = Float[Array, "atoms features"]
Euclidean = Float[Array, "atoms orders"]
OfFeatures = tuple[Float[Array, "pairs heads"], Float[Array, "pairs heads"]]
"""Weights of the attention on features, of receivers and of senders."""
OfEuclidean = tuple[Float[Array, "pairs degrees"], Float[Array, "pairs degrees"]]
"""Those of the attention on Euclidean variables."""


def attend_on_xla(
    attention: EuclideanAttention,
    fast: FastLayer,
    x: Features,
    chi: Euclidean | None,
    pairs: PairGeometry,
    graph: Graph,
) -> Messages:
    """The attention with its filters on the shared basis.

    Args:
        attention: That of the network; its geometric filters begin as they do there.
        fast: The same on the shared basis of :mod:`so3lab.engine.compressed_filters`.
        x: Features of atoms.
        chi: Their Euclidean variables; None means zero, in the first layer.
        pairs: Geometry of the pairs, with the shared basis.
        graph: Who pairs with whom.
    """
    settings, i, j = attention.settings, graph.receivers, graph.senders
    classes = None if graph.atom_classes is None else len(graph.atom_classes.members)
    if chi is None and classes and class_table_pays(settings, classes):
        to_atoms, chi_to_atoms = _weights_by_class(attention, fast, x, pairs, graph)
    else:
        to_atoms, chi_to_atoms = _weights(attention, fast, x, chi, pairs, graph)
    values = x @ fast.projections["value_features"]
    dx = head_major(weighted_sums(*to_atoms, values, i, j), settings.num_heads)
    spread = jnp.asarray(order_to_degree(settings.degrees).T, x.dtype)
    reversed_harmonics = pairs.harmonics * jnp.asarray(parity(settings.degrees), x.dtype)
    dchi = segment_sum(
        x.shape[0],
        (i, (chi_to_atoms[0] @ spread) * pairs.harmonics),
        (j, (chi_to_atoms[1] @ spread) * reversed_harmonics),
    )
    return Messages(dx, dchi, AttentionWeights(jnp.stack(to_atoms), jnp.stack(chi_to_atoms)))


def native_layer(
    layer: Layer, fast: FastLayer, x: Features, chi: Euclidean | None, pairs: PairGeometry, graph: Graph
) -> tuple[Features, Euclidean, AttentionWeights]:
    """A whole layer by the loops in C; arguments as those of :func:`attend_on_xla`."""
    assert fast.kernel_weights is not None
    attention, settings = layer.attention, layer.attention.settings
    heads, weights = HeadLayout(settings.num_heads, settings.degrees), fast.kernel_weights.pairs
    arrays = PairArrays(
        jnp.asarray(graph.receivers), jnp.asarray(graph.senders), pairs.weights, pairs.harmonics, pairs.basis
    )
    classes = graph.atom_classes
    before = jnp.zeros((x.shape[0], num_orders(settings.degrees)), x.dtype) if chi is None else chi
    if chi is None and classes is not None and len(classes.members) <= MOST_CLASSES:
        of_atoms = jnp.asarray(classes.of_atoms)
        of_atoms = jnp.pad(of_atoms, (0, x.shape[0] - of_atoms.shape[0]))  # padding is of any class
        projected = project(heads, gather(x, classes.members), weights.projection)
        query, key, value, chi_query, chi_key = jnp.split(projected, 5, axis=1)
        one_way = jnp.concatenate(_tables(attention, fast, ((query, key), (chi_query, chi_key))), axis=-1)
        both_ways = jnp.concatenate([one_way, one_way.swapaxes(0, 1)], axis=-1)
        sums = attend_first(heads, gather(value, of_atoms), of_atoms, both_ways, arrays)
    else:
        sums = attend(heads, project(heads, x, weights.projection), before, arrays, weights)
    scale = pairs.weights[None, :, None]
    told = AttentionWeights(scale * jnp.stack(sums.weights), scale * jnp.stack(sums.euclidean_weights))
    return *update(heads, x, sums.features, before, sums.euclidean, fast.kernel_weights.atoms), told


def _filters(
    pair_filter: Filter,
    fast: FastFilter,
    basis: Float[Array, "pairs basis"],
    invariants: Float[Array, "pairs degrees"] | None,
) -> Float[Array, "pairs features"]:
    """Filters of pairs on the shared basis, head-minor; invariants that are None are zero."""
    first = pair_filter.geometric.first
    if invariants is None:
        invariants = jnp.zeros((1, first.in_features), basis.dtype)
    return basis @ fast.radial + (jax.nn.silu(first(invariants)) @ fast.geometric + fast.bias)


def _query_and_key(attention: EuclideanAttention, fast: FastLayer, kind: str, x: Features) -> tuple[Features, Features]:
    """Head-minor."""
    activation = ACTIVATIONS[attention.settings.qk_activation]
    query, key = (activation(x @ fast.projections[f"{role}_{kind}"]) for role in ("query", "key"))
    return query, key


def _weights(
    attention: EuclideanAttention,
    fast: FastLayer,
    x: Features,
    chi: Euclidean | None,
    pairs: PairGeometry,
    graph: Graph,
) -> tuple[OfFeatures, OfEuclidean]:
    """Weights of both attentions, each in both directions."""
    settings, i, j = attention.settings, graph.receivers, graph.senders
    invariants = None if chi is None else contract(gather(chi, j) - gather(chi, i), settings.degrees)
    weights = []
    for (kind, heads), fast_filter in zip(settings.attentions, fast.filters, strict=True):
        query, key = _query_and_key(attention, fast, kind, x)
        filters = _filters(getattr(attention, f"filter_{kind}"), fast_filter, pairs.basis, invariants)
        scale = pairs.weights / settings.attention_norm(heads)
        weights.append(attention_weights(heads, query, key, filters, scale, i, j))
    return weights[0], weights[1]


def _weights_by_class(
    attention: EuclideanAttention, fast: FastLayer, x: Features, pairs: PairGeometry, graph: Graph
) -> tuple[OfFeatures, OfEuclidean]:
    """The same as :func:`_weights` for atoms of the first layer, by a table of their classes."""
    classes = graph.atom_classes
    assert classes is not None
    number, of_atoms = len(classes.members), jnp.asarray(classes.of_atoms)
    first, second = gather(of_atoms, graph.receivers), gather(of_atoms, graph.senders)
    members = gather(x, classes.members)
    asked = [_query_and_key(attention, fast, kind, members) for kind, _ in attention.settings.attentions]
    weights = []
    for table in _tables(attention, fast, asked):
        coefficients = table.transpose(2, 0, 1, 3).reshape(table.shape[2], -1)
        of_pairs = pairs.basis @ coefficients[:-1] + coefficients[-1]
        of_pairs = of_pairs.reshape(-1, number**2, table.shape[3])
        to_receivers, to_senders = (
            pairs.weights[:, None] * jnp.take_along_axis(of_pairs, (a * number + b)[:, None, None], axis=1)[:, 0]
            for a, b in ((first, second), (second, first))
        )
        weights.append((to_receivers, to_senders))
    return weights[0], weights[1]


def _tables(
    attention: EuclideanAttention,
    fast: FastLayer,
    queries_and_keys: Sequence[tuple[Float[Array, "classes features"], Float[Array, "classes features"]]],
) -> tuple[
    Float[Array, "classes classes basis_and_one heads"], Float[Array, "classes classes basis_and_one degrees"]
]:  # fmt: skip
    """Weights of both attentions by ordered pair of classes, as coefficients of the shared basis and a constant."""
    tables, settings = [], attention.settings
    for (kind, heads), fast_filter, (query, key) in zip(
        settings.attentions, fast.filters, queries_and_keys, strict=True
    ):
        nowhere = jnp.zeros((1, fast_filter.radial.shape[0]), query.dtype)
        constant = _filters(getattr(attention, f"filter_{kind}"), fast_filter, nowhere, None)
        rows = jnp.concatenate([fast_filter.radial, constant])
        by_head = [values.reshape(values.shape[0], -1, heads) for values in (query, key, rows)]
        tables.append(jnp.einsum("sah,tah,bah->stbh", *by_head) / settings.attention_norm(heads))
    return tables[0], tables[1]
