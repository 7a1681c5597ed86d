"""Dispersion and exact electrostatics together, their pairs by the loops in C: the terms of dynamics on CPU."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from so3lab import units
from so3lab.engine.kernels import (
    COULOMB_BY_PAIRS,
    TRUNCATED,
    FarAtoms,
    FarConstants,
    Heads,
    far_energies,
    places_of,
)
from so3lab.network.pairwise.dispersion import oscillators
from so3lab.network.pairwise.electrostatics import reciprocal_term
from so3lab.network.pairwise.term import Term, atomic_term
from so3lab.network.pairwise.truncation import truncation
from so3lab.network.settings import ModelSettings
from so3lab.structures.graph import Graph


def far_terms(
    charges: Float[Array, " atoms"],
    ratios: Float[Array, " atoms"],
    far: Graph,
    strain: Float[Array, "structures 3 3"] | None,
    settings: ModelSettings,
) -> dict[str, Term]:
    """Energies in eV of the far pairs, and of the waves of cells.

    Args:
        charges: Partial charges in e, zero on padding.
        ratios: Hirshfeld volume ratios.
        far: The graph with far pairs, :attr:`so3lab.structures.graph.Graph.far`.
        strain: See :func:`so3lab.structures.graph.displacements`.
        settings: Of a network with both terms and exact electrostatics.
    """
    assert far.long_range is not None
    structures, ends = far.num_structures, truncation(settings, far)
    periodic = jnp.zeros(structures, bool) if far.long_range.periodic is None else far.long_range.periodic
    kind = jnp.where(jnp.asarray(periodic), 0, COULOMB_BY_PAIRS)
    if ends is not None:
        kind = kind + jnp.where(ends.structures, TRUNCATED, 0)
    constants = FarConstants(
        Heads(settings.num_heads, settings.degrees), units.bohr, units.hartree, units.coulomb_constant,
        settings.dispersion_scale, ends.cutoff if ends is not None else np.inf, settings.dispersion_damping,
        settings.screening_length,
    )  # fmt: skip
    polarizability, ratio = oscillators(ratios, far)
    dispersion, coulomb = far_energies(
        constants, places_of(far, strain), FarAtoms(polarizability, charges), ratio, kind.astype(jnp.int32)
    )
    electrostatics = atomic_term(coulomb, far)
    if far.long_range.periodic is not None:
        waves = reciprocal_term(charges, far, strain, settings.screening_length)
        electrostatics = Term(*(a + b for a, b in zip(electrostatics, waves, strict=True)))
    return {"electrostatics": electrostatics, "dispersion": atomic_term(dispersion, far)}
