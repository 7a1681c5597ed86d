"""What do distances, angles and dihedrals have in common: vectors between atoms, and corners of two such vectors.

A dihedral has the corners of two angles, whose sides are bonds. Each is computed once, for all structures of a batch.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from so3lab.minimize.coordinates import InternalCoordinates


class Shared(NamedTuple):
    """Which vectors and corners there are, and which of them each dihedral has.

    The vectors of distances come first, and so do the corners of angles. A number beyond theirs means the other way
    along a vector, or a normal that points to the other side.
    """

    heads: Int[np.ndarray, " vectors"]
    tails: Int[np.ndarray, " vectors"]
    back: Int[np.ndarray, " corners"]  # vectors
    forth: Int[np.ndarray, " corners"]
    near: Int[np.ndarray, " dihedrals"]  # vectors from the second atom to the first
    axis: Int[np.ndarray, " dihedrals"]  # vectors, from the third to the second or back
    first: Int[np.ndarray, " dihedrals"]  # normals near × axis and far × axis
    second: Int[np.ndarray, " dihedrals"]


class _Numbered:
    """Tuples of atoms by number, each once, whichever way round."""

    def __init__(self, rows: Sequence[Sequence[int]]):
        self.rows: list[tuple[int, ...]] = [tuple(row) for row in rows]
        self._numbers = {row: number for number, row in reversed(list(enumerate(self.rows)))}

    def number(self, *row: int) -> tuple[int, bool]:
        """The number of a tuple, and whether it is listed the other way round."""
        if row in self._numbers:
            return self._numbers[row], False
        if row[::-1] in self._numbers:
            return self._numbers[row[::-1]], True
        self._numbers[row] = len(self.rows)
        self.rows.append(row)
        return self._numbers[row], False


def shared(coordinates: InternalCoordinates) -> Shared:
    """Of these coordinates; made once for all structures that have them."""
    return _shared_by(coordinates.key)


@functools.lru_cache(maxsize=64)
def _shared_by(key: tuple) -> Shared:
    distances, angles, dihedrals = (
        np.frombuffer(part, int).reshape(-1, width).tolist() for part, width in zip(key[1:4], (2, 3, 4), strict=True)
    )
    corners, vectors = _Numbered(angles), _Numbered([(j, i) for i, j in distances])
    ends = [(corners.number(i, j, k), corners.number(m, k, j)) for i, j, k, m in dihedrals]
    back = [vectors.number(a, b) for a, b, _ in corners.rows]
    forth = [vectors.number(c, b) for _, b, c in corners.rows]
    near = [vectors.number(i, j) for i, j, _, _ in dihedrals]
    axis = [vectors.number(j, k)[0] for _, j, k, _ in dihedrals]

    def either_way(numbered: Sequence[tuple[int, bool]], half: int) -> list[int]:
        return [number + half * reverse for number, reverse in numbered]

    # (i - j) × (j - k) is the normal of the corner i, j, k the other way round
    first = [(number, not reverse) for (number, reverse), _ in ends]
    second = [other for _, other in ends]
    heads, tails = np.array(vectors.rows, int).reshape(-1, 2).T
    of_vectors = [either_way(part, len(vectors.rows)) for part in (back, forth, near)]
    of_corners = [either_way(part, len(corners.rows)) for part in (first, second)]
    return Shared(heads, tails, *(np.array(part, int) for part in (*of_vectors, axis, *of_corners)))


class Seen(NamedTuple):
    """Vectors, corners and normals at some positions; vectors have x and y once more behind z."""

    vectors: Float[np.ndarray, "5 either_way structures"]
    squares: Float[np.ndarray, "vectors structures"]
    lengths: Float[np.ndarray, "vectors structures"]
    back: Float[np.ndarray, "5 corners structures"]
    forth: Float[np.ndarray, "5 corners structures"]
    normals: Float[np.ndarray, "3 corners structures"]
    normal_squares: Float[np.ndarray, "corners structures"]
    products: Float[np.ndarray, "corners structures"]  # back · forth


def see(among: Shared, xyz: Float[np.ndarray, "3 atoms structures"]) -> Seen:
    """Vectors and corners where the atoms are.

    Args:
        among: Which there are.
        xyz: Å.
    """
    wrapped = xyz.take((0, 1, 2, 0, 1), axis=0)
    one_way = wrapped.take(among.heads, axis=1) - wrapped.take(among.tails, axis=1)
    vectors = np.concatenate([one_way, -one_way], axis=1)
    squares = dot(one_way, one_way)
    back, forth = vectors.take(among.back, axis=1), vectors.take(among.forth, axis=1)
    normals = back[1:4] * forth[2:5] - back[2:5] * forth[1:4]
    lengths, normal_squares = np.sqrt(squares), dot(normals, normals)
    return Seen(vectors, squares, lengths, back, forth, normals, normal_squares, dot(back, forth))


def dot(
    a: Float[np.ndarray, "_ vectors structures"], b: Float[np.ndarray, "_ vectors structures"]
) -> Float[np.ndarray, "vectors structures"]:
    """Products of vectors; rows beyond the third do not count."""
    found: np.ndarray = a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
    return found
