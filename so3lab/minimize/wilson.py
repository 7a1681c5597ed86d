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
from so3lab.minimize.corners import Seen, Shared, dot, see, shared

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
    turn -= 2.0 * np.pi * np.rint(turn / (2.0 * np.pi))
    return change


def _evaluate(coordinates: InternalCoordinates, xyz: np.ndarray, derivatives: bool):
    among = shared(coordinates)
    seen, distances, angles = see(among, xyz), len(coordinates.distances), len(coordinates.angles)
    sines = np.sqrt(seen.normal_squares[:angles])
    bends, bend_rows = _linear_bends(xyz, coordinates.linear_bends, derivatives)
    dihedrals, dihedral_rows = _dihedrals(among, seen, derivatives)
    values_of_angles = np.arctan2(sines, seen.products[:angles])
    found = np.concatenate([seen.lengths[:distances], values_of_angles, dihedrals, bends])
    if not derivatives:
        return found, ()
    units = seen.vectors[:3, :distances] / seen.lengths[:distances]
    rows = [_stacked([-units, units]), _angle_rows(among, seen, sines), dihedral_rows]
    if len(bends):
        rows[2] = np.concatenate([rows[2], bend_rows])
    return found, rows


def _cross(a: Vectors, b: Vectors) -> Vectors:
    return np.stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])


def _stacked(parts: Sequence[Vectors]) -> Float[np.ndarray, "coordinates entries structures"]:
    """Derivatives by each atom, as the entries of rows: x, y, z of the first atom, then of the second."""
    _, coordinates, structures = parts[0].shape
    found = np.empty((coordinates, len(parts), 3, structures))
    for number, part in enumerate(parts):
        found[:, number] = part.transpose(1, 0, 2)
    return found.reshape(coordinates, 3 * len(parts), structures)


def _angle_rows(among: Shared, seen: Seen, sines: Float[np.ndarray, "angles structures"]):
    """Derivatives of angles; ``sines`` are times both lengths."""
    angles = len(sines)
    back, forth, cosines = seen.back[:3, :angles], seen.forth[:3, :angles], seen.products[:angles]
    half, sines = len(among.heads), np.maximum(sines, 1e-8)
    squares = [seen.squares.take(part[:angles] % half, axis=0) for part in (among.back, among.forth)]
    first = (cosines / squares[0] * back - forth) / sines
    last = (cosines / squares[1] * forth - back) / sines
    return _stacked([first, -first - last, last])


def _dihedrals(among: Shared, seen: Seen, derivatives: bool):
    """Signed as IUPAC says. Derivatives: A. Blondel and M. Karplus, J. Comput. Chem. 17, 1132 (1996), eq. 27."""
    either_way = np.concatenate([seen.normals, -seen.normals], axis=1)
    first, second = either_way.take(among.first, axis=1), either_way.take(among.second, axis=1)
    length = seen.lengths.take(among.axis, axis=0)
    near = seen.vectors.take(among.near, axis=1)
    value = np.arctan2(-length * dot(near, second), dot(first, second))
    if not derivatives:
        return value, None
    corners = len(among.back)
    here, there = among.first % corners, among.second % corners
    heights = length / np.maximum(seen.normal_squares, 1e-12)[[here, there]]
    first, second = heights[0] * first, heights[1] * second
    shares = seen.products[[here, there]] / seen.squares.take(among.axis, axis=0)
    shear = shares[0] * first + shares[1] * second
    return value, _stacked([-first, first - shear, shear - second, second])


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
    lengths = [np.sqrt(dot(vector, vector)) for vector in (back, forth, axis)]
    u, w, along = back / lengths[0], forth / lengths[1], axis / lengths[2]
    total, height = u + w, dot(to_reference, along)
    off = to_reference - height * along
    distance = np.sqrt(dot(off, off))
    e = off / distance
    aside = _cross(along, e)
    found = np.concatenate([dot(total, e), dot(total, aside)])
    if not derivatives:
        return found, None

    def by_axis(direction: Vectors) -> Vectors:
        """Derivative by c - a of ``direction · along``, direction held."""
        return (direction - dot(direction, along) * along) / lengths[2]

    def by_e(direction: Vectors) -> tuple[Vectors, Vectors]:
        """Derivatives by d - a and by c - a of ``direction · e``, direction held."""
        t = (direction - dot(direction, e) * e) / distance
        straight = t - dot(t, along) * along
        return straight, -by_axis(dot(t, along) * to_reference + height * t)

    rows = []
    for direction, more in ((e, None), (aside, _cross(e, total))):
        ends = [(direction - dot(direction, v) * v) / length for v, length in ((u, lengths[0]), (w, lengths[1]))]
        reference, turn = by_e(total if more is None else _cross(total, along))
        if more is not None:
            turn = turn + by_axis(more)
        rows.append(_stacked([ends[0] - reference - turn, -ends[0] - ends[1], ends[1] + turn, reference]))
    return found, np.concatenate(rows)
