"""Which atoms are bonded: the one rule that pictures, watchdogs, observables and data share."""

import ase
import numpy as np
from ase.data import covalent_radii
from jaxtyping import Bool, Float, Int

from so3lab.structures.elements import are_covalent
from so3lab.structures.neighbors import Pairs, pair_list

TOLERANCE = 1.15
"""Bonded are atoms closer than this many times the sum of their covalent radii."""
_BLOCK = 4_000_000
"""Distances that are computed at a time."""
_DOUBLE = 0.905
"""Times that sum, for a double bond: C=C is at 0.89, the C-N of an amide, which turns, at 0.92."""


def longest_double_bond(one: int, other: int) -> float:
    """Å below which a bond of two atoms that lie flat among their neighbours is a double one, and does not turn.

    Args:
        one: Atomic number.
        other: Atomic number.
    """
    return _DOUBLE * float(covalent_radii[one] + covalent_radii[other])


def bonded_pairs(atoms: ase.Atoms, tolerance: float = TOLERANCE, *, metals: bool = False) -> Pairs:
    """Bonds with their periodic images: pairs closer than ``tolerance`` times the sum of their covalent radii.

    The radii are ASE's covalent ones (Cordero et al., Dalton Trans. 2832, 2008).

    Args:
        atoms: The structure.
        tolerance: Factor on the sum of the radii.
        metals: Whether metals and noble gases have bonds too, or nonmetals (``COVALENT``) alone.
    """
    radii = tolerance * covalent_radii[atoms.numbers]
    i, j, images = pair_list(atoms.positions, 2.0 * radii.max(), np.asarray(atoms.cell), atoms.pbc)
    vectors = atoms.positions[j] - atoms.positions[i] + images @ np.asarray(atoms.cell)
    close = np.linalg.norm(vectors, axis=1) < radii[i] + radii[j]
    if not metals:
        covalent = are_covalent(atoms.numbers)
        close &= covalent[i] & covalent[j]
    return Pairs(i[close], j[close], images[close])


def bonds(atoms: ase.Atoms, tolerance: float = TOLERANCE) -> Int[np.ndarray, "bonds 2"]:
    """The same as pairs of different atoms, the lower index first, whatever the image; metals have bonds too."""
    return stretched_bonds(atoms, tolerance)[0]


def stretched_bonds(
    atoms: ase.Atoms, tolerance: float = TOLERANCE
) -> tuple[Int[np.ndarray, "bonds 2"], Float[np.ndarray, " bonds"]]:
    """Bonds as :func:`bonds` has them, and their lengths in sums of both covalent radii; of several images the
    shortest."""
    i, j, images = bonded_pairs(atoms, tolerance, metals=True)
    apart = i != j
    i, j, images = i[apart].astype(int), j[apart].astype(int), images[apart]
    vectors = atoms.positions[j] - atoms.positions[i] + images @ np.asarray(atoms.cell)
    radii = covalent_radii[atoms.numbers]
    stretches = np.linalg.norm(vectors, axis=1) / (radii[i] + radii[j])
    pairs = np.minimum(i, j) * len(atoms) + np.maximum(i, j)
    order = np.argsort(stretches, kind="stable")
    pairs, shortest = np.unique(pairs[order], return_index=True)
    return np.stack(np.divmod(pairs, max(1, len(atoms))), axis=1), stretches[order][shortest]


def keep_bonds(
    numbers: Int[np.ndarray, " atoms"],
    bonded: Int[np.ndarray, "bonds 2"],
    positions: Float[np.ndarray, "structures atoms 3"],
) -> Bool[np.ndarray, " structures"]:
    """Which of many structures of the same atoms have these covalent bonds and no others, by the same rule.

    Thousands of conformations are told from what has reacted in the time that :func:`bonded_pairs` takes for some.

    Args:
        numbers: Atomic numbers.
        bonded: Pairs of bonded atoms, as :class:`so3lab.structures.symmetry.MolecularGraph` has them.
        positions: Å, of molecules without a cell.
    """
    first, second = np.triu_indices(len(numbers), 1)
    covalent = are_covalent(numbers)
    first, second = (ends[covalent[first] & covalent[second]] for ends in (first, second))
    radii = TOLERANCE * covalent_radii[numbers]
    expected = np.zeros((len(numbers), len(numbers)), bool)
    expected[tuple(np.reshape(bonded, (-1, 2)).T)] = True
    expected = (expected | expected.T)[first, second]
    reach, kept = radii[first] + radii[second], []
    step = max(1, _BLOCK // max(1, len(first)))
    for start in range(0, len(positions), step):
        block = positions[start : start + step]
        close = np.linalg.norm(block[:, first] - block[:, second], axis=2) < reach
        kept.append(np.all(close == expected, axis=1))
    return np.concatenate(kept) if kept else np.zeros(0, bool)
