r"""SO3krates from top to bottom: embedding, layers of Euclidean attention, readout, long-range terms.

Every atom carries invariant features x and Euclidean variables χ, one number per order of the
spherical harmonics. A layer updates both with attention over the neighbours, and lets them meet in
an exchange step through one invariant per degree; there are no tensor products.

Pairs are undirected: filters depend on the distance and on squared norms of χ_j - χ_i only, so they are evaluated once
and used both ways. Attention weights are signed and not normalised (no softmax).

Source: Frank, Unke, Müller, Chmiela, Nat. Commun. 15, 6539 (2024), in the sparse form whose published
weights are SO3LR (Kabylda et al., JACS 147, 33723, 2025). :mod:`so3lab.engine` computes the same faster.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from so3lab.functions.radial import cutoff_weight, radial_basis
from so3lab.functions.safe import safe_norm
from so3lab.functions.spherical import contract, order_to_degree, parity, spherical_harmonics
from so3lab.network.dense import ClosedResidualMlp, Filter, HeadProjection, ResidualMlp
from so3lab.network.initializers import Rngs, dense, embedding, embedding_normal, layer_norm, weights
from so3lab.network.pairwise import ShortRangeRepulsion, Term, atomic_term, long_range_terms
from so3lab.network.readout import ACTIVATIONS, EnergyHead, HirshfeldRatios, PartialCharges
from so3lab.network.settings import MAX_ATOMIC_NUMBER, ModelSettings
from so3lab.structures.graph import Graph, displacements, gather, segment_sum, sum_per_structure


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


class Messages(NamedTuple):
    """What neighbours tell every atom in one layer."""

    features: Float[Array, "atoms features"]
    euclidean: Float[Array, "atoms orders"]
    attention: AttentionWeights


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


class ChargeEmbedding(nnx.Module):
    """Spread a molecule's total charge (or number of unpaired electrons) over its atoms' features.

    Unke et al., SpookyNet, Nat. Commun. 12, 7273 (2021), eq. 10, without the softmax over features.
    Exactly zero for a neutral molecule.
    """

    def __init__(self, features: int, *, rngs: Rngs):
        self.query = embedding(MAX_ATOMIC_NUMBER + 1, features, rngs=rngs)
        self.key = weights(embedding_normal(features), 2, features, rngs=rngs)
        self.value = weights(embedding_normal(features), 2, features, rngs=rngs)
        self.mlp = ResidualMlp(features, use_bias=False, rngs=rngs)

    def __call__(self, graph: Graph, charges: Float[Array, " structures"]) -> Float[Array, "atoms features"]:
        sign = (charges < 0).astype(jnp.int32)[graph.structure_index]  # [atoms]
        query = self.query(jnp.asarray(graph.atomic_numbers))  # [atoms, features]
        affinity = jax.nn.softplus(jnp.sum(query * self.key[...][sign], axis=-1) / np.sqrt(query.shape[-1]))
        total = sum_per_structure(affinity, graph)[graph.structure_index]
        total = jnp.where(graph.atom_mask, total, 1.0)
        share = charges[graph.structure_index] * affinity / total  # [atoms]
        return self.mlp(share[:, None] * self.value[...][sign])


class EuclideanAttention(nnx.Module):
    r"""Two attentions over neighbours that share nothing but their input: one on features with several heads, one on
    Euclidean variables with one head per degree.

    .. math:: \alpha_{ij}^h = \frac{f(d_{ij})}{N} \sum_{a \in h} q_{ia} w_{ija} k_{ja}, \quad
              \Delta x_i = \sum_j \alpha_{ij} v_j, \quad
              \Delta\chi_i^{l} = \sum_j \alpha_{ij}^{l} Y^l(\hat r_{ij})

    with queries q, keys k and values v linear in x within each head, the filter w, the cutoff f and a constant N.
    """

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

    def __call__(
        self,
        x: Float[Array, "atoms features"],
        chi: Float[Array, "atoms orders"] | None,
        pairs: PairGeometry,
        graph: Graph,
    ) -> Messages:
        """Sums of messages for features and Euclidean variables, and the attention weights.

        Args:
            x: Features of atoms.
            chi: Their Euclidean variables; None means zero, in the first layer.
            pairs: Geometry of the pairs.
            graph: Who pairs with whom.
        """
        settings, i, j = self.settings, graph.receivers, graph.senders
        activation, degrees = ACTIVATIONS[settings.qk_activation], settings.degrees
        invariants = None if chi is None else contract(gather(chi, j) - gather(chi, i), degrees)

        def weigh(query: HeadProjection, key: HeadProjection, pair_filter: Filter) -> Float[Array, "2 pairs heads"]:
            q, k = activation(query(x)), activation(key(x))  # [atoms, heads, width]
            w = pair_filter(pairs.basis, invariants)  # [pairs, heads, width]
            to_i = jnp.sum(gather(q, i) * w * gather(k, j), axis=-1)
            to_j = jnp.sum(gather(q, j) * w * gather(k, i), axis=-1)
            return (pairs.weights / settings.attention_norm(q.shape[1]))[:, None] * jnp.stack([to_i, to_j])

        alpha = weigh(self.query_features, self.key_features, self.filter_features)  # [2, pairs, heads]
        beta = weigh(self.query_euclidean, self.key_euclidean, self.filter_euclidean)  # [2, pairs, degrees]
        v = self.value_features(x)  # [atoms, heads, width]
        dx = segment_sum(x.shape[0], (i, alpha[0][:, :, None] * gather(v, j)), (j, alpha[1][:, :, None] * gather(v, i)))
        spread = jnp.asarray(order_to_degree(degrees).T, x.dtype)  # [degrees, orders]
        reversed_harmonics = pairs.harmonics * jnp.asarray(parity(degrees), x.dtype)
        dchi = segment_sum(
            x.shape[0],
            (i, (beta[0] @ spread) * pairs.harmonics),
            (j, (beta[1] @ spread) * reversed_harmonics),
        )
        return Messages(dx.reshape(x.shape), dchi, AttentionWeights(alpha, beta))


Attend = Callable[[Float[Array, "atoms features"], Float[Array, "atoms orders"] | None, PairGeometry, Graph], Messages]
"""An attention, in this form or another."""


class Exchange(nnx.Module):
    """Features and invariants of χ meet in one dense layer; it says what to add to x, and by what to rescale χ."""

    def __init__(self, settings: ModelSettings, *, rngs: Rngs):
        self.degrees = settings.degrees
        width = settings.num_features + len(settings.degrees)
        self.dense = dense(width, width, zero=settings.identity_at_init, rngs=rngs)

    def __call__(
        self, x: Float[Array, "atoms features"], chi: Float[Array, "atoms orders"]
    ) -> tuple[Float[Array, "atoms features"], Float[Array, "atoms orders"]]:
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

    def __call__(
        self,
        x: Float[Array, "atoms features"],
        chi: Float[Array, "atoms orders"] | None,
        pairs: PairGeometry,
        graph: Graph,
        attend: Attend | None = None,
    ) -> tuple[Float[Array, "atoms features"], Float[Array, "atoms orders"], AttentionWeights]:
        """New features and Euclidean variables, and the attention weights.

        Args:
            x: Features of atoms.
            chi: Their Euclidean variables; None means zero, in the first layer.
            pairs: Geometry of the pairs.
            graph: Who pairs with whom.
            attend: What computes the attention; default: this layer's own.
        """
        before, after = self.norm_first, not self.norm_first
        told = (attend or self.attention)(_through(self.first_norm, x, before), chi, pairs, graph)
        x = _through(self.first_norm, x + told.features, after)
        chi = told.euclidean if chi is None else chi + told.euclidean
        x = _through(self.first_mlp, x)
        dx, dchi = self.exchange(_through(self.last_norm, x, before), chi)
        x = _through(self.last_mlp, x + dx)
        return _through(self.last_norm, x, after), chi + dchi, told.attention


def _through(
    part: Callable[[Float[Array, "atoms features"]], Float[Array, "atoms features"]] | None,
    x: Float[Array, "atoms features"],
    here: bool = True,
) -> Float[Array, "atoms features"]:
    """Features after a part that a layer may lack, or have elsewhere."""
    return part(x) if here and part is not None else x


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

    def __call__(self, graph: Graph, strain: Float[Array, "structures 3 3"] | None = None) -> NetworkOutput:
        """Energies of all structures of a graph.

        Args:
            graph: Structures with pairs below ``settings.cutoff``; further pairs change nothing. Models with
                long-range terms need ``graph.long_range``.
            strain: See :func:`so3lab.structures.graph.displacements`.
        """
        pairs = self.geometry(graph, strain)
        x, chi, attention = self.embed(graph), None, []  # χ is zero before the first layer
        for layer in self.layers:
            x, chi, alpha = layer(x, chi, pairs, graph)
            attention.append(alpha)
        assert chi is not None
        return self.read_out(x, chi, attention, pairs, graph, strain)

    def geometry(self, graph: Graph, strain: Float[Array, "structures 3 3"] | None) -> PairGeometry:
        """Distances, radial basis, cutoff and harmonics of all pairs."""
        settings, vectors = self.settings, displacements(graph, strain)  # [pairs, 3]
        distances = safe_norm(vectors)
        cutoffs = cutoff_weight(distances, settings.cutoff_function, settings.cutoff)
        return PairGeometry(
            distances,
            radial_basis(distances, settings.radial_basis, settings.num_radial, settings.cutoff),
            jnp.where(graph.pair_mask, cutoffs, 0.0),
            spherical_harmonics(vectors / distances[:, None], settings.degrees),
        )

    def embed(self, graph: Graph) -> Float[Array, "atoms features"]:
        """Initial features: the mean, over the square root of their number, of the embeddings present."""
        parts = [self.element(jnp.asarray(graph.atomic_numbers))]
        if self.charge is not None:
            parts.append(self.charge(graph, jnp.asarray(graph.total_charges)))
        if self.spin is not None:
            parts.append(self.spin(graph, jnp.asarray(graph.unpaired_electrons)))
        mean: Float[Array, "atoms features"] = sum(parts[1:], parts[0]) / np.sqrt(len(parts))
        return mean

    def read_out(
        self,
        x: Float[Array, "atoms features"],
        chi: Float[Array, "atoms orders"],
        attention: list[AttentionWeights],
        pairs: PairGeometry,
        graph: Graph,
        strain: Float[Array, "structures 3 3"] | None,
        long_range: Callable[..., dict[str, Term]] = long_range_terms,
    ) -> NetworkOutput:
        """What the final features say.

        Args:
            x: Features after the last layer.
            chi: Euclidean variables after the last layer.
            attention: Of each layer.
            pairs: Geometry of the pairs.
            graph: The structures.
            strain: See :func:`so3lab.structures.graph.displacements`.
            long_range: What computes the long-range terms.
        """
        charges = None if self.partial_charges is None else self.partial_charges(x, graph)
        ratios = None if self.hirshfeld is None else self.hirshfeld(x, graph)
        terms = {"learned": atomic_term(self.energy(x, graph), graph)}
        if self.repulsion is not None:
            terms["repulsion"] = atomic_term(self.repulsion(pairs.distances, pairs.weights, graph), graph)
        terms |= long_range(charges, ratios, graph, strain, self.settings)
        stacked = AttentionWeights(*(jnp.stack(parts) for parts in zip(*attention, strict=True)))
        energies, atomic = (sum(parts) for parts in zip(*terms.values(), strict=True))
        by_name = {name: term.energies for name, term in terms.items()}
        return NetworkOutput(energies, atomic, x, chi, stacked, by_name, charges, ratios)
