"""Which internal coordinates does a molecule have: distances, angles, linear bends, dihedrals, contacts?

They follow from the bonds: every bond a distance, every pair of bonds at an atom an angle, every chain of three bonds
a dihedral. Where an angle is straight it has no direction to open to, and two linear bends take its place; dihedrals
then reach across the straight part. Molecules beside each other are joined at their nearest atoms, as if by a bond.
"""

import functools
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from ase.data import covalent_radii
from jaxtyping import Bool, Float, Int

STRAIGHT_DEGREES = 165.0
"""Angles beyond which two linear bends take the place of one angle."""
_STRAIGHT = -np.cos(np.radians(STRAIGHT_DEGREES))
MOST_PER_ATOM = 24
"""Internal coordinates per atom beyond which a structure is no molecule, but something as dense as a metal."""
Neighbours = dict[int, tuple[int, ...]]


class InternalCoordinates(NamedTuple):
    """Atoms of each coordinate; the order of their values is distances, angles, dihedrals, and both linear bends."""

    atoms: int  # how many there are
    distances: Int[np.ndarray, "distances 2"]
    angles: Int[np.ndarray, "angles 3"]  # the vertex in the middle
    dihedrals: Int[np.ndarray, "dihedrals 4"]
    linear_bends: Int[np.ndarray, "bends 4"]  # the vertex second; the last atom says where the bends point to
    ends: Int[np.ndarray, " dihedrals"]  # bonds at both ends of the middle bond of each dihedral, without itself

    @property
    def size(self) -> int:
        """How many coordinates there are."""
        return len(self.distances) + len(self.angles) + len(self.dihedrals) + 2 * len(self.linear_bends)

    @property
    def key(self) -> tuple:
        """The same for structures that have the same coordinates."""
        return (self.atoms, *(part.tobytes() for part in self[1:]))

    def with_members(
        self, members: Sequence[tuple[int, ...]]
    ) -> tuple["InternalCoordinates", Int[np.ndarray, " some"]]:
        """With these distances, angles and dihedrals among them, and where their values are."""
        if not members:
            return self, np.zeros(0, int)
        places: list[int] = []
        parts, before = [], 0
        for part in (self.distances, self.angles, self.dihedrals):
            rows = [tuple(row) for row in part.tolist()]
            for one in (member for member in members if len(member) == part.shape[1]):
                if one not in rows and one[::-1] not in rows:
                    rows.append(one)
                places.append(before + rows.index(one if one in rows else one[::-1]))
            parts.append(_rows(rows, part.shape[1]))
            before += len(rows)
        ends = np.concatenate([self.ends, np.full(len(parts[2]) - len(self.ends), 2)])
        distances, angles, dihedrals = parts
        grown = self._replace(distances=distances, angles=angles, dihedrals=dihedrals, ends=ends)
        return grown, np.array(sorted(places), int)


class CoordinatesError(ValueError):
    """A structure has no good internal coordinates; the message says why."""


def internal_coordinates(
    numbers: Int[np.ndarray, " atoms"],
    positions: Float[np.ndarray, "atoms 3"],
    bonds: Int[np.ndarray, "bonds 2"],
) -> InternalCoordinates:
    """Coordinates of one structure.

    Args:
        numbers: Atomic numbers.
        positions: Å; they say which angles are straight and where molecules touch.
        bonds: Pairs of bonded atoms.

    Raises:
        CoordinatesError: If there are fewer than three atoms, all of them lie on one line, or there are so many
            coordinates that this is no molecule.
    """
    atoms = len(numbers)
    if atoms < 3:
        raise CoordinatesError(f"internal coordinates need three atoms, got {atoms}")
    bent = _of_bent_molecule(atoms, tuple(map(tuple, np.reshape(bonds, (-1, 2)).tolist())))
    if bent is not None and (np.abs(_cosines(positions, bent.angles)) < _STRAIGHT).all():
        return bent
    joined = np.concatenate([np.reshape(bonds, (-1, 2)), _contacts(numbers, positions, bonds)]).astype(int)
    joined = np.unique(np.sort(joined, axis=1), axis=0)
    neighbours = _neighbours(atoms, joined)
    if sum(len(near) * (len(near) - 1) // 2 for near in neighbours.values()) > MOST_PER_ATOM * atoms:
        raise CoordinatesError("atoms have too many neighbours for internal coordinates")
    angles, straight = _angles(positions, neighbours)
    bends = [(a, b, c, _reference(positions, a, b, c)) for a, b, c in straight]
    dihedrals, ends = _dihedrals(positions, joined, neighbours, {b for _, b, _ in straight})
    found = InternalCoordinates(
        atoms, joined, _rows(angles, 3), _rows(dihedrals, 4), _rows(bends, 4), np.array(ends, int)
    )
    if found.size > MOST_PER_ATOM * atoms:
        raise CoordinatesError(f"{found.size} internal coordinates of {atoms} atoms are more than a molecule has")
    return found


@functools.lru_cache(maxsize=64)
def _of_bent_molecule(atoms: int, bonds: tuple[tuple[int, int], ...]) -> InternalCoordinates | None:
    """Coordinates of one molecule none of whose angles is straight, wherever its atoms are; None where there are none.

    A batch of conformations asks for the same ones again and again.
    """
    joined = np.unique(np.sort(_rows(bonds, 2), axis=1), axis=0)
    if not len(joined) or connected_parts(atoms, joined).max() > 0:
        return None
    neighbours = _neighbours(atoms, joined)
    angles = [(a, b, c) for b, near in neighbours.items() for a, c in combinations(near, 2)]
    if len(angles) > MOST_PER_ATOM * atoms:
        return None
    dihedrals, ends = _dihedrals(None, joined, neighbours, set())
    found = InternalCoordinates(
        atoms, joined, _rows(angles, 3), _rows(dihedrals, 4), np.zeros((0, 4), int), np.array(ends, int)
    )
    return found if found.size <= MOST_PER_ATOM * atoms else None


def connected_parts(atoms: int, bonds: Int[np.ndarray, "bonds 2"]) -> Int[np.ndarray, " atoms"]:
    """Number of the molecule that each atom belongs to."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    pairs = np.reshape(bonds, (-1, 2)).astype(int)
    matrix = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), (atoms, atoms))
    return connected_components(matrix, directed=False)[1]


def _contacts(numbers, positions, bonds) -> Int[np.ndarray, "contacts 2"]:
    """Nearest atoms of molecules beside each other, so few that all are joined: a minimal spanning tree.

    Distances count less the covalent radii, so that a hydrogen bond goes before two carbons that happen to be near.
    """
    part = connected_parts(len(numbers), bonds)
    pairs: list[tuple[int, int]] = []
    if part.max(initial=0) == 0:
        return _rows(pairs, 2)
    radii = covalent_radii[numbers]
    gaps = np.linalg.norm(positions[:, None] - positions[None], axis=2) - radii[:, None] - radii[None]
    while part.max() > 0:
        apart = np.where(part[:, None] == part[None], np.inf, gaps)
        i, j = np.unravel_index(np.argmin(apart), apart.shape)
        pairs.append((int(i), int(j)))
        part = np.where(part == max(part[i], part[j]), min(part[i], part[j]), part)
        part = np.unique(part, return_inverse=True)[1]
    return _rows(pairs, 2)


def _neighbours(atoms: int, bonds: Int[np.ndarray, "bonds 2"]) -> Neighbours:
    near: dict[int, list[int]] = {atom: [] for atom in range(atoms)}
    for i, j in bonds.tolist():
        near[i].append(j)
        near[j].append(i)
    return {atom: tuple(sorted(others)) for atom, others in near.items()}


def _angles(positions, neighbours: Neighbours) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    """All angles between bonds: those that are bent, and those that are straight."""
    every = [(a, b, c) for b, near in neighbours.items() for a, c in combinations(near, 2)]
    if not every:
        return [], []
    straight = _cosines(positions, np.array(every)) < np.cos(np.radians(STRAIGHT_DEGREES))
    return (
        [angle for angle, flat in zip(every, straight, strict=True) if not flat],
        [angle for angle, flat in zip(every, straight, strict=True) if flat],
    )


def _cosines(positions, angles: Int[np.ndarray, "angles 3"]) -> Float[np.ndarray, " angles"]:
    a, b, c = angles.T
    back, forth = positions[a] - positions[b], positions[c] - positions[b]
    lengths = np.linalg.norm(back, axis=1) * np.linalg.norm(forth, axis=1)
    return np.einsum("ax,ax->a", back, forth) / lengths


def _reference(positions, a: int, b: int, c: int) -> int:
    """The atom nearest to a straight angle that lies well off its line."""
    axis = positions[c] - positions[a]
    vectors = positions - positions[b]
    off = np.linalg.norm(np.cross(vectors, axis / np.linalg.norm(axis)), axis=1)
    far = np.linalg.norm(vectors, axis=1)
    good = off > 0.5 * np.maximum(far, 0.5)
    if not good.any():
        good = off > 0.3
    good[[a, b, c]] = False
    if not good.any():
        raise CoordinatesError("all atoms lie on one line, which internal coordinates cannot turn")
    return int(np.argmin(np.where(good, far, np.inf)))


def _dihedrals(positions, bonds, neighbours: Neighbours, straight: set[int]):
    """Dihedrals about every bond, or about a straight chain of bonds as about one, and the bonds at both ends; without
    positions, those of molecules none of whose angles is straight.

    A flat atom with three neighbours, none of which has others, gets an improper dihedral, or nothing would know that
    it may leave the plane.
    """
    middles = {_axis(int(i), int(j), neighbours, straight) for i, j in bonds}
    found: list[tuple[int, ...]] = []
    ends: list[int] = []
    for j, before, k, after in sorted(middles):
        left = [i for i in neighbours[j] if i != after and i != k]
        right = [m for m in neighbours[k] if m != before and m != j]
        found += [(i, j, k, m) for i in left for m in right if i != m and j != k]
        ends += [len(left) + len(right)] * (len(found) - len(ends))
    if found and positions is not None:
        sound = _sound(positions, np.array(found))
        found, ends = [c for c, good in zip(found, sound, strict=True) if good], np.array(ends)[sound].tolist()
    for b, near in neighbours.items():
        if len(near) == 3 and b not in straight and not any(b in chain[1:3] for chain in found):
            found.append((near[0], b, near[1], near[2]))
            ends.append(2)
    return found, ends


def _axis(i: int, j: int, neighbours: Neighbours, straight: set[int]) -> tuple[int, int, int, int]:
    """Ends of the straight chain that a bond is part of, and the atoms of the chain next to each: end, the other end's
    neighbour, other end, the end's neighbour."""

    def walk(last: int, here: int) -> tuple[int, int]:
        seen = {last}
        while here in straight and len(neighbours[here]) == 2 and here not in seen:
            seen.add(here)
            ahead = next(n for n in neighbours[here] if n != last)
            last, here = here, ahead
        return here, last

    far, before_far = walk(i, j)
    near, before_near = walk(j, i)
    return (near, before_far, far, before_near) if near <= far else (far, before_near, near, before_far)


def _sound(positions, chains: Int[np.ndarray, "dihedrals 4"]) -> Bool[np.ndarray, " dihedrals"]:
    """Which dihedrals have a meaning: those of which no three atoms lie on a line."""
    cosines = np.stack([_cosines(positions, chains[:, :3]), _cosines(positions, chains[:, 1:])])
    return (np.abs(cosines) < _STRAIGHT).all(axis=0)


def _rows(members: Sequence[tuple[int, ...]], width: int) -> np.ndarray:
    return np.array(members, int).reshape(-1, width)
