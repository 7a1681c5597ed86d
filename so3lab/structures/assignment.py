"""How far apart are two clusters without bonds, whichever way they are turned and their equal atoms numbered?

Nothing but the element tells atoms of a Lennard-Jones or metal cluster apart, so that every exchange of equal ones is
allowed. Two atoms that are rare by their distance from the centre fix the frame of one cluster; every pair of the
other that lies alike is tried as their partners, and the rest is an assignment.
"""

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from so3lab.structures.rotations import rotations_onto
from so3lab.structures.superposition import Superposed

ROUNDS = 4
"""Of assigning atoms and rotating anew; the first assignment is right where the clusters are the same."""
TRIED = 12
"""Frames, the most promising ones, whose assignment is made."""
FRAMES = 4000
"""That are looked at, at most."""
SLACK = 3.0
"""Times the limit by which distances of the two atoms that fix the frame may differ."""
_FAR = 1e6


def superpose_unbonded(
    numbers: Int[np.ndarray, " atoms"],
    one: Float[np.ndarray, "atoms 3"],
    others: Float[np.ndarray, "others atoms 3"],
    *,
    limit: float,
    mirror_images: bool = True,
    numbers_of_others: Int[np.ndarray, " atoms"] | None = None,
) -> Superposed:
    """The smallest RMSD found of each of the others from one cluster, over exchanges of equal atoms; infinity above the
    limit.

    Args:
        numbers: Atomic numbers of the one.
        one: Å, or any unit.
        others: The same unit.
        limit: RMSD beyond which nobody asks how far apart they are, in that unit.
        mirror_images: Whether a cluster may be reflected before it is laid upon the other.
        numbers_of_others: Atomic numbers of the others; default: the same.
    """
    theirs = numbers if numbers_of_others is None else numbers_of_others
    count, atoms = others.shape[:2]
    found = Superposed(np.full(count, np.inf), np.zeros(count, bool), np.full((count, atoms), -1))
    if not np.array_equal(np.sort(numbers), np.sort(theirs)):
        return found
    one = one - one.mean(axis=0)
    different = np.where(numbers[:, None] != theirs, _FAR, 0.0)
    for number, other in enumerate(others):
        other = other - other.mean(axis=0)
        for rotation, hand in _promising(numbers, one, theirs, other, different, SLACK * limit, mirror_images):
            rmsd, partners = _refined(one, other, rotation, hand, different)
            better = rmsd < found.rmsd[number] - 1e-9
            if rmsd <= limit and better:
                found.rmsd[number], found.mirrored[number], found.partners[number] = rmsd, hand < 0, partners
    return found


def _promising(
    numbers: np.ndarray,
    one: np.ndarray,
    theirs: np.ndarray,
    other: np.ndarray,
    different: np.ndarray,
    slack: float,
    mirror_images: bool,
) -> list[tuple[np.ndarray, int]]:
    """Rotations of the other that bring two atoms onto two atoms of the one, with the hand, the best ones."""
    first, second = _anchors(numbers, one)
    pairs = _alike(numbers, one, theirs, other, first, second, slack)[:FRAMES]
    own = _frame(one[first], one[second])
    tried: list[tuple[float, int, int, np.ndarray]] = []
    for i, j in pairs:
        frame = _frame(other[i], other[j])
        for hand in (1, -1) if mirror_images else (1,):
            turned = frame * np.array([[1.0], [1.0], [hand]])
            rotation = turned.T @ own  # may reflect, as told by the hand
            distances = cdist(one, other @ rotation) + different
            tried.append((float(np.sum(distances.min(axis=1) ** 2)), -hand, len(tried), rotation))
    best = sorted(tried, key=lambda row: (round(row[0], 6), row[1], row[2]))[:TRIED]
    return [(rotation, -hand) for _, hand, _, rotation in best]


def _anchors(numbers: np.ndarray, one: np.ndarray) -> tuple[int, int]:
    """Two atoms that fix a frame with the centre, of kinds that are rare; the same atom where all lie on a line."""
    radii = np.linalg.norm(one, axis=1)
    far = radii > 0.3 * radii.max()
    alike = (numbers[:, None] == numbers) & (np.abs(radii[:, None] - radii) < 0.02 * radii.max())
    first = min(range(len(one)), key=lambda a: (not far[a], alike[a].sum(), -radii[a]))
    off_axis = np.linalg.norm(np.cross(one, one[first]), axis=1)
    bent = off_axis > 0.3 * off_axis.max()
    second = min(range(len(one)), key=lambda a: (not bent[a], alike[a].sum(), -off_axis[a]))
    return first, second if off_axis[second] > 1e-6 * max(radii.max(), 1e-12) ** 2 else first


def _alike(
    numbers: np.ndarray,
    one: np.ndarray,
    theirs: np.ndarray,
    other: np.ndarray,
    first: int,
    second: int,
    slack: float,
) -> list[tuple[int, int]]:
    """Pairs of atoms of the other that lie as the two anchors do, the most similar first."""
    radii, own = np.linalg.norm(other, axis=1), np.linalg.norm(one, axis=1)
    off_first, off_second = np.abs(radii - own[first]), np.abs(radii - own[second])
    between = np.abs(cdist(other, other) - np.linalg.norm(one[first] - one[second]))
    worst = np.maximum(np.maximum(off_first[:, None], off_second[None, :]), between)
    worst[theirs != numbers[first], :] = np.inf
    worst[:, theirs != numbers[second]] = np.inf
    if first != second:
        np.fill_diagonal(worst, np.inf)
    rows, columns = np.nonzero(worst <= slack)
    order = np.argsort(worst[rows, columns], kind="stable")
    return list(zip(rows[order].tolist(), columns[order].tolist(), strict=True))


def _frame(first: Float[np.ndarray, " 3"], second: Float[np.ndarray, " 3"]) -> Float[np.ndarray, "3 3"]:
    """Right-handed axes as rows: along the first vector, in the plane of both, normal to it."""
    length = np.linalg.norm(first)
    x = first / length if length > 1e-12 else np.array([1.0, 0.0, 0.0])
    inside = second - (second @ x) * x
    if np.linalg.norm(inside) < 1e-9:
        inside = np.eye(3)[np.argmin(np.abs(x))]
        inside = inside - (inside @ x) * x
    y = inside / np.linalg.norm(inside)
    return np.stack([x, y, np.cross(x, y)])


def _refined(
    one: np.ndarray, other: np.ndarray, rotation: np.ndarray, hand: int, different: np.ndarray
) -> tuple[float, np.ndarray]:
    """RMSD and partners after assigning and rotating until nothing changes."""
    partners = np.full(len(one), -1)
    for _ in range(ROUNDS):
        squares = cdist(one, other @ rotation, "sqeuclidean") + different
        chosen = linear_sum_assignment(squares)[1]
        if np.array_equal(chosen, partners):
            break
        partners = chosen
        rotation = rotations_onto(other[partners].T @ one, hand)
    return float(np.sqrt(np.mean(np.sum((other[partners] @ rotation - one) ** 2, axis=1)))), partners
