r"""SO3krates from top to bottom: embedding, layers of Euclidean attention, readout, long-range terms.

Every atom carries invariant features x and Euclidean variables χ, one number per order of the
spherical harmonics. A layer updates both with attention over the neighbours, and lets them meet in
an exchange step through one invariant per degree; there are no tensor products.

Source: Frank, Unke, Müller, Chmiela, Nat. Commun. 15, 6539 (2024), in the sparse form whose published
weights are SO3LR (Kabylda et al., JACS 147, 33723, 2025).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from so3lab.engine.compressed_filters import DECAY, SHORTEST, Collapsed, shared_basis
from so3lab.engine.kernels import Heads, Shape, geometry, places_of
from so3lab.functions.radial import cutoff_weight, radial_basis
from so3lab.functions.safe import safe_norm
from so3lab.functions.spherical import spherical_harmonics
from so3lab.network.dense import ResidualMlp
from so3lab.network.initializers import Rngs, embedding, embedding_normal, weights
from so3lab.network.layer import AttentionWeights, Layer, PairGeometry
from so3lab.network.pairwise import (
    ShortRangeRepulsion,
    Term,
    atomic_term,
    dispersion_term,
    electrostatics_term,
    far_terms,
)
from so3lab.network.readout import EnergyHead, HirshfeldRatios, PartialCharges
from so3lab.network.settings import MAX_ATOMIC_NUMBER, ModelSettings
from so3lab.structures.graph import Graph, displacements, sum_per_structure


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
        sign = (charges < 0).astype(jnp.int32)[graph.structure_index]
        query = self.query(jnp.asarray(graph.atomic_numbers))
        affinity = jax.nn.softplus(jnp.sum(query * self.key[...][sign], axis=-1) / np.sqrt(query.shape[-1]))
        total = sum_per_structure(affinity, graph)[graph.structure_index]
        total = jnp.where(graph.atom_mask, total, 1.0)
        share = charges[graph.structure_index] * affinity / total
        return self.mlp(share[:, None] * self.value[...][sign])


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
            strain: See :func:`so3lab.structures.graph.displacements`.
            collapsed: Radial filters in their fast form, fitted to this network by
                :func:`so3lab.engine.compressed_filters.collapse`.
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
