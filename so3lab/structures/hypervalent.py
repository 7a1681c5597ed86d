"""How do more than four electron pairs stand around an atom? What RDKit's rules and force fields do not know.

By the rule of Gillespie and Nyholm (VSEPR), five pairs are a trigonal bipyramid, six an octahedron and seven a
pentagonal bipyramid. Lone pairs and double bonds take the equator of a bipyramid, electronegative ligands its axis;
lone pairs of an octahedron stand opposite each other.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

_TILT = 2 * np.pi * np.arange(5) / 5
_AXIS = [(0.0, 0.0, 1.0), (0.0, 0.0, -1.0)]
_DIRECTIONS: dict[int, Float[np.ndarray, "pairs 3"]] = {
    5: np.array([(np.cos(a), np.sin(a), 0.0) for a in 2 * np.pi * np.arange(3) / 3] + _AXIS),
    6: np.array([*_AXIS, (1.0, 0.0, 0.0), (-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, -1.0, 0.0)]),
    7: np.array([(np.cos(a), np.sin(a), 0.0) for a in _TILT] + _AXIS),
}
"""By number of electron pairs, the places in the order in which they are taken."""
_P_BLOCK = {**dict.fromkeys((14, 32, 50), 4), **dict.fromkeys((15, 33, 51), 5), **dict.fromkeys((16, 34, 52), 6),
            **dict.fromkeys((17, 35, 53), 7), **dict.fromkeys((36, 54), 8)}  # fmt: skip
"""Valence electrons of the elements that this is a rule for."""
_ELECTRONEGATIVITY = {
    1: 2.2,
    6: 2.55,
    7: 3.04,
    8: 3.44,
    9: 3.98,
    14: 1.9,
    15: 2.19,
    16: 2.58,
    17: 3.16,
    35: 2.96,
    53: 2.66,
}
"""Pauling's; ligands that are not listed count 2."""
_POLAR, _AXIAL = 0.05, 0.07
"""Å by which a bond is shorter for each unit of electronegativity, and longer along the axis of five pairs."""


class FixedDistance(NamedTuple):
    """A distance in Å that a centre's geometry demands."""

    first: int
    second: int
    length: float


def fixed_distances(molecule: Any) -> list[FixedDistance]:
    """Distances between hypervalent centres, their ligands, and each other's ligands.

    Args:
        molecule: RDKit's molecule with all hydrogens.

    Returns:
        Bonds and 1,3-distances around every atom with five to seven electron pairs; nothing for ordinary molecules.

    Source: R. J. Gillespie and R. S. Nyholm, Q. Rev. Chem. Soc. 11, 339 (1957); bond lengths are sums of RDKit's
    covalent radii, shortened by polarity as V. Schomaker and D. P. Stevenson, J. Am. Chem. Soc. 63, 37 (1941), found.
    """
    return [distance for atom in molecule.GetAtoms() for distance in _around(atom)]


def _around(atom: Any) -> Iterator[FixedDistance]:
    lone_pairs = _lone_pairs(atom)
    bonds = list(atom.GetBonds())
    if lone_pairs is None or len(bonds) + lone_pairs not in _DIRECTIONS:
        return
    pairs = len(bonds) + lone_pairs
    bonds.sort(key=lambda bond: _rank(bond.GetOtherAtom(atom), bond))
    ligands = [bond.GetOtherAtom(atom).GetIdx() for bond in bonds]
    vectors = [
        (_length(bond) + (_AXIAL if pairs == 5 and place[2] else 0.0)) * place
        for bond, place in zip(bonds, _DIRECTIONS[pairs][lone_pairs:], strict=True)
    ]
    for first, (ligand, vector) in enumerate(zip(ligands, vectors, strict=True)):
        yield FixedDistance(atom.GetIdx(), ligand, float(np.linalg.norm(vector)))
        for second in range(first):
            yield FixedDistance(ligand, ligands[second], float(np.linalg.norm(vector - vectors[second])))


def _lone_pairs(atom: Any) -> int | None:
    """How many lone pairs an atom has; None for atoms that this is no rule for."""
    electrons = _P_BLOCK.get(atom.GetAtomicNum())
    if electrons is None or atom.GetIsAromatic() or atom.GetNumRadicalElectrons():
        return None
    left = electrons - atom.GetFormalCharge() - sum(bond.GetBondTypeAsDouble() for bond in atom.GetBonds())
    return int(left) // 2 if left >= 0 else None


def _rank(ligand: Any, bond: Any) -> tuple[float, float]:
    """Double bonds come first, electronegative ligands last."""
    return -bond.GetBondTypeAsDouble(), _ELECTRONEGATIVITY.get(ligand.GetAtomicNum(), 2.0)


def _length(bond: Any) -> float:
    from rdkit import Chem

    radius = Chem.GetPeriodicTable().GetRcovalent
    ends = bond.GetBeginAtom().GetAtomicNum(), bond.GetEndAtom().GetAtomicNum()
    first, second = (_ELECTRONEGATIVITY.get(number, 2.0) for number in ends)
    polar = abs(first - second)
    return (radius(ends[0]) + radius(ends[1]) - _POLAR * polar) * (0.9 if bond.GetBondTypeAsDouble() >= 2 else 1.0)
