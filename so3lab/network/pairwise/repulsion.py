"""Repulsion of nuclei that come too close: a screened Coulomb energy that ends at 1.5 Å."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from so3lab import units
from so3lab.functions.safe import switch
from so3lab.structures.graph import Graph, segment_sum
from so3lab.structures.neighbors import HostOrDevice

REPULSION_RANGE = 1.5
"""Distance in Å beyond which the repulsion is exactly zero."""


def _inverse_softplus(value: float) -> float:
    return float(np.log(np.expm1(value)))


class ShortRangeRepulsion(nnx.Module):
    r"""Screened nuclear repulsion in the form of Ziegler, Biersack and Littmark, with learned parameters.

    .. math:: E = k_e \frac{z_i z_j}{d} \sum_k c_k e^{-a_k d (z_i^p + z_j^p) q}

    switched off smoothly between 0 and 1.5 Å. All ten parameters are positive through a softplus and the
    ``c`` are normalised. Source: as in SO3LR (Kabylda et al., JACS 147, 33723, 2025).
    """

    def __init__(self) -> None:
        def start(*values: float) -> nnx.Param[HostOrDevice]:
            return nnx.Param(np.array([_inverse_softplus(value) for value in values], np.float32))

        self.exponents = start(3.2, 0.9423, 0.4028, 0.2016)
        self.coefficients = start(0.1818, 0.5099, 0.2802, 0.02817)
        self.power = start(0.23)
        self.inverse_length = start(1.0 / (0.8854 * units.bohr))

    def __call__(
        self, distances: Float[Array, " pairs"], weights: Float[Array, " pairs"], graph: Graph
    ) -> Float[Array, " atoms"]:
        """Repulsion energy in eV, half of each pair's to either atom.

        Args:
            distances: Å, positive.
            weights: Cutoff weights, 0 on padding.
            graph: The structures, for elements and pairs.
        """
        a = jax.nn.softplus(self.exponents[...])
        c = jax.nn.softplus(self.coefficients[...])
        power, inverse_length = jax.nn.softplus(self.power[...]), jax.nn.softplus(self.inverse_length[...])
        z = graph.atomic_numbers.astype(distances.dtype)
        reach = jnp.where(z > 0, jnp.maximum(z, 1.0) ** power, 0.0) * inverse_length
        i, j = graph.receivers, graph.senders
        screening = jnp.exp(-a * (distances * (reach[i] + reach[j]))[:, None]) @ (c / c.sum())
        energies = units.coulomb_constant * z[i] * z[j] / distances * screening
        half = 0.5 * weights * switch(distances, 0.0, REPULSION_RANGE) * energies
        return segment_sum(z.shape[0], (i, half), (j, half))
