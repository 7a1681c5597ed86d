"""Energies of far pairs by the loops in C: dispersion and electrostatics, truncated or not.

The same numbers as :mod:`so3lab.network.pairwise.dispersion` and :mod:`so3lab.network.pairwise.electrostatics`, which
have the formulas, in one function with its reverse pass. Waves and self terms are not theirs.
"""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from so3lab.engine.kernels.library import HeadLayout, call, shape_like
from so3lab.engine.kernels.pair_inputs import PairInputs, gradient_of
from so3lab.structures.neighbors import HostOrDevice

TRUNCATED, COULOMB_BY_PAIRS, COULOMB_ENDS = 1, 2, 4
"""Kinds of structures, to be added: dispersion ends at the cutoff; charges interact by pairs; that ends there, too."""
_KEPT = 5  # numbers kept for each pair; as in the source


class FarConstants(NamedTuple):
    """Numbers of the formulas, and the network that they belong to."""

    heads: HeadLayout
    bohr: float  # Å
    hartree: float  # eV
    coulomb: float  # eV Å
    scale: float
    cutoff: float  # Å
    window: float  # Å, in which dispersion is switched off
    screening_length: float  # Å
    coulomb_end: float  # 1/Å; the screened interaction at the cutoff
    coulomb_end_slope: float  # 1/Å²
    blend_start: float  # Å; from where its end is smoothed


class FarAtoms(NamedTuple):
    """What atoms bring to their pairs."""

    polarizability: Float[Array, " atoms"]  # atomic units
    charges: Float[Array, " atoms"]  # e


def far_energies(
    constants: FarConstants,
    inputs: PairInputs,
    atoms: FarAtoms,
    ratio: Float[Array, " atoms"],
    kind: Int[Array, " structures"],
) -> tuple[Float[Array, " atoms"], Float[Array, " atoms"]]:
    """Dispersion and electrostatic energies of atoms in eV; half of a pair's belongs to either.

    Args:
        constants: Of the formulas.
        inputs: The far pairs; those beyond the cutoff of a truncated structure are skipped.
        atoms: Their polarizabilities and charges.
        ratio: Square of the polarizability over C6 of each atom, atomic units; gets no gradient.
        kind: Of each structure, a sum of ``TRUNCATED``, ``COULOMB_BY_PAIRS`` and ``COULOMB_ENDS``.
    """
    return _far(constants, inputs, atoms, ratio, kind)


def _inputs(
    constants: FarConstants,
    inputs: PairInputs,
    atoms: FarAtoms,
    ratio: Float[Array, " atoms"],
    kind: Int[Array, " structures"],
) -> tuple[HostOrDevice, ...]:
    numbers = np.array(constants[1:], ratio.dtype)
    return *inputs, kind, atoms.polarizability, ratio, atoms.charges, numbers


class _Kept(NamedTuple):
    inputs: PairInputs
    atoms: FarAtoms
    ratio: Float[Array, " atoms"]
    kind: Int[Array, " structures"]
    of_pairs: Float[Array, "pairs kept"]


def _forward(
    constants: FarConstants,
    inputs: PairInputs,
    atoms: FarAtoms,
    ratio: Float[Array, " atoms"],
    kind: Int[Array, " structures"],
) -> tuple[tuple[Float[Array, " atoms"], Float[Array, " atoms"]], _Kept]:
    number, pairs = ratio.shape[0], inputs.mask.shape[0]
    results = tuple(shape_like(ratio, *sizes) for sizes in ((number,), (number,), (pairs, _KEPT)))
    dispersion, coulomb, kept = call(constants.heads, "far", results, *_inputs(constants, inputs, atoms, ratio, kind))
    return (dispersion, coulomb), _Kept(inputs, atoms, ratio, kind, kept)


def _backward(
    constants: FarConstants, kept: _Kept, gradients: tuple[Float[Array, " atoms"], Float[Array, " atoms"]]
) -> tuple[PairInputs, FarAtoms, None, None]:
    inputs, atoms, ratio, kind, of_pairs = kept
    number = ratio.shape[0]
    results = (
        shape_like(ratio, *inputs.positions.shape),
        shape_like(ratio, 2 * number + 9 * kind.shape[0]),
    )
    positions, others = call(
        constants.heads,
        "far_back",
        results,
        *_inputs(constants, inputs, atoms, ratio, kind),
        of_pairs,
        *gradients,
    )
    by_atoms = FarAtoms(others[:number], others[number : 2 * number])
    return gradient_of(inputs, positions, others[2 * number :]), by_atoms, None, None


_far = jax.custom_vjp(lambda constants, *arguments: _forward(constants, *arguments)[0], nondiff_argnums=(0,))
_far.defvjp(_forward, _backward)
