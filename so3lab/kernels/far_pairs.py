"""Energies of far pairs by the loops in C: dispersion, and electrostatics of molecules without truncation.

The same numbers as :mod:`so3lab.pairwise.dispersion` and ``exact`` of :mod:`so3lab.pairwise.electrostatics`, which have
the formulas, in one function with its reverse pass.
"""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from so3lab.kernels.library import call, shape_like

TRUNCATED, COULOMB_BY_PAIRS = 1, 2
"""Kinds of structures, to be added: dispersion ends at the cutoff; charges interact by pairs."""
_KEPT = 5  # numbers kept for each pair; as in the source


class FarPairs(NamedTuple):
    """Who meets whom, and where structures are periodic."""

    receivers: Int[Array, " pairs"]
    senders: Int[Array, " pairs"]
    mask: Bool[Array, " pairs"]
    images: Int[Array, "pairs_or_none 3"]
    structure_index: Int[Array, " atoms"]
    kind: Int[Array, " structures"]


class FarConstants(NamedTuple):
    """Numbers of the formulas."""

    bohr: float  # Å
    hartree: float  # eV
    coulomb: float  # eV Å
    scale: float
    cutoff: float  # Å
    window: float  # Å, in which dispersion is switched off
    screening_length: float  # Å


class FarAtoms(NamedTuple):
    """What energies depend on."""

    positions: Float[Array, "atoms 3"]  # Å
    strain: Float[Array, "structures_or_none 3 3"]
    polarizability: Float[Array, " atoms"]  # atomic units
    charges: Float[Array, " atoms"]  # e


def far_energies(
    constants: FarConstants,
    atoms: FarAtoms,
    pairs: FarPairs,
    cells: Float[Array, "structures_or_none 3 3"],
    ratio: Float[Array, " atoms"],
) -> tuple[Float[Array, " atoms"], Float[Array, " atoms"]]:
    """Dispersion and electrostatic energies of atoms in eV; half of a pair's belongs to either.

    Args:
        constants: Of the formulas.
        atoms: What may be differentiated by.
        pairs: The far pairs; those beyond the cutoff of a truncated structure are skipped.
        cells: Lattice vectors as rows, Å.
        ratio: Square of the polarizability over C6 of each atom, atomic units.
    """
    return _far(constants, atoms, pairs, cells, ratio)


def _inputs(constants: FarConstants, atoms: FarAtoms, pairs: FarPairs, cells, ratio):
    numbers = np.array(constants, atoms.positions.dtype)
    return (
        *pairs, atoms.positions, cells, atoms.strain, atoms.polarizability, ratio, atoms.charges, numbers,
    )  # fmt: skip


def _far_forward(constants: FarConstants, atoms: FarAtoms, pairs: FarPairs, cells, ratio):
    number = atoms.charges.shape[0]
    results = tuple(
        shape_like(atoms.charges, *sizes) for sizes in ((number,), (number,), (len(pairs.mask), _KEPT))
    )
    dispersion, coulomb, kept = call("far", results, *_inputs(constants, atoms, pairs, cells, ratio))
    return (dispersion, coulomb), (atoms, pairs, cells, ratio, kept)


def _far_backward(constants: FarConstants, residuals, gradients):
    atoms, pairs, cells, ratio, kept = residuals
    number, structures = atoms.charges.shape[0], pairs.kind.shape[0]
    results = (
        shape_like(atoms.charges, *atoms.positions.shape),
        shape_like(atoms.charges, 2 * number + 9 * structures),
    )
    positions, others = call(
        "far_back", results, *_inputs(constants, atoms, pairs, cells, ratio), kept, *gradients
    )
    strain = others[2 * number :].reshape(structures, 3, 3)[: atoms.strain.shape[0]]
    found = FarAtoms(positions, strain, others[:number], others[number : 2 * number])
    return found, None, None, None


_far = jax.custom_vjp(lambda constants, *arguments: _far_forward(constants, *arguments)[0], nondiff_argnums=(0,))
_far.defvjp(_far_forward, _far_backward)
