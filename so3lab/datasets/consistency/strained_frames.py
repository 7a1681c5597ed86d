"""How much must energies of frames of bonded atoms differ by what forces along bonds and across angles say?"""

from typing import NamedTuple

import numpy as np
from ase import Atoms
from jaxtyping import Float, Int
from scipy.sparse import csr_array
from scipy.sparse.linalg import spsolve

from so3lab.datasets.consistency.frame_pairs import FramePairs
from so3lab.datasets.dataset import Dataset
from so3lab.structures.bonds import bonded_pairs

LEAST_EXPLAINED = 0.9
"""Share of the squares of all forces that bonds and angles hold; the rest are contacts and metals."""
LEAST_MOTION = 0.012
"""Å by which bonds must differ between frames in the mean; less is not heat, and energies differ for other reasons."""
FRAMES = 40
"""How many are compared at most."""
_ATOMS = 3_000
_RIDGE = 1e-3
"""Of squared singular values, which are 1 to 10: rings have more distances than degrees of freedom."""


class _Strain(NamedTuple):
    """One frame in the distances between bonded atoms and between the ends of angles."""

    graph: bytes
    """Which atoms are bonded; frames with other bonds have other coordinates."""
    distances: Float[np.ndarray, " distances"]
    """Å."""
    tensions: Float[np.ndarray, " distances"]
    """Minus the derivative of the energy by each distance, eV/Å."""
    explained: float
    bonds: int
    """How many distances are bonds; they come first."""


def strained_pairs(dataset: Dataset, frames: Int[np.ndarray, " frames"], most: int = FRAMES) -> FramePairs | None:
    r"""All pairs among some frames of one kind, near or far.

    .. math::
        \Delta E \approx -\tfrac12 \sum_q (\phi_q^a + \phi_q^b) (q_b - q_a), \quad B^T \phi = F, \quad
        B = \partial q / \partial r

    over distances :math:`q` along bonds and across angles, in which energies of molecules are nearly quadratic, however
    far they turn about their bonds; of all tensions :math:`\phi` that give the forces, the least.

    Args:
        dataset: The set.
        frames: Frames of the same atoms, charge, spin and cell.
        most: How many of them at most.

    Returns:
        Pairs of frames with the bonds that most of them have, none where bonds hardly move; None where bonds and angles
        do not hold the forces.
    """
    most = max(2, min(most, FRAMES, _ATOMS // len(dataset.numbers[frames[0]])))
    some = frames[np.unique(np.linspace(0, len(frames) - 1, min(len(frames), most)).astype(int))]
    strains = {int(frame): found for frame in some if (found := _strain(dataset, int(frame))) is not None}
    if not strains:
        return None
    graphs = [found.graph for found in strains.values()]
    usual = max(graphs, key=graphs.count)
    same = {frame: found for frame, found in strains.items() if found.graph == usual}
    if len(same) < 2 or np.median([found.explained for found in same.values()]) < LEAST_EXPLAINED:
        return None
    kept = np.array(list(same))
    distances, tensions = (np.stack([found[column] for found in same.values()]) for column in (1, 2))
    first, second = np.triu_indices(len(kept), 1)
    steps = distances[second] - distances[first]
    expected = -0.5 * np.einsum("pq,pq->p", tensions[first] + tensions[second], steps)
    changes = dataset.energies[kept[second]] - dataset.energies[kept[first]]
    pairs = FramePairs(kept[first], kept[second], changes, expected, np.abs(steps).max(axis=1))
    motion = np.sqrt(np.mean(steps[:, : next(iter(same.values())).bonds] ** 2))
    return pairs if motion > LEAST_MOTION else pairs.where(np.zeros(len(first), bool))


def _strain(dataset: Dataset, frame: int) -> _Strain | None:
    """Distances and tensions of one frame; None without any bond, or where an atom is bonded to its own image."""
    cell = None if dataset.cells is None else dataset.cells[frame]
    atoms = Atoms(dataset.numbers[frame], dataset.positions[frame], cell=cell, pbc=dataset.pbc[frame])
    i, j, images = bonded_pairs(atoms)
    code = i.astype(np.int64) * len(atoms) + j
    if not len(i) or (i == j).any() or len(np.unique(code)) < len(code):
        return None
    arrows = atoms.positions[j] - atoms.positions[i] + images @ np.asarray(atoms.cell)
    left, right, across = _angles(i, j, arrows)
    ends = np.concatenate([i, left]), np.concatenate([j, right])
    vectors = np.concatenate([arrows, across])
    distances = np.linalg.norm(vectors, axis=1)
    tensions, explained = _tensions(ends, vectors / distances[:, None], dataset.forces[frame])
    return _Strain(code.tobytes(), distances, tensions, explained, len(i))


def _angles(
    i: Int[np.ndarray, " bonds"], j: Int[np.ndarray, " bonds"], arrows: Float[np.ndarray, "bonds 3"]
) -> tuple[Int[np.ndarray, " angles"], Int[np.ndarray, " angles"], Float[np.ndarray, "angles 3"]]:
    """Ends of each angle, and the vector between them."""
    middle, end = np.concatenate([i, j]), np.concatenate([j, i])
    outwards = np.concatenate([arrows, -arrows])
    order = np.lexsort((end, middle))
    middle, end, outwards = middle[order], end[order], outwards[order]
    starts = np.searchsorted(middle, middle, side="left")
    number = np.arange(len(middle)) - starts  # of this bond among those of its middle atom
    second = np.repeat(np.arange(len(middle)), number)
    first = np.concatenate([np.arange(a, a + n) for a, n in zip(starts, number, strict=True)]).astype(int)
    return end[first], end[second], outwards[second] - outwards[first]


def _tensions(
    ends: tuple[np.ndarray, np.ndarray],
    directions: Float[np.ndarray, "distances 3"],
    forces: Float[np.ndarray, "atoms 3"],
) -> tuple[Float[np.ndarray, " distances"], float]:
    """Least tensions along ``directions`` that give the forces, and which share of them they give."""
    count, own = len(directions), forces.size + np.arange(len(directions))[:, None]
    columns = np.hstack([*(3 * end[:, None] + np.arange(3) for end in ends), own])
    values = np.hstack([-directions, directions, np.full((count, 1), np.sqrt(_RIDGE))])  # a column for each ridge
    begins = np.arange(0, 7 * count + 1, 7)
    derivative = csr_array((values.reshape(-1), columns.reshape(-1), begins), shape=(count, forces.size + count))
    pushed = forces.reshape(-1)
    turned = derivative.T.tocsr()
    tensions = spsolve((derivative @ turned).tocsc(), derivative @ np.concatenate([pushed, np.zeros(count)]))
    left = (turned @ tensions)[: forces.size] - pushed
    squares = float(pushed @ pushed)
    return tensions, 1.0 - float(left @ left) / squares if squares else 0.0
