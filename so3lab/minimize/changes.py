"""Is a relaxed structure still the molecule that it was: bonds that were made or broken, centres and double bonds
inverted?"""

import functools
from collections import Counter
from collections.abc import Sequence

import ase
import numpy as np
from jaxtyping import Float, Int

from so3lab.structures.bonds import TOLERANCE, longest_double_bond, stretched_bonds
from so3lab.structures.elements import are_covalent

LOOSE = 1.3
"""Times the sum of covalent radii up to which a bond that was there still is. By the usual rule, 1.15 times, there is
one in any case; between the two, where hot molecules are found, nothing changes."""
STRAIGHT = np.cos(np.radians(150.0))
"""Cosine of the angle beyond which a bond has no sides, as those of a triple bond."""
Bonds = Int[np.ndarray, "bonds 2"]


def bonds_at_start(atoms: ase.Atoms) -> Bonds:
    """Bonds of a structure that may be hot, with stretched bonds among them; stretched bonds of two hydrogens are
    none."""
    found, stretches = stretched_bonds(atoms, LOOSE)
    hydrogens = (atoms.numbers[found] == 1).all(axis=1)
    kept: np.ndarray = found[(stretches < TOLERANCE) | ~hydrogens]
    return kept


def changed_bonds(before: Bonds, after: ase.Atoms) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Bonds made and bonds broken, as pairs of atoms; those of metals and noble gases come and go, and do not count.

    Args:
        before: Those that there were.
        after: The relaxed structure.
    """
    if not are_covalent(after.numbers).any():
        return [], []
    found, stretches = stretched_bonds(after, LOOSE)
    sure, possible = _pairs(found[stretches < TOLERANCE], after), _pairs(found, after)
    old = _pairs(before, after)
    return sorted(sure - old), sorted(old - possible)


def _pairs(bonded: Bonds, atoms: ase.Atoms) -> set[tuple[int, int]]:
    rows = np.sort(np.reshape(bonded, (-1, 2)), axis=1).astype(int)
    covalent = are_covalent(atoms.numbers[rows]).all(axis=1)
    return {(i, j) for i, j in rows[covalent].tolist()}


def inverted(
    bonded: Bonds,
    before: Float[np.ndarray, "atoms 3"],
    after: ase.Atoms,
) -> tuple[list[int], list[tuple[int, int]]]:
    """Stereocentres and double bonds that were turned into the other form.

    Args:
        bonded: Bonds, which have not changed.
        before: Positions at the start, Å.
        after: The relaxed structure.

    Returns:
        Atoms that are inverted centres, and pairs of atoms whose double bond has turned.
    """
    pairs = tuple(map(tuple, np.reshape(bonded, (-1, 2)).tolist()))
    neighbours, kinds, centres = _graph(tuple(after.numbers.tolist()), pairs)
    four = np.array([neighbours[atom] for atom in centres], int).reshape(-1, 4)
    opposite = _handed(before[four]) * _handed(after.positions[four]) < 0
    inverted_ones = [atom for atom, flag in zip(centres, opposite, strict=True) if flag]
    turned = [
        (i, j)
        for i, j in pairs
        if _is_double(i, j, after, neighbours) and _has_turned(i, j, neighbours, kinds, before, after.positions)
    ]
    return inverted_ones, turned


@functools.lru_cache(maxsize=64)
def _graph(
    numbers: tuple[int, ...], bonded: tuple[tuple[int, int], ...]
) -> tuple[dict[int, list[int]], list[int], list[int]]:
    """Neighbours and kinds of atoms, and which are stereocentres: the same for all structures of a molecule."""
    neighbours: dict[int, list[int]] = {atom: [] for atom in range(len(numbers))}
    for i, j in bonded:
        neighbours[i].append(j)
        neighbours[j].append(i)
    kinds = _kinds(numbers, neighbours)
    return neighbours, kinds, [atom for atom, near in neighbours.items() if _is_centre(atom, near, kinds, neighbours)]


def _kinds(numbers: Sequence[int], neighbours: dict[int, list[int]]) -> list[int]:
    """Classes of atoms that differ by what they are bonded to, however far away (Morgan's refinement)."""
    kinds, count = list(numbers), 0
    while True:
        signs = [(kinds[atom], tuple(sorted(kinds[n] for n in near))) for atom, near in neighbours.items()]
        names = {sign: number for number, sign in enumerate(sorted(set(signs)))}
        kinds = [names[sign] for sign in signs]
        if len(names) == count:
            return kinds
        count = len(names)


def _is_centre(atom: int, near: list[int], kinds: list[int], neighbours: dict[int, list[int]]) -> bool:
    """Whether four neighbours are told apart: by what they are, or, if two are alike, by the ring that they are in."""
    if len(near) != 4:
        return False
    alike = [kind for kind, times in Counter(kinds[n] for n in near).items() if times > 1]
    if not alike:
        return True
    pairs = [[n for n in near if kinds[n] == kind] for kind in alike]
    return len(pairs) == 1 and len(pairs[0]) == 2 and _in_one_ring(atom, pairs[0], neighbours)


def _in_one_ring(atom: int, pair: Sequence[int], neighbours: dict[int, list[int]]) -> bool:
    seen, ahead = {atom, pair[0]}, [pair[0]]
    while ahead:
        for following in neighbours[ahead.pop()]:
            if following == pair[1]:
                return True
            if following not in seen:
                seen.add(following)
                ahead.append(following)
    return False


def _handed(four: Float[np.ndarray, "centres 4 3"]) -> Float[np.ndarray, " centres"]:
    """Signed volumes of the neighbours of centres."""
    volumes: np.ndarray = np.linalg.det(four[:, :3] - four[:, 3:])
    return volumes


def _is_double(i: int, j: int, atoms: ase.Atoms, neighbours: dict[int, list[int]]) -> bool:
    if not (2 <= len(neighbours[i]) <= 3 and 2 <= len(neighbours[j]) <= 3):
        return False
    length = np.linalg.norm(atoms.positions[i] - atoms.positions[j])
    return bool(length < longest_double_bond(*atoms.numbers[[i, j]]))


def _has_turned(i: int, j: int, neighbours, kinds: list[int], before: np.ndarray, after: np.ndarray) -> bool:
    """Whether substituents of both ends, if they differ at all, have changed sides."""
    left, right = ([n for n in neighbours[a] if n != b] for a, b in ((i, j), (j, i)))
    if any(len(side) == 2 and kinds[side[0]] == kinds[side[1]] for side in (left, right)):
        return False
    if any(
        _is_straight(at, side[0], *bond) for at in (before, after) for side, bond in ((left, (i, j)), (right, (j, i)))
    ):
        return False
    return _side(before, left[0], i, j, right[0]) * _side(after, left[0], i, j, right[0]) < 0


def _is_straight(positions: np.ndarray, a: int, b: int, c: int) -> bool:
    back, forth = positions[a] - positions[b], positions[c] - positions[b]
    return bool(back @ forth < STRAIGHT * np.linalg.norm(back) * np.linalg.norm(forth))


def _side(positions: np.ndarray, a: int, i: int, j: int, b: int) -> float:
    """Positive where a and b lie on the same side of the bond."""
    axis = positions[j] - positions[i]
    axis = axis / np.linalg.norm(axis)
    off = [v - (v @ axis) * axis for v in (positions[a] - positions[i], positions[b] - positions[j])]
    return float(off[0] @ off[1])
