"""What is read off the final features of an atom: its energy, its partial charge, its Hirshfeld volume ratio."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from so3lab.network.initializers import Rngs, dense, embedding_normal, ones, weights, zeros
from so3lab.network.settings import MAX_ATOMIC_NUMBER, Activation, ModelSettings
from so3lab.structures.graph import Graph, sum_per_structure

ACTIVATIONS: dict[Activation, Callable[[Float[Array, "..."]], Float[Array, "..."]]] = {
    "silu": jax.nn.silu,
    "identity": lambda x: x,
}


class EnergyHead(nnx.Module):
    """Atomic energies from features: ``scale[z] * (w1 act(w0 x + b0) + b1) + shift[z]``, in eV."""

    def __init__(self, settings: ModelSettings, *, rngs: Rngs):
        self.activation = ACTIVATIONS[settings.energy_activation]
        hidden = settings.energy_hidden
        self.hidden = dense(settings.num_features, hidden, rngs=rngs) if hidden else None
        zero = settings.zero_energy_at_init
        self.final = dense(hidden or settings.num_features, 1, zero=zero, rngs=rngs)
        elements = MAX_ATOMIC_NUMBER + 1
        self.scales = weights(ones, elements, rngs=rngs) if settings.learn_atomic_scales else None
        self.shifts = weights(zeros, elements, rngs=rngs) if settings.learn_atomic_shifts else None

    def __call__(self, x: Float[Array, "atoms features"], graph: Graph) -> Float[Array, " atoms"]:
        if self.hidden is not None:
            x = self.activation(self.hidden(x))
        energies = self.final(x)[:, 0]
        if self.scales is not None:
            energies = self.scales[...][graph.atomic_numbers] * energies
        if self.shifts is not None:
            energies = energies + self.shifts[...][graph.atomic_numbers]
        return energies


class PartialCharges(nnx.Module):
    r"""Partial charges from features, shifted equally so that they sum to the total charge of the structure.

    .. math:: q_i = \tilde q_i + \frac{1}{N}\Big(Q - \sum_j \tilde q_j\Big), \quad
              \tilde q_i = w_1\,\mathrm{silu}(W_0 x_i + b_0) + b_1 + c[z_i]

    Source: Kabylda et al., JACS 147, 33723 (2025), as in their program.
    """

    def __init__(self, settings: ModelSettings, *, rngs: Rngs):
        width = settings.energy_hidden or settings.num_features
        self.hidden = dense(settings.num_features, width, rngs=rngs)
        self.final = dense(width, 1, rngs=rngs)
        self.element_bias = weights(zeros, MAX_ATOMIC_NUMBER + 1, rngs=rngs)

    def __call__(self, x: Float[Array, "atoms features"], graph: Graph) -> Float[Array, " atoms"]:
        """Charges in e, zero on padding."""
        raw = self.final(jax.nn.silu(self.hidden(x)))[:, 0] + self.element_bias[...][graph.atomic_numbers]
        raw = jnp.where(graph.atom_mask, raw, 0.0)
        sizes = jnp.maximum(sum_per_structure(jnp.ones_like(raw), graph), 1.0)
        missing = (jnp.asarray(graph.total_charges) - sum_per_structure(raw, graph)) / sizes
        return jnp.where(graph.atom_mask, raw + missing[graph.structure_index], 0.0)


class HirshfeldRatios(nnx.Module):
    r"""Volume of an atom in its surroundings over that of the free atom.

    .. math:: h_i = \Big| b[z_i] + \tfrac{1}{\sqrt{F/2}}\, q[z_i] \cdot (W_1\,\mathrm{silu}(W_0 x_i + b_0) + b_1) \Big|

    Source: Kabylda et al., JACS 147, 33723 (2025), as in their program.
    """

    def __init__(self, settings: ModelSettings, *, rngs: Rngs):
        hidden, width = (settings.energy_hidden or settings.num_features) // 2, settings.num_features // 2
        self.hidden = dense(settings.num_features, hidden, rngs=rngs)
        self.final = dense(hidden, width, rngs=rngs)
        self.element_bias = weights(ones, MAX_ATOMIC_NUMBER + 1, rngs=rngs)
        self.element_query = weights(embedding_normal(width), MAX_ATOMIC_NUMBER + 1, width, rngs=rngs)

    def __call__(self, x: Float[Array, "atoms features"], graph: Graph) -> Float[Array, " atoms"]:
        """Ratios without unit, not negative."""
        query = self.element_query[...][graph.atomic_numbers]
        key = self.final(jax.nn.silu(self.hidden(x)))
        product = jnp.sum(query * key, axis=-1) / np.sqrt(query.shape[-1])
        return jnp.abs(self.element_bias[...][graph.atomic_numbers] + product)
