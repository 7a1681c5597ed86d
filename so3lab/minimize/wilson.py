"""What are the internal coordinates of many structures at some positions, and how do they change when atoms move?

Structures that share their coordinates are one batch. Positions are held as ``(3, atoms, structures)``: the structures
come last, so that every line of arithmetic runs over all of them. A row of Wilson's matrix B, the derivatives of one
coordinate, has entries for two, three or four atoms; :class:`WilsonRows` holds those and nothing else.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from so3lab.minimize.coordinates import InternalCoordinates

Vectors = Float[np.ndarray, "3 coordinates structures"]


class WilsonRows(NamedTuple):
    """Rows of Wilson's matrix by the number of atoms in them: pairs, angles, and four atoms (dihedrals, bends)."""

    parts: tuple[Float[np.ndarray, "coordinates entries structures"], ...]


def values(coordinates: InternalCoordinates, xyz: Float[np.ndarray, "3 atoms structures"]) -> np.ndarray:
    """Values of the coordinates, in Å and radians; linear bends are without a unit.

    Args:
        coordinates: Which.
        xyz: Å.

    Returns:
        Shape ``(coordinates, structures)``.
    """
    return _evaluate(coordinates, xyz, derivatives=False)[0]


def values_and_rows(
    coordinates: InternalCoordinates, xyz: Float[np.ndarray, "3 atoms structures"]
) -> tuple[np.ndarray, WilsonRows]:
    """Values of the coordinates with the rows of Wilson's matrix, derivatives by positions in Å."""
    found, rows = _evaluate(coordinates, xyz, derivatives=True)
    return found, WilsonRows(tuple(rows))


def difference(
    coordinates: InternalCoordinates, after: np.ndarray, before: np.ndarray
) -> Float[np.ndarray, "coordinates structures"]:
    """Change of coordinates, of dihedrals by the shorter way round."""
    change = after - before
    first = len(coordinates.distances) + len(coordinates.angles)
    turn = change[first : first + len(coordinates.dihedrals)]
    turn -= 2.0 * np.pi * np.round(turn / (2.0 * np.pi))
    return change


def _evaluate(coordinates: InternalCoordinates, xyz: np.ndarray, derivatives: bool):
    found, rows = [], []
    for name, evaluate in (("distances", _distance), ("angles", _angle)):
        members = getattr(coordinates, name)
        value, row = evaluate(xyz, members, derivatives)
        found.append(value)
        rows.append(row)
    dihedrals, row = _dihedral(xyz, coordinates.dihedrals, derivatives)
    bends, bend_row = _linear_bends(xyz, coordinates.linear_bends, derivatives)
    rows.append(np.concatenate([row, bend_row]) if derivatives else row)
    return np.concatenate([*found, dihedrals, bends]), rows


def _dot(a: Vectors, b: Vectors) -> np.ndarray:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _cross(a: Vectors, b: Vectors) -> Vectors:
    return np.stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])


def _stacked(parts: Sequence[Vectors]) -> Float[np.ndarray, "coordinates entries structures"]:
    """Derivatives by each atom, as the entries of rows: x, y, z of the first atom, then of the second."""
    return np.moveaxis(np.concatenate(parts), 0, 1).copy()


def _distance(xyz, members: Int[np.ndarray, "coordinates 2"], derivatives: bool):
    vector = xyz[:, members[:, 1]] - xyz[:, members[:, 0]]
    length = np.sqrt(_dot(vector, vector))
    if not derivatives:
        return length, None
    unit = vector / length
    return length, _stacked([-unit, unit])


def _angle(xyz, members: Int[np.ndarray, "coordinates 3"], derivatives: bool):
    vertex = xyz[:, members[:, 1]]
    back, forth = xyz[:, members[:, 0]] - vertex, xyz[:, members[:, 2]] - vertex
    normal = _cross(back, forth)
    sine, cosine = np.sqrt(_dot(normal, normal)), _dot(back, forth)
    value = np.arctan2(sine, cosine)
    if not derivatives:
        return value, None
    a, c = np.sqrt(_dot(back, back)), np.sqrt(_dot(forth, forth))
    sine = np.maximum(sine / (a * c), 1e-8)
    u, w, cosine = back / a, forth / c, cosine / (a * c)
    first, last = (cosine * u - w) / (a * sine), (cosine * w - u) / (c * sine)
    return value, _stacked([first, -first - last, last])


def _dihedral(xyz, members: Int[np.ndarray, "coordinates 4"], derivatives: bool):
    """Signed as IUPAC says. Derivatives: A. Blondel and M. Karplus, J. Comput. Chem. 17, 1132 (1996), eq. 27."""
    i, j, k, m = (xyz[:, column] for column in members.T)
    near, axis, far = i - j, j - k, m - k
    first, second = _cross(near, axis), _cross(far, axis)
    length = np.sqrt(_dot(axis, axis))
    value = np.arctan2(_dot(_cross(second, first), axis) / length, _dot(first, second))
    if not derivatives:
        return value, None
    first = first / np.maximum(_dot(first, first), 1e-12)
    second = second / np.maximum(_dot(second, second), 1e-12)
    shear = (_dot(near, axis) / length) * first - (_dot(far, axis) / length) * second
    return value, _stacked([-length * first, length * first + shear, -shear - length * second, length * second])


def _linear_bends(xyz, members: Int[np.ndarray, "bends 4"], derivatives: bool):
    """Two bends of each straight angle: how far it opens towards the reference atom, and aside from it.

    With unit vectors u and w from the vertex to both ends, s = u + w vanishes where the angle is straight. The bends
    are its components along e, the direction to the reference atom without its part along the axis a from end to end,
    and along a × e.
    """
    if not len(members):
        return np.zeros((0, xyz.shape[2])), np.zeros((0, 12, xyz.shape[2])) if derivatives else None
    a, b, c, d = (xyz[:, column] for column in members.T)
    back, forth, axis, to_reference = a - b, c - b, c - a, d - a
    lengths = [np.sqrt(_dot(vector, vector)) for vector in (back, forth, axis)]
    u, w, along = back / lengths[0], forth / lengths[1], axis / lengths[2]
    total, height = u + w, _dot(to_reference, along)
    off = to_reference - height * along
    distance = np.sqrt(_dot(off, off))
    e = off / distance
    aside = _cross(along, e)
    found = np.concatenate([_dot(total, e), _dot(total, aside)])
    if not derivatives:
        return found, None

    def by_axis(direction: Vectors) -> Vectors:
        """Derivative by c - a of ``direction · along``, direction held."""
        return (direction - _dot(direction, along) * along) / lengths[2]

    def by_e(direction: Vectors) -> tuple[Vectors, Vectors]:
        """Derivatives by d - a and by c - a of ``direction · e``, direction held."""
        t = (direction - _dot(direction, e) * e) / distance
        straight = t - _dot(t, along) * along
        return straight, -by_axis(_dot(t, along) * to_reference + height * t)

    rows = []
    for direction, more in ((e, None), (aside, _cross(e, total))):
        ends = [(direction - _dot(direction, v) * v) / length for v, length in ((u, lengths[0]), (w, lengths[1]))]
        reference, turn = by_e(total if more is None else _cross(total, along))
        if more is not None:
            turn = turn + by_axis(more)
        rows.append(_stacked([ends[0] - reference - turn, -ends[0] - ends[1], ends[1] + turn, reference]))
    return found, np.concatenate(rows)
