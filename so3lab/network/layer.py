"""One SO3krates layer: attention on features and on Euclidean variables, then the exchange between the two.

Source: Frank, Unke, Müller, Chmiela, Nat. Commun. 15, 6539 (2024). Attention weights are signed and not normalised (no
softmax). Pairs are undirected: the filters depend on the distance and on squared norms of χ_j - χ_i only, so they are
evaluated once and used both ways.
"""

from typing import NamedTuple

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from so3lab.engine.compressed_filters import FastLayer, LoopWeights, species_table_pays
from so3lab.engine.kernels import (
    MOST_SPECIES,
    Heads,
    PairArrays,
    PairWeights,
    attend,
    attend_first,
    project,
    update,
)
from so3lab.functions.spherical import contract, num_orders, order_to_degree, parity
from so3lab.network.dense import ClosedResidualMlp, Filter, HeadProjection, ResidualMlp
from so3lab.network.initializers import Rngs, dense, layer_norm
from so3lab.network.messages import (
    attention_weights,
    attention_weights_once,
    head_major,
    weighted_sums,
    weighted_sums_once,
)
from so3lab.network.readout import ACTIVATIONS
from so3lab.network.settings import ModelSettings
from so3lab.structures.graph import Graph, at_atoms, sum_at_atoms


class PairGeometry(NamedTuple):
    """What the layers know about pairs; computed once per structure."""

    distances: Float[Array, " pairs"]  # Å
    basis: Float[Array, "pairs basis"]
    weights: Float[Array, " pairs"]  # cutoff, 0 on padding
    harmonics: Float[Array, "pairs orders"]  # of the direction receiver -> sender


class AttentionWeights(NamedTuple):
    """Attention weights of one layer, or of all layers with a leading axis.

    Axis ``2`` is the direction: 0 for receiver ← sender, 1 for sender ← receiver. Weights contain the
    cutoff and the normalisation, so a layer's message is simply the weighted sum.
    """

    features: Float[Array, "*layers 2 pairs heads"]
    euclidean: Float[Array, "*layers 2 pairs degrees"]


class EuclideanAttention(nnx.Module):
    """Two attentions over neighbours that share nothing but their input: one on features with several
    heads, one on Euclidean variables with one head per degree."""

    def __init__(self, settings: ModelSettings, *, rngs: Rngs):
        self.settings = settings
        features, heads, degrees = settings.num_features, settings.num_heads, len(settings.degrees)
        self.filter_features = Filter(settings, heads, rngs=rngs)
        self.filter_euclidean = Filter(settings, degrees, rngs=rngs)
        self.query_features = HeadProjection(features, heads, rngs=rngs)
        self.key_features = HeadProjection(features, heads, rngs=rngs)
        self.value_features = HeadProjection(features, heads, zero=settings.identity_at_init, rngs=rngs)
        self.query_euclidean = HeadProjection(features, degrees, rngs=rngs)
        self.key_euclidean = HeadProjection(features, degrees, rngs=rngs)

    def __call__(self, x, chi, pairs: PairGeometry, graph: Graph, fast: FastLayer | None = None):
        """Sums of messages for features and Euclidean variables, and the attention weights.

        Args:
            x: Features of atoms.
            chi: Their Euclidean variables; None means zero, in the first layer.
            pairs: Geometry of the pairs.
            graph: Who pairs with whom.
            fast: This attention on the shared basis of :mod:`so3lab.engine.compressed_filters`.
        """
        settings, i, j = self.settings, graph.receivers, graph.senders
        species = None if graph.species is None else len(graph.species.members)
        if fast is not None and chi is None and species and species_table_pays(settings, species):
            to_atoms, chi_to_atoms = self._weights_by_species(x, pairs, graph, fast)
        else:
            to_atoms, chi_to_atoms = self._weights(x, chi, pairs, graph, fast)
        sums = weighted_sums if fast is None else weighted_sums_once
        to_receivers, to_senders = to_atoms
        values = self._project("value_features", x, fast)
        dx = head_major(sums(to_receivers, to_senders, values, i, j), settings.num_heads)
        spread = jnp.asarray(order_to_degree(settings.degrees).T, x.dtype)
        reversed_harmonics = pairs.harmonics * jnp.asarray(parity(settings.degrees), x.dtype)
        dchi = sum_at_atoms(
            x.shape[0],
            (i, (chi_to_atoms[0] @ spread) * pairs.harmonics),
            (j, (chi_to_atoms[1] @ spread) * reversed_harmonics),
        )
        return dx, dchi, AttentionWeights(jnp.stack(to_atoms), jnp.stack(chi_to_atoms))

    def _project(self, name: str, x, fast: FastLayer | None):
        return getattr(self, name)(x) if fast is None else x @ fast.projections[name]

    def _query_and_key(self, kind: str, x, fast: FastLayer | None):
        activation = ACTIVATIONS[self.settings.qk_activation]
        return tuple(activation(self._project(f"{role}_{kind}", x, fast)) for role in ("query", "key"))

    def _weights(self, x, chi, pairs: PairGeometry, graph: Graph, fast: FastLayer | None):
        """Weights of both attentions, each in both directions."""
        settings, i, j = self.settings, graph.receivers, graph.senders
        invariants = None if chi is None else contract(at_atoms(chi, j) - at_atoms(chi, i), settings.degrees)
        weights, weigh = [], attention_weights if fast is None else attention_weights_once
        fast_filters = (None, None) if fast is None else fast.filters
        for (kind, heads), fast_filter in zip(settings.attentions, fast_filters, strict=True):
            query, key = self._query_and_key(kind, x, fast)
            pair_filter = getattr(self, f"filter_{kind}")(pairs.basis, invariants, fast_filter)
            scale = pairs.weights / settings.attention_norm(heads)
            weights.append(weigh(heads, query, key, pair_filter, scale, i, j))
        return weights

    def in_c(self, x, chi, pairs: PairGeometry, graph: Graph, fast: FastLayer, weights: PairWeights):
        """The same as :meth:`__call__` by the loops in C; sums of features come head-minor."""
        settings, species = self.settings, graph.species
        heads = Heads(settings.num_heads, settings.degrees)
        arrays = PairArrays(
            jnp.asarray(graph.receivers),
            jnp.asarray(graph.senders),
            pairs.weights,
            pairs.harmonics,
            pairs.basis,
        )
        if chi is None and species is not None and len(species.members) <= MOST_SPECIES:
            of_atoms = jnp.asarray(species.of_atoms)
            of_atoms = jnp.pad(of_atoms, (0, x.shape[0] - of_atoms.shape[0]))  # padding is of any species
            parts = jnp.split(project(heads, at_atoms(x, species.members), weights.projection), 5, axis=1)
            one_way = jnp.concatenate(self._species_tables((parts[:2], parts[3:]), fast), axis=-1)
            both_ways = jnp.concatenate([one_way, one_way.swapaxes(0, 1)], axis=-1)
            sums = attend_first(heads, at_atoms(parts[2], of_atoms), of_atoms, both_ways, arrays)
        else:
            chi = jnp.zeros((x.shape[0], num_orders(settings.degrees)), x.dtype) if chi is None else chi
            sums = attend(heads, project(heads, x, weights.projection), chi, arrays, weights)
        scale = pairs.weights[None, :, None]
        attention = (scale * jnp.stack(sums.weights), scale * jnp.stack(sums.euclidean_weights))
        return sums.features, sums.euclidean, AttentionWeights(*attention)

    def _species_tables(self, queries_and_keys, fast: FastLayer):
        """Weights of both attentions by ordered pair of species, as coefficients of the shared basis and a constant."""
        tables = []
        for (kind, heads), fast_filter, (query, key) in zip(
            self.settings.attentions, fast.filters, queries_and_keys, strict=True
        ):
            nowhere = jnp.zeros((1, fast_filter.radial.shape[0]), query.dtype)
            constant = getattr(self, f"filter_{kind}")(nowhere, None, fast_filter)
            rows = jnp.concatenate([fast_filter.radial, constant])
            by_head = [values.reshape(values.shape[0], -1, heads) for values in (query, key, rows)]
            table = jnp.einsum("sah,tah,bah->stbh", *by_head) / self.settings.attention_norm(heads)
            tables.append(table)
        return tables

    def _weights_by_species(self, x, pairs: PairGeometry, graph: Graph, fast: FastLayer):
        """The same as :meth:`_weights` for atoms that are still what their species is and nothing more.

        Queries and keys then belong to species, so that a weight is a function of distance for every
        ordered pair of species: one small matrix instead of filters of pairs.
        """
        species = graph.species
        assert species is not None
        number, of_atoms = len(species.members), jnp.asarray(species.of_atoms)
        first, second = at_atoms(of_atoms, graph.receivers), at_atoms(of_atoms, graph.senders)
        members = at_atoms(x, species.members)
        asked = [self._query_and_key(kind, members, fast) for kind, _ in self.settings.attentions]
        weights = []
        for table in self._species_tables(asked, fast):
            coefficients = table.transpose(2, 0, 1, 3).reshape(table.shape[2], -1)
            of_pairs = pairs.basis @ coefficients[:-1] + coefficients[-1]
            of_pairs = of_pairs.reshape(-1, number**2, table.shape[3])
            weights.append(
                tuple(
                    pairs.weights[:, None]
                    * jnp.take_along_axis(of_pairs, (a * number + b)[:, None, None], axis=1)[:, 0]
                    for a, b in ((first, second), (second, first))
                )
            )
        return weights


class Exchange(nnx.Module):
    """Features and invariants of χ meet in one dense layer; it says what to add to x, and by what to rescale χ."""

    def __init__(self, settings: ModelSettings, *, rngs: Rngs):
        self.degrees = settings.degrees
        width = settings.num_features + len(settings.degrees)
        self.dense = dense(width, width, zero=settings.identity_at_init, rngs=rngs)

    def __call__(self, x, chi):
        mixed = self.dense(jnp.concatenate([x, contract(chi, self.degrees)], axis=-1))
        features = x.shape[-1]
        per_degree = mixed[:, features:] @ jnp.asarray(order_to_degree(self.degrees).T, x.dtype)
        return mixed[:, :features], per_degree * chi


class Layer(nnx.Module):
    """One SO3krates layer: attention, MLP, exchange, MLP, in this order.

    In the form of mlff v1.0, features are normalised after the attention and at the end. In that of v0.3, they stay
    as they are, and what the attention and the exchange read is normalised.
    """

    def __init__(self, settings: ModelSettings, *, rngs: Rngs):
        features = settings.num_features
        first_norm, last_norm = settings.layer_normalization
        first_mlp, last_mlp = settings.residual_mlp
        self.norm_first = settings.layer_form == "v0.3"

        def mlp() -> ResidualMlp | ClosedResidualMlp:
            if settings.layer_form == "v0.3":
                return ClosedResidualMlp(features, rngs=rngs)
            return ResidualMlp(features, zero_out=settings.identity_at_init, rngs=rngs)

        self.attention = EuclideanAttention(settings, rngs=rngs)
        self.first_norm = layer_norm(features, rngs=rngs) if first_norm else None
        self.first_mlp = mlp() if first_mlp else None
        self.exchange = Exchange(settings, rngs=rngs)
        self.last_mlp = mlp() if last_mlp else None
        self.last_norm = layer_norm(features, rngs=rngs) if last_norm else None

    def __call__(self, x, chi, pairs: PairGeometry, graph: Graph, fast: FastLayer | None = None):
        if fast is not None and fast.loops is not None:
            return self._in_c(x, chi, pairs, graph, fast, fast.loops)
        before, after = self.norm_first, not self.norm_first
        dx, dchi, attention = self.attention(_through(self.first_norm, x, before), chi, pairs, graph, fast)
        x, chi = _through(self.first_norm, x + dx, after), dchi if chi is None else chi + dchi
        x = _through(self.first_mlp, x)
        dx, dchi = self.exchange(_through(self.last_norm, x, before), chi)
        x = _through(self.last_mlp, x + dx)
        return _through(self.last_norm, x, after), chi + dchi, attention

    def _in_c(self, x, chi, pairs: PairGeometry, graph: Graph, fast: FastLayer, loops: LoopWeights):
        """The same as :meth:`__call__` by the loops in C."""
        settings = self.attention.settings
        dx, dchi, attention = self.attention.in_c(x, chi, pairs, graph, fast, loops.pairs)
        chi = jnp.zeros_like(dchi) if chi is None else chi
        x, chi = update(Heads(settings.num_heads, settings.degrees), x, dx, chi, dchi, loops.atoms)
        return x, chi, attention


def _through(part, x, here: bool = True):
    """Features after a part that a layer may lack, or have elsewhere."""
    return part(x) if here and part is not None else x
