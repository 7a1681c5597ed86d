r"""SO3krates from top to bottom: embedding, Euclidean attention, exchange, readout.

Every atom carries invariant features x and Euclidean variables χ, one number per order of the
spherical harmonics. A layer updates both with attention over the neighbours, and lets them meet in
an exchange step through one invariant per degree; there are no tensor products. Attention weights are
signed and not normalised (no softmax).

Source: Frank, Unke, Müller, Chmiela, Nat. Commun. 15, 6539 (2024), in the sparse form whose published
weights are SO3LR (Kabylda et al., JACS 147, 33723, 2025). Pairs are undirected: the filters depend on
the distance and on squared norms of χ_j - χ_i only, so they are evaluated once and used both ways.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from so3lab.graph import Graph, at_atoms, displacements, sum_at_atoms, sum_per_structure
from so3lab.pairwise import ShortRangeRepulsion, Term, atomic_term, dispersion_term, electrostatics_term
from so3lab.radial import cutoff_weight, radial_basis
from so3lab.readout import ACTIVATIONS, EnergyHead, HirshfeldRatios, PartialCharges, kernel_init
from so3lab.safe import safe_norm
from so3lab.settings import MAX_ATOMIC_NUMBER, ModelSettings
from so3lab.spherical import contract, order_to_degree, parity, spherical_harmonics


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


def _heads_to_matrix(blocks: Float[Array, "heads out in"]) -> Float[Array, "features features"]:
    """Per-head matrices [heads, out, in] as one block-diagonal [in, out] matrix: one product for all heads."""
    heads, width, _ = blocks.shape
    identity = jnp.eye(heads, dtype=blocks.dtype)
    return jnp.einsum("hoi,hg->higo", blocks, identity).reshape(heads * width, heads * width)


def sum_within_heads(products: Float[Array, "pairs features"], heads: int) -> Float[Array, "pairs heads"]:
    """Sum over the features of each head."""
    return products.reshape(products.shape[0], heads, -1).sum(axis=-1)


def spread_over_heads(weights: Float[Array, "pairs heads"], features: int) -> Float[Array, "pairs features"]:
    """One number per head, repeated over the head's features."""
    return jnp.repeat(weights, features // weights.shape[1], axis=1)


class Mlp(nnx.Module):
    """Two dense layers with silu between."""

    def __init__(
        self, sizes: tuple[int, int, int], *, zero_out: bool = False, use_bias: bool = True, rngs: nnx.Rngs
    ):
        self.first = nnx.Linear(sizes[0], sizes[1], use_bias=use_bias, rngs=rngs)
        self.second = nnx.Linear(
            sizes[1], sizes[2], use_bias=use_bias, kernel_init=kernel_init(zero_out), rngs=rngs
        )

    def __call__(self, x: Float[Array, "*rows in"], activation=jax.nn.silu) -> Float[Array, "*rows out"]:
        return self.second(activation(self.first(x)))


class ChargeEmbedding(nnx.Module):
    """Spread a molecule's total charge (or number of unpaired electrons) over its atoms' features.

    Unke et al., SpookyNet, Nat. Commun. 12, 7273 (2021), eq. 10, without the softmax over features.
    Exactly zero for a neutral molecule.
    """

    def __init__(self, features: int, *, rngs: nnx.Rngs):
        table = nnx.initializers.normal(features**-0.5)
        self.query = nnx.Embed(MAX_ATOMIC_NUMBER + 1, features, embedding_init=table, rngs=rngs)
        self.key = nnx.Param(table(rngs.params(), (2, features)))
        self.value = nnx.Param(table(rngs.params(), (2, features)))
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
    """Pair filter: a function of the distance plus a function of the invariants of χ_j - χ_i."""

    def __init__(self, settings: ModelSettings, *, rngs: nnx.Rngs):
        features, degrees = settings.num_features, len(settings.degrees)
        self.radial = Mlp((settings.num_radial, features, features), rngs=rngs)
        self.geometric = Mlp((degrees, features // 4, features), rngs=rngs)

    def __call__(
        self, basis: Float[Array, "pairs basis"], invariants: Float[Array, "pairs degrees"] | None
    ) -> Float[Array, "pairs features"]:
        """``invariants`` None means all zero: the geometric part is then one vector for all pairs."""
        if invariants is None:
            return self.radial(basis) + self.geometric(
                jnp.zeros((1, self.geometric.first.in_features), basis.dtype)
            )
        return self.radial(basis) + self.geometric(invariants)


class HeadProjection(nnx.Module):
    """Linear map that acts within each head, without bias; stored as [heads, out, in]."""

    def __init__(self, features: int, heads: int, *, zero: bool = False, rngs: nnx.Rngs):
        width = features // heads
        init = nnx.initializers.zeros_init() if zero else nnx.initializers.lecun_normal(-1, -2, batch_axis=0)
        self.blocks = nnx.Param(init(rngs.params(), (heads, width, width)))

    def __call__(self, x: Float[Array, "atoms features"]) -> Float[Array, "atoms features"]:
        return x @ _heads_to_matrix(self.blocks[...])


class EuclideanAttention(nnx.Module):
    """Two attentions over neighbours that share nothing but their input: one on features with several
    heads, one on Euclidean variables with one head per degree."""

    def __init__(self, settings: ModelSettings, *, rngs: nnx.Rngs):
        self.settings = settings
        features, heads, degrees = settings.num_features, settings.num_heads, len(settings.degrees)
        self.filter_features = Filter(settings, rngs=rngs)
        self.filter_euclidean = Filter(settings, rngs=rngs)
        self.query_features = HeadProjection(features, heads, rngs=rngs)
        self.key_features = HeadProjection(features, heads, rngs=rngs)
        self.value_features = HeadProjection(features, heads, zero=settings.identity_at_init, rngs=rngs)
        self.query_euclidean = HeadProjection(features, degrees, rngs=rngs)
        self.key_euclidean = HeadProjection(features, degrees, rngs=rngs)

    def __call__(self, x, chi, pairs: PairGeometry, graph: Graph):
        """Sums of messages for features and Euclidean variables, and the attention weights."""
        settings, i, j = self.settings, graph.receivers, graph.senders
        invariants = None if chi is None else contract(at_atoms(chi, j) - at_atoms(chi, i), settings.degrees)
        activation = ACTIVATIONS[settings.qk_activation]
        weights = []
        for name, heads in (("features", settings.num_heads), ("euclidean", len(settings.degrees))):
            query = activation(getattr(self, f"query_{name}")(x))
            key = activation(getattr(self, f"key_{name}")(x))
            pair_filter = getattr(self, f"filter_{name}")(pairs.basis, invariants)
            scale = (pairs.weights / settings.attention_norm(heads))[:, None]
            weights.append(
                (
                    scale * sum_within_heads(at_atoms(query, i) * at_atoms(key, j) * pair_filter, heads),
                    scale * sum_within_heads(at_atoms(query, j) * at_atoms(key, i) * pair_filter, heads),
                )
            )
        (to_i, to_j), (chi_to_i, chi_to_j) = weights
        value = self.value_features(x)
        atoms, features = x.shape
        dx = sum_at_atoms(
            atoms,
            (i, spread_over_heads(to_i, features) * at_atoms(value, j)),
            (j, spread_over_heads(to_j, features) * at_atoms(value, i)),
        )
        spread = jnp.asarray(order_to_degree(settings.degrees).T, x.dtype)
        reversed_harmonics = pairs.harmonics * jnp.asarray(parity(settings.degrees), x.dtype)
        dchi = sum_at_atoms(
            atoms, (i, (chi_to_i @ spread) * pairs.harmonics), (j, (chi_to_j @ spread) * reversed_harmonics)
        )
        return dx, dchi, AttentionWeights(jnp.stack([to_i, to_j]), jnp.stack([chi_to_i, chi_to_j]))


class Exchange(nnx.Module):
    """Features and invariants of χ meet in one dense layer; its output shifts x and rescales χ by degree."""

    def __init__(self, settings: ModelSettings, *, rngs: nnx.Rngs):
        self.degrees = settings.degrees
        width = settings.num_features + len(settings.degrees)
        init = kernel_init(settings.identity_at_init)
        self.dense = nnx.Linear(width, width, kernel_init=init, rngs=rngs)

    def __call__(self, x, chi):
        mixed = self.dense(jnp.concatenate([x, contract(chi, self.degrees)], axis=-1))
        features = x.shape[-1]
        per_degree = mixed[:, features:] @ jnp.asarray(order_to_degree(self.degrees).T, x.dtype)
        return x + mixed[:, :features], chi + per_degree * chi


class Layer(nnx.Module):
    """One SO3krates layer: attention, normalisation, MLP, exchange, normalisation, in this order."""

    def __init__(self, settings: ModelSettings, *, rngs: nnx.Rngs):
        features = settings.num_features
        first_norm, last_norm = settings.layer_normalization
        first_mlp, last_mlp = settings.residual_mlp
        mlp_sizes, zero = (features, features, features), settings.identity_at_init
        self.attention = EuclideanAttention(settings, rngs=rngs)
        self.first_norm = nnx.LayerNorm(features, rngs=rngs) if first_norm else None
        self.first_mlp = Mlp(mlp_sizes, zero_out=zero, rngs=rngs) if first_mlp else None
        self.exchange = Exchange(settings, rngs=rngs)
        self.last_mlp = Mlp(mlp_sizes, zero_out=zero, rngs=rngs) if last_mlp else None
        self.last_norm = nnx.LayerNorm(features, rngs=rngs) if last_norm else None

    def __call__(self, x, chi, pairs: PairGeometry, graph: Graph):
        dx, dchi, attention = self.attention(x, chi, pairs, graph)
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


class So3krates(nnx.Module):
    """The whole network: structures in, energies out."""

    def __init__(self, settings: ModelSettings, *, rngs: nnx.Rngs):
        self.settings = settings
        features = settings.num_features
        table = nnx.initializers.normal(features**-0.5)
        self.element = nnx.Embed(MAX_ATOMIC_NUMBER + 1, features, embedding_init=table, rngs=rngs)
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

    def geometry(self, graph: Graph, strain: Float[Array, "structures 3 3"] | None) -> PairGeometry:
        """Distances, radial basis, cutoff and harmonics of all pairs."""
        settings = self.settings
        vectors = displacements(graph, strain)
        distances = safe_norm(vectors)
        weights = cutoff_weight(distances, settings.cutoff_function, settings.cutoff)
        return PairGeometry(
            distances,
            radial_basis(distances, settings.radial_basis, settings.num_radial, settings.cutoff),
            jnp.where(graph.pair_mask, weights, 0.0),
            spherical_harmonics(vectors / distances[:, None], settings.degrees),
        )

    def __call__(self, graph: Graph, strain: Float[Array, "structures 3 3"] | None = None) -> NetworkOutput:
        """Energies of all structures of a graph.

        Args:
            graph: Structures with pairs below ``settings.cutoff``; further pairs change nothing. Models with
                long-range terms need ``graph.long_range``.
            strain: See :func:`so3lab.graph.displacements`.
        """
        pairs = self.geometry(graph, strain)
        x, chi, first = self.layers[0](self.embed(graph), None, pairs, graph)
        attention = [first]
        for layer in self.layers[1:]:
            x, chi, weights = layer(x, chi, pairs, graph)
            attention.append(weights)
        charges = None if self.partial_charges is None else self.partial_charges(x, graph)
        ratios = None if self.hirshfeld is None else self.hirshfeld(x, graph)
        terms = {"learned": atomic_term(self.energy(x, graph), graph)}
        if self.repulsion is not None:
            terms["repulsion"] = atomic_term(self.repulsion(pairs.distances, pairs.weights, graph), graph)
        terms |= self.long_range_terms(charges, ratios, graph, strain)
        stacked = AttentionWeights(*(jnp.stack(parts) for parts in zip(*attention, strict=True)))
        energies, atomic = (sum(parts) for parts in zip(*terms.values(), strict=True))
        by_name = {name: term.energies for name, term in terms.items()}
        return NetworkOutput(energies, atomic, x, chi, stacked, by_name, charges, ratios)

    def long_range_terms(self, charges, ratios, graph: Graph, strain) -> dict[str, Term]:
        """Electrostatics and dispersion, those that the model has, on the far pairs."""
        if charges is None and ratios is None:
            return {}
        far, terms = graph.far, {}
        distances = safe_norm(displacements(far, strain))
        if charges is not None:
            terms["electrostatics"] = electrostatics_term(charges, distances, far, strain, self.settings)
        if ratios is not None:
            terms["dispersion"] = dispersion_term(ratios, distances, far, self.settings)
        return terms
