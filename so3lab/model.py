r"""SO3krates from top to bottom: embedding, Euclidean attention, exchange, readout.

Every atom carries invariant features x and Euclidean variables χ, one number per order of the
spherical harmonics. A layer updates both with attention over the neighbours, and lets them meet in
an exchange step through one invariant per degree; there are no tensor products. Attention weights are
signed and not normalised (no softmax).

Source: Frank, Unke, Müller, Chmiela, Nat. Commun. 15, 6539 (2024), in the sparse form whose published
weights are SO3LR (Kabylda et al., JACS 147, 33723, 2025). Pairs are undirected: the filters depend on
the distance and on squared norms of χ_j - χ_i only, so they are evaluated once and used both ways.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from so3lab.collapse import (
    DECAY,
    SHORTEST,
    Collapsed,
    FastFilter,
    FastLayer,
    LoopWeights,
    shared_basis,
    species_table_pays,
)
from so3lab.graph import Graph, at_atoms, displacements, sum_at_atoms, sum_per_structure
from so3lab.initial import (
    Rngs,
    dense,
    embedding,
    embedding_normal,
    layer_norm,
    lecun_of_heads,
    weights,
    zeros,
)
from so3lab.kernels import (
    MOST_SPECIES,
    Heads,
    PairArrays,
    PairWeights,
    Shape,
    attend,
    attend_first,
    geometry,
    places_of,
    project,
    update,
)
from so3lab.messages import (
    attention_weights,
    attention_weights_once,
    head_major,
    head_minor,
    heads_to_matrix,
    weighted_sums,
    weighted_sums_once,
)
from so3lab.pairwise import (
    ShortRangeRepulsion,
    Term,
    atomic_term,
    dispersion_term,
    electrostatics_term,
    far_terms,
)
from so3lab.radial import cutoff_weight, radial_basis
from so3lab.readout import ACTIVATIONS, EnergyHead, HirshfeldRatios, PartialCharges
from so3lab.safe import safe_norm
from so3lab.settings import MAX_ATOMIC_NUMBER, ModelSettings
from so3lab.spherical import contract, num_orders, order_to_degree, parity, spherical_harmonics


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


class NetworkOutput(NamedTuple):
    """What the model says about a batch of structures; heads that it lacks are None."""

    energies: Float[Array, " structures"]  # eV, without element shifts
    atomic_energies: Float[Array, " atoms"]  # eV
    features: Float[Array, "atoms features"]
    euclidean_variables: Float[Array, "atoms orders"]
    attention: AttentionWeights
    terms: dict[str, Float[Array, " structures"]]  # eV; they sum to the energies
    partial_charges: Float[Array, " atoms"] | None  # e
    hirshfeld_ratios: Float[Array, " atoms"] | None


class Mlp(nnx.Module):
    """Two dense layers with silu between."""

    def __init__(
        self, sizes: tuple[int, int, int], *, zero_out: bool = False, use_bias: bool = True, rngs: Rngs
    ):
        self.first = dense(sizes[0], sizes[1], use_bias=use_bias, rngs=rngs)
        self.second = dense(sizes[1], sizes[2], use_bias=use_bias, zero=zero_out, rngs=rngs)

    def __call__(self, x: Float[Array, "*rows in"], activation=jax.nn.silu) -> Float[Array, "*rows out"]:
        return self.second(activation(self.first(x)))


class ChargeEmbedding(nnx.Module):
    """Spread a molecule's total charge (or number of unpaired electrons) over its atoms' features.

    Unke et al., SpookyNet, Nat. Commun. 12, 7273 (2021), eq. 10, without the softmax over features.
    Exactly zero for a neutral molecule.
    """

    def __init__(self, features: int, *, rngs: Rngs):
        self.query = embedding(MAX_ATOMIC_NUMBER + 1, features, rngs=rngs)
        self.key = weights(embedding_normal(features), 2, features, rngs=rngs)
        self.value = weights(embedding_normal(features), 2, features, rngs=rngs)
        self.mlp = Mlp((features, features, features), use_bias=False, rngs=rngs)

    def __call__(self, graph: Graph, charges: Float[Array, " structures"]) -> Float[Array, "atoms features"]:
        sign = (charges < 0).astype(jnp.int32)[graph.structure_index]
        query = self.query(jnp.asarray(graph.atomic_numbers))
        affinity = jax.nn.softplus(jnp.sum(query * self.key[...][sign], axis=-1) / np.sqrt(query.shape[-1]))
        total = sum_per_structure(affinity, graph)[graph.structure_index]
        total = jnp.where(graph.atom_mask, total, 1.0)
        share = charges[graph.structure_index] * affinity / total
        h = share[:, None] * self.value[...][sign]
        return h + self.mlp(jax.nn.silu(h))


class Filter(nnx.Module):
    """Pair filter: a function of the distance plus a function of the invariants of χ_j - χ_i; head-minor."""

    def __init__(self, settings: ModelSettings, heads: int, *, rngs: Rngs):
        features, degrees = settings.num_features, len(settings.degrees)
        self.heads = heads
        self.radial = Mlp((settings.num_radial, features, features), rngs=rngs)
        self.geometric = Mlp((degrees, features // 4, features), rngs=rngs)

    def __call__(
        self,
        basis: Float[Array, "pairs basis"],
        invariants: Float[Array, "pairs degrees"] | None,
        fast: FastFilter | None = None,
    ) -> Float[Array, "pairs features"]:
        """Filters of pairs.

        Args:
            basis: Radial basis, or the shared basis of :mod:`so3lab.collapse`.
            invariants: None means all zero: the geometric part is then one vector for all pairs.
            fast: This filter on the shared basis.
        """
        if invariants is None:
            invariants = jnp.zeros((1, self.geometric.first.in_features), basis.dtype)
        hidden = jax.nn.silu(self.geometric.first(invariants))
        if fast is not None:
            return basis @ fast.radial + (hidden @ fast.geometric + fast.bias)
        radial = jax.nn.silu(self.radial.first(basis))
        return self._last(self.radial, radial) + self._last(self.geometric, hidden)

    def _last(self, mlp: Mlp, hidden: Float[Array, "*rows hidden"]) -> Float[Array, "*rows features"]:
        """The last layer of a network with its output in head-minor order."""
        bias = mlp.second.bias
        assert bias is not None
        order = head_minor(mlp.second.out_features, self.heads)
        return hidden @ mlp.second.kernel[...][:, order] + bias[...][order]


class HeadProjection(nnx.Module):
    """Linear map that acts within each head, without bias; stored as [heads, out, in], with head-minor result."""

    def __init__(self, features: int, heads: int, *, zero: bool = False, rngs: Rngs):
        width = features // heads
        self.blocks = weights(zeros if zero else lecun_of_heads, heads, width, width, rngs=rngs)

    def __call__(self, x: Float[Array, "atoms features"]) -> Float[Array, "atoms features"]:
        return x @ heads_to_matrix(self.blocks[...])


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
            fast: This attention on the shared basis of :mod:`so3lab.collapse`.
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
            table = self._species_table(parts[:2], parts[3:], fast)
            sums = attend_first(heads, at_atoms(parts[2], of_atoms), of_atoms, table, arrays)
        else:
            chi = jnp.zeros((x.shape[0], num_orders(settings.degrees)), x.dtype) if chi is None else chi
            sums = attend(heads, project(heads, x, weights.projection), chi, arrays, weights)
        scale = pairs.weights[None, :, None]
        attention = (scale * jnp.stack(sums.weights), scale * jnp.stack(sums.euclidean_weights))
        return sums.features, sums.euclidean, AttentionWeights(*attention)

    def _species_table(self, features, euclidean, fast: FastLayer):
        """Coefficients of weights by ordered pair of species, in the form of :func:`so3lab.kernels.attend_first`."""
        tables = []
        for (kind, heads), fast_filter, (query, key) in zip(
            self.settings.attentions, fast.filters, (features, euclidean), strict=True
        ):
            nowhere = jnp.zeros((1, fast_filter.radial.shape[0]), query.dtype)
            rows = jnp.concatenate(
                [fast_filter.radial, getattr(self, f"filter_{kind}")(nowhere, None, fast_filter)]
            )
            by_head = [values.reshape(values.shape[0], -1, heads) for values in (query, key, rows)]
            table = jnp.einsum("sah,tah,bah->stbh", *by_head) / self.settings.attention_norm(heads)
            tables.append(table)
        one_way = jnp.concatenate(tables, axis=-1)
        return jnp.concatenate([one_way, one_way.swapaxes(0, 1)], axis=-1)

    def _weights_by_species(self, x, pairs: PairGeometry, graph: Graph, fast: FastLayer):
        """The same as :meth:`_weights` for atoms that are still what their species is and nothing more.

        Queries and keys then belong to species, so that a weight is a function of distance for every
        ordered pair of species: one small matrix instead of filters of pairs.
        """
        species = graph.species
        assert species is not None
        number = len(species.members)
        of_atoms = jnp.asarray(species.of_atoms)
        first, second = at_atoms(of_atoms, graph.receivers), at_atoms(of_atoms, graph.senders)
        weights = []
        for (kind, heads), fast_filter in zip(self.settings.attentions, fast.filters, strict=True):
            query, key = self._query_and_key(kind, at_atoms(x, species.members), fast)
            nowhere = jnp.zeros((1, fast_filter.radial.shape[0]), x.dtype)
            constant = getattr(self, f"filter_{kind}")(nowhere, None, fast_filter)
            rows = jnp.concatenate([fast_filter.radial, constant])
            by_head = [values.reshape(values.shape[0], -1, heads) for values in (query, key, rows)]
            table = jnp.einsum("sah,tah,bah->bsth", *by_head).reshape(len(rows), -1)
            of_pairs = (pairs.basis @ table[:-1] + table[-1]).reshape(-1, number**2, heads)
            scale = (pairs.weights / self.settings.attention_norm(heads))[:, None]
            weights.append(
                tuple(
                    scale * jnp.take_along_axis(of_pairs, (a * number + b)[:, None, None], axis=1)[:, 0]
                    for a, b in ((first, second), (second, first))
                )
            )
        return weights


class Exchange(nnx.Module):
    """Features and invariants of χ meet in one dense layer; its output shifts x and rescales χ by degree."""

    def __init__(self, settings: ModelSettings, *, rngs: Rngs):
        self.degrees = settings.degrees
        width = settings.num_features + len(settings.degrees)
        self.dense = dense(width, width, zero=settings.identity_at_init, rngs=rngs)

    def __call__(self, x, chi):
        mixed = self.dense(jnp.concatenate([x, contract(chi, self.degrees)], axis=-1))
        features = x.shape[-1]
        per_degree = mixed[:, features:] @ jnp.asarray(order_to_degree(self.degrees).T, x.dtype)
        return x + mixed[:, :features], chi + per_degree * chi


class Layer(nnx.Module):
    """One SO3krates layer: attention, normalisation, MLP, exchange, normalisation, in this order."""

    def __init__(self, settings: ModelSettings, *, rngs: Rngs):
        features = settings.num_features
        first_norm, last_norm = settings.layer_normalization
        first_mlp, last_mlp = settings.residual_mlp
        mlp_sizes, zero = (features, features, features), settings.identity_at_init
        self.attention = EuclideanAttention(settings, rngs=rngs)
        self.first_norm = layer_norm(features, rngs=rngs) if first_norm else None
        self.first_mlp = Mlp(mlp_sizes, zero_out=zero, rngs=rngs) if first_mlp else None
        self.exchange = Exchange(settings, rngs=rngs)
        self.last_mlp = Mlp(mlp_sizes, zero_out=zero, rngs=rngs) if last_mlp else None
        self.last_norm = layer_norm(features, rngs=rngs) if last_norm else None

    def __call__(self, x, chi, pairs: PairGeometry, graph: Graph, fast: FastLayer | None = None):
        if fast is not None and fast.loops is not None:
            return self._in_c(x, chi, pairs, graph, fast, fast.loops)
        dx, dchi, attention = self.attention(x, chi, pairs, graph, fast)
        x, chi = x + dx, dchi if chi is None else chi + dchi
        if self.first_norm is not None:
            x = self.first_norm(x)
        if self.first_mlp is not None:
            x = x + self.first_mlp(jax.nn.silu(x))
        x, chi = self.exchange(x, chi)
        if self.last_mlp is not None:
            x = x + self.last_mlp(jax.nn.silu(x))
        if self.last_norm is not None:
            x = self.last_norm(x)
        return x, chi, attention

    def _in_c(self, x, chi, pairs: PairGeometry, graph: Graph, fast: FastLayer, loops: LoopWeights):
        """The same as :meth:`__call__` by the loops in C."""
        settings = self.attention.settings
        dx, dchi, attention = self.attention.in_c(x, chi, pairs, graph, fast, loops.pairs)
        chi = jnp.zeros_like(dchi) if chi is None else chi
        x, chi = update(Heads(settings.num_heads, settings.degrees), x, dx, chi, dchi, loops.atoms)
        return x, chi, attention


class So3krates(nnx.Module):
    """The whole network: structures in, energies out."""

    def __init__(self, settings: ModelSettings, *, rngs: Rngs):
        self.settings = settings
        features = settings.num_features
        self.element = embedding(MAX_ATOMIC_NUMBER + 1, features, rngs=rngs)
        self.charge = ChargeEmbedding(features, rngs=rngs) if settings.charge_embedding else None
        self.spin = ChargeEmbedding(features, rngs=rngs) if settings.spin_embedding else None
        self.layers = nnx.List([Layer(settings, rngs=rngs) for _ in range(settings.num_layers)])
        self.energy = EnergyHead(settings, rngs=rngs)
        self.repulsion = ShortRangeRepulsion() if settings.repulsion else None
        charged = settings.electrostatics != "none"
        self.partial_charges = PartialCharges(settings, rngs=rngs) if charged else None
        self.hirshfeld = HirshfeldRatios(settings, rngs=rngs) if settings.dispersion else None

    def embed(self, graph: Graph) -> Float[Array, "atoms features"]:
        """Initial features: the mean, over the square root of their number, of the embeddings present."""
        parts = [self.element(jnp.asarray(graph.atomic_numbers))]
        if self.charge is not None:
            parts.append(self.charge(graph, jnp.asarray(graph.total_charges)))
        if self.spin is not None:
            parts.append(self.spin(graph, jnp.asarray(graph.unpaired_electrons)))
        return sum(parts[1:], parts[0]) / np.sqrt(len(parts))

    def geometry(
        self, graph: Graph, strain: Float[Array, "structures 3 3"] | None, collapsed: Collapsed | None = None
    ) -> PairGeometry:
        """Distances, radial basis, cutoff and harmonics of all pairs."""
        settings = self.settings
        if collapsed is not None and collapsed.in_c:
            shape = Shape(
                Heads(settings.num_heads, settings.degrees),
                settings.cutoff_function,
                settings.cutoff,
                DECAY,
                SHORTEST,
            )
            found = geometry(shape, places_of(graph, strain), collapsed.mixing)
            return PairGeometry(found.distances, found.basis, found.weights, found.harmonics)
        vectors = displacements(graph, strain)
        distances = safe_norm(vectors)
        weights = cutoff_weight(distances, settings.cutoff_function, settings.cutoff)
        if collapsed is None:
            basis = radial_basis(distances, settings.radial_basis, settings.num_radial, settings.cutoff)
        else:
            basis = shared_basis(distances, collapsed.mixing, settings.cutoff)
        return PairGeometry(
            distances,
            basis,
            jnp.where(graph.pair_mask, weights, 0.0),
            spherical_harmonics(vectors / distances[:, None], settings.degrees),
        )

    def __call__(
        self,
        graph: Graph,
        strain: Float[Array, "structures 3 3"] | None = None,
        collapsed: Collapsed | None = None,
    ) -> NetworkOutput:
        """Energies of all structures of a graph.

        Args:
            graph: Structures with pairs below ``settings.cutoff``; further pairs change nothing. Models with
                long-range terms need ``graph.long_range``.
            strain: See :func:`so3lab.graph.displacements`.
            collapsed: Radial filters in their fast form, fitted to this network by :func:`so3lab.collapse.collapse`.
        """
        pairs = self.geometry(graph, strain, collapsed)
        x, attention = self.embed(graph), []
        chi: Any = None  # zero, before the first layer
        for number, layer in enumerate(self.layers):
            fast = None if collapsed is None else collapsed.layers[number]
            x, chi, weights = layer(x, chi, pairs, graph, fast)
            attention.append(weights)
        charges = None if self.partial_charges is None else self.partial_charges(x, graph)
        ratios = None if self.hirshfeld is None else self.hirshfeld(x, graph)
        terms = {"learned": atomic_term(self.energy(x, graph), graph)}
        if self.repulsion is not None:
            terms["repulsion"] = atomic_term(self.repulsion(pairs.distances, pairs.weights, graph), graph)
        in_c = collapsed is not None and collapsed.in_c
        terms |= self.long_range_terms(charges, ratios, graph, strain, in_c)
        stacked = AttentionWeights(*(jnp.stack(parts) for parts in zip(*attention, strict=True)))
        energies, atomic = (sum(parts) for parts in zip(*terms.values(), strict=True))
        by_name = {name: term.energies for name, term in terms.items()}
        return NetworkOutput(energies, atomic, x, chi, stacked, by_name, charges, ratios)

    def long_range_terms(self, charges, ratios, graph: Graph, strain, in_c: bool) -> dict[str, Term]:
        """Electrostatics and dispersion, those that the model has, on the far pairs."""
        if charges is None and ratios is None:
            return {}
        far, terms = graph.far, {}
        if in_c and charges is not None and ratios is not None and self.settings.electrostatics == "exact":
            return far_terms(charges, ratios, far, strain, self.settings)
        distances = safe_norm(displacements(far, strain))
        if charges is not None:
            terms["electrostatics"] = electrostatics_term(charges, distances, far, strain, self.settings)
        if ratios is not None:
            terms["dispersion"] = dispersion_term(ratios, distances, far, self.settings)
        return terms
