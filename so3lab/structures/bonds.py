"""Which atoms are bonded: the one rule that pictures, watchdogs, observables and data share."""

import ase
import numpy as np
from ase.data import covalent_radii
from ase.neighborlist import natural_cutoffs
from jaxtyping import Int

from so3lab.structures.elements import COVALENT
from so3lab.structures.neighbors import Pairs, pair_list

TOLERANCE = 1.15
"""Bonded are atoms closer than this many times the sum of their covalent radii."""
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

    The radii are ASE's natural cutoffs (Cordero et al., Dalton Trans. 2832, 2008).

    Args:
        atoms: The structure.
        tolerance: Factor on the sum of the radii.
        metals: Whether metals and noble gases have bonds too, or nonmetals (``COVALENT``) alone.
    """
    radii = tolerance * np.array(natural_cutoffs(atoms))
    i, j, images = pair_list(atoms.positions, 2.0 * radii.max(), np.asarray(atoms.cell), atoms.pbc)
    vectors = atoms.positions[j] - atoms.positions[i] + images @ np.asarray(atoms.cell)
    close = np.linalg.norm(vectors, axis=1) < radii[i] + radii[j]
    if not metals:
        covalent = np.isin(atoms.numbers, list(COVALENT))
        close &= covalent[i] & covalent[j]
    return Pairs(i[close], j[close], images[close])


def bonds(atoms: ase.Atoms, tolerance: float = TOLERANCE) -> Int[np.ndarray, "bonds 2"]:
    """The same as pairs of different atoms, the lower index first, whatever the image; metals have bonds too."""
    i, j, _ = bonded_pairs(atoms, tolerance, metals=True)
    pairs = np.sort(np.stack([i, j], axis=1)[i != j].astype(int), axis=1)
    return np.unique(pairs, axis=0).reshape(-1, 2)
