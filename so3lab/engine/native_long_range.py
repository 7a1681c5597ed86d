"""Dispersion and electrostatics together, their pairs by the loops in C: the long-range terms of dynamics on CPU."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from so3lab import units
from so3lab.engine.kernels import (
    COULOMB_BY_PAIRS,
    COULOMB_ENDS,
    TRUNCATED,
    FarAtoms,
    FarConstants,
    HeadLayout,
    far_energies,
    pair_inputs,
)
from so3lab.network.pairwise import Term, atomic_term, long_range_terms
from so3lab.network.pairwise.dispersion import oscillators
from so3lab.network.pairwise.electrostatics import BLEND_START, end_of_coulomb, reciprocal_term, self_energies
from so3lab.network.pairwise.truncation import truncation
from so3lab.network.settings import ModelSettings
from so3lab.structures.graph import Graph


def native_long_range_terms(
    charges: Float[Array, " atoms"] | None,
    ratios: Float[Array, " atoms"] | None,
    graph: Graph,
    strain: Float[Array, "structures 3 3"] | None,
    settings: ModelSettings,
) -> dict[str, Term]:
    """The same as :func:`so3lab.network.pairwise.long_range_terms`, whose arguments these are; faster where a model has
    both terms."""
    if charges is None or ratios is None:
        return long_range_terms(charges, ratios, graph, strain, settings)
    far = graph.long_range_graph
    assert far.long_range is not None
    structures, sigma, ends = far.num_structures, settings.screening_length, truncation(settings, far)
    cells, exact = far.long_range.periodic, settings.electrostatics == "exact"
    kind = jnp.full(structures, COULOMB_BY_PAIRS)
    if exact and cells is not None:
        kind = jnp.where(jnp.asarray(cells), 0, kind)
    if ends is not None:
        kind = kind + jnp.where(ends.structures, TRUNCATED if exact else TRUNCATED + COULOMB_ENDS, 0)
    cutoff = np.inf if ends is None else ends.cutoff
    end_of_charges = (0.0, 0.0, 0.0) if ends is None else (*end_of_coulomb(cutoff, sigma), BLEND_START * cutoff)
    constants = FarConstants(
        HeadLayout(settings.num_heads, settings.degrees), units.bohr, units.hartree, units.coulomb_constant,
        settings.dispersion_scale, cutoff, settings.dispersion_damping, sigma, *end_of_charges,
    )  # fmt: skip
    polarizability, ratio = oscillators(ratios, far)
    dispersion, coulomb = far_energies(
        constants, pair_inputs(far, strain), FarAtoms(polarizability, charges), ratio, kind.astype(jnp.int32)
    )
    if ends is not None and settings.electrostatics == "wolf":
        coulomb = coulomb + self_energies(charges, far, ends, sigma)
    electrostatics = atomic_term(coulomb, far)
    if exact and cells is not None:
        waves = reciprocal_term(charges, far, strain, sigma)
        electrostatics = Term(*(a + b for a, b in zip(electrostatics, waves, strict=True)))
    return {"electrostatics": electrostatics, "dispersion": atomic_term(dispersion, far)}
