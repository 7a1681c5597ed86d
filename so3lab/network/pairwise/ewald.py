r"""Exact electrostatics of a cell as a sum over waves: the interaction erf(r/σ)/r needs no part in real space.

.. math:: E = k_e \Big[ \frac{2\pi}{V} \sum_{k \ne 0} \frac{e^{-k^2 \sigma^2/4}}{k^2} |S(k)|^2
          - \frac{1}{\sqrt{\pi}\,\sigma} \sum_i q_i^2 \Big], \quad S(k) = \sum_i q_i e^{i k \cdot R_i}

erf(r/σ)/r is the smooth half of an Ewald split, its Fourier transform the Gaussian above (Ewald, Ann. Phys.
369, 253, 1921). The surroundings are a conductor; the k = 0 wave is left out, which for a charged cell means a
uniform neutralising background.
"""

import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from so3lab import units
from so3lab.network.pairwise.mesh import mesh_energy
from so3lab.network.pairwise.waves import fractional, gaussian_weight, reciprocal_cells
from so3lab.structures.graph import Graph

SMALLEST_EXPONENT = 4.0
"""Waves with kσ/2 above this are left out: their weight is below exp(-16), about 1e-7."""


def wave_vectors(cell: Float[np.ndarray, "3 3"], screening_length: float) -> Int[np.ndarray, "waves 3"]:
    """Half of the k vectors of the sum (k and -k are the same wave), as multiples of the reciprocal vectors.

    Args:
        cell: Lattice vectors as rows, Å.
        screening_length: σ in Å.
    """
    cell = np.asarray(cell, np.float64)
    largest = 2.0 * SMALLEST_EXPONENT / screening_length
    reach = np.floor(largest * np.linalg.norm(cell, axis=1) / (2.0 * np.pi)).astype(int)
    grids = np.meshgrid(*(np.arange(-r, r + 1) for r in reach), indexing="ij")
    multiples = np.stack(grids, axis=-1).reshape(-1, 3)
    half = multiples[len(multiples) // 2 + 1 :]  # the grid is symmetric: the middle is zero
    waves = 2.0 * np.pi * half @ np.linalg.inv(cell).T
    within: Int[np.ndarray, "waves 3"] = half[np.sum(waves * waves, axis=1) <= largest**2].astype(np.int32)
    return within


def reciprocal_energies(
    charges: Float[Array, " atoms"],
    graph: Graph,
    strain: Float[Array, "structures 3 3"] | None,
    screening_length: float,
) -> Float[Array, " structures"]:
    """Electrostatic energies of the cells among the structures, in eV; zero for molecules.

    Args:
        charges: Partial charges in e, zero on padding.
        graph: Structures with ``long_range.waves`` or ``long_range.mesh``.
        strain: See :func:`so3lab.structures.graph.displacements`.
        screening_length: σ in Å.
    """
    extra = graph.long_range
    assert extra is not None
    assert extra.periodic is not None
    if extra.mesh is not None:
        found = mesh_energy(charges, graph, strain, screening_length)[None]
    else:
        found = _wave_sum(charges, graph, strain, screening_length)
    own = _per_structure(charges * charges, graph) / (math.sqrt(math.pi) * screening_length)
    return units.coulomb_constant * jnp.where(jnp.asarray(extra.periodic), found - own, 0.0)


def _per_structure(rows: Float[Array, "atoms *rest"], graph: Graph) -> Float[Array, "structures *rest"]:
    """Sums over atoms of rows that are zero on padding."""
    if graph.num_structures == 1:
        return rows.sum(axis=0)[None]
    return jnp.zeros((graph.num_structures, *rows.shape[1:]), rows.dtype).at[graph.structure_index].add(rows)


def _wave_sum(
    charges: Float[Array, " atoms"],
    graph: Graph,
    strain: Float[Array, "structures 3 3"] | None,
    screening_length: float,
) -> Float[Array, " structures"]:
    """The sum over waves in e²/Å."""
    assert graph.long_range is not None
    assert graph.long_range.waves is not None
    waves = jnp.asarray(graph.long_range.waves).astype(charges.dtype)
    reciprocal, volumes = reciprocal_cells(graph, strain)
    fractions = fractional(graph)
    if graph.num_structures == 1:
        turns = fractions @ waves[0].T
    else:
        turns = jnp.einsum("ai,aki->ak", fractions, waves[graph.structure_index])
    phases = 2.0 * jnp.pi * (turns - jnp.round(turns))
    cosines = _per_structure(charges[:, None] * jnp.cos(phases), graph)
    sines = _per_structure(charges[:, None] * jnp.sin(phases), graph)
    weights = gaussian_weight(jnp.einsum("ski,sij->skj", waves, reciprocal), screening_length)
    return 4.0 * jnp.pi / volumes * jnp.sum(weights * (cosines**2 + sines**2), axis=1)
