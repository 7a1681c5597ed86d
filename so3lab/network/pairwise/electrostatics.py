r"""Energy of partial charges that interact through erf(r/σ)/r, in three modes.

``exact``
    No truncation in molecules; in cells the Ewald sum, which for this smooth interaction has no part in
    real space (:mod:`so3lab.network.pairwise.ewald`). The surface that SO3LR was trained on.
``wolf``
    Truncated at a cutoff, with the self term of Wolf et al., J. Chem. Phys. 110, 8254 (1999).
``compat``
    Truncated without the self term, as in the published SO3LR program. Because charges depend on the
    geometry, its forces differ from the exact ones by up to 0.5 eV/Å; it is there to compare numbers.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from so3lab import units
from so3lab.functions.safe import switch
from so3lab.network.pairwise.ewald import reciprocal_energies
from so3lab.network.pairwise.term import Term, atomic_term, pair_term
from so3lab.network.pairwise.truncation import Truncation, truncation
from so3lab.network.settings import ModelSettings
from so3lab.structures.graph import Graph, gather, structure_of_pairs

BLEND_START = 0.45
"""Fraction of the cutoff from which the truncated interaction goes over from shifted to force-shifted."""


def electrostatics_term(
    charges: Float[Array, " atoms"],
    distances: Float[Array, " pairs"],
    far: Graph,
    strain: Float[Array, "structures 3 3"] | None,
    settings: ModelSettings,
) -> Term:
    """Electrostatic energies in eV in the mode of the settings.

    Args:
        charges: Partial charges in e, zero on padding.
        distances: Lengths of the far pairs in Å.
        far: The graph with far pairs, :attr:`so3lab.structures.graph.Graph.long_range_graph`.
        strain: See :func:`so3lab.structures.graph.displacements`.
        settings: For mode, screening length and cutoff.
    """
    if settings.electrostatics == "exact":
        return _exact(charges, distances, far, strain, settings.screening_length)
    return _truncated(charges, distances, far, settings)


def screened_coulomb(distances: Float[Array, "*any"], screening_length: float) -> Float[Array, "*any"]:
    r"""The interaction of unit charges :math:`\mathrm{erf}(r/\sigma)/r` in 1/Å, smooth down to r = 0.

    Args:
        distances: Å, not negative.
        screening_length: σ in Å.
    """
    x = distances / screening_length
    near = x < 0.01
    squares = x * x
    series = 2.0 / math.sqrt(math.pi) * (1.0 - squares / 3.0 + squares * squares / 10.0)
    away = jnp.where(near, 1.0, x)
    return jnp.where(near, series, jax.lax.erf(away) / away) / screening_length


def end_of_coulomb(cutoff: float, screening_length: float) -> tuple[float, float]:
    """The screened interaction at the cutoff, in 1/Å, and its derivative there, in 1/Å²."""
    x = cutoff / screening_length
    gauss = 2.0 * math.exp(-x * x) / (math.sqrt(math.pi) * screening_length * cutoff)
    return math.erf(x) / cutoff, gauss - math.erf(x) / cutoff**2


def truncated_coulomb(distances: Float[Array, "*any"], screening_length: float, cutoff: float) -> Float[Array, "*any"]:
    r"""The screened interaction, shifted near and force-shifted at the cutoff, so that it ends smoothly.

    .. math:: V(r) - V(r_c) - (1 - f(r))\,V'(r_c)\,(r - r_c), \quad f = \mathrm{switch}(r; 0.45\,r_c, r_c)

    Args:
        distances: Å.
        screening_length: σ in Å.
        cutoff: :math:`r_c` in Å.
    """
    value, slope = end_of_coulomb(cutoff, screening_length)
    inside = jnp.minimum(distances, cutoff)
    blend = 1.0 - switch(inside, BLEND_START * cutoff, cutoff)
    return screened_coulomb(inside, screening_length) - value - blend * slope * (inside - cutoff)


def _charge_products(charges: Float[Array, " atoms"], graph: Graph) -> Float[Array, " pairs"]:
    """Products of the charges of pairs, times the Coulomb constant; zero on padding."""
    products = gather(charges, graph.receivers) * gather(charges, graph.senders)
    return jnp.where(graph.pair_mask, units.coulomb_constant * products, 0.0)


def _exact(
    charges: Float[Array, " atoms"],
    distances: Float[Array, " pairs"],
    far: Graph,
    strain: Float[Array, "structures 3 3"] | None,
    screening_length: float,
) -> Term:
    """Pairs of molecules and waves of cells; pairs of cells are there for other terms."""
    assert far.long_range is not None
    periodic = far.long_range.periodic
    if periodic is None:
        return pair_term(_charge_products(charges, far) * screened_coulomb(distances, screening_length), far)
    waves = reciprocal_term(charges, far, strain, screening_length)
    if far.num_structures == 1:
        return waves
    products = jnp.where(jnp.asarray(periodic)[structure_of_pairs(far)], 0.0, _charge_products(charges, far))
    pairs = pair_term(products * screened_coulomb(distances, screening_length), far)
    return Term(*(a + b for a, b in zip(pairs, waves, strict=True)))


def reciprocal_term(
    charges: Float[Array, " atoms"],
    far: Graph,
    strain: Float[Array, "structures 3 3"] | None,
    screening_length: float,
) -> Term:
    """Energies of the cells among the structures as sums over waves, in eV.

    The energy is quadratic in the charges, so half of charge times derivative is an atom's share."""

    def energy(q: Float[Array, " atoms"]) -> Float[Array, " structures"]:
        return reciprocal_energies(q, far, strain, screening_length)

    shares = 0.5 * charges * jax.grad(lambda q: energy(q).sum())(charges)
    return Term(energy(charges), shares)


def _truncated(
    charges: Float[Array, " atoms"], distances: Float[Array, " pairs"], far: Graph, settings: ModelSettings
) -> Term:
    sigma, ends = settings.screening_length, truncation(settings, far)
    interaction = screened_coulomb(distances, sigma)
    if ends is not None:
        interaction = ends.choose(far, truncated_coulomb(distances, sigma, ends.cutoff), interaction)
    pairs = pair_term(_charge_products(charges, far) * interaction, far)
    if ends is None or settings.electrostatics == "compat":
        return pairs
    own = atomic_term(self_energies(charges, far, ends, sigma), far)
    return Term(*(a + b for a, b in zip(pairs, own, strict=True)))


def self_energies(
    charges: Float[Array, " atoms"], graph: Graph, ends: Truncation, sigma: float
) -> Float[Array, " atoms"]:
    """Energy of each charge with the one that neutralises its sphere, :math:`-k_e V(r_c) q^2 / 2`."""
    factor = -0.5 * units.coulomb_constant * math.erf(ends.cutoff / sigma) / ends.cutoff
    return jnp.where(ends.structures[graph.structure_index], factor * charges * charges, 0.0)
