"""How much must energies of nearly the same frames of metals and clusters differ by what their forces say?"""

import numpy as np
from jaxtyping import Float, Int

from so3lab.datasets.consistency.frame_pairs import FramePairs
from so3lab.datasets.dataset import Dataset
from so3lab.structures.rotations import rotations_onto

FURTHEST = 0.6
"""Å that the atom which moved most may be away: so far the mean force along a straight line tells the energy."""
_MOVED = 1e-3  # Å; below, frames are the same
_FRAMES = 120
_FRAMES_IN_CELLS = 60
_ATOMS_COMPARED = 24


def near_pairs(dataset: Dataset, frames: Int[np.ndarray, " frames"]) -> FramePairs:
    r"""Each frame, or some hundred of many, with the one most like it, where that is less than ``FURTHEST`` away.

    .. math:: \Delta E \approx -\tfrac12 (F_a + F_b) \cdot (r_b - r_a)

    with clusters superposed, and nearest images in cells.

    Args:
        dataset: The set.
        frames: Frames of the same atoms, charge, spin and cell.
    """
    frames = _thinned(frames, _FRAMES_IN_CELLS if dataset.pbc[frames[0]].any() else _FRAMES)
    positions, forces = (np.stack([column[i] for i in frames]) for column in (dataset.positions, dataset.forces))
    periodic = dataset.pbc[frames[0]]
    if periodic.any():
        assert dataset.cells is not None
        steps = _steps_in_cell(positions, dataset.cells[frames[0]], periodic)
        distances = np.einsum("abni,abni->ab", steps, steps)
    else:
        distances = _unlikeness(positions)
    np.fill_diagonal(distances, np.inf)
    pairs = np.unique(np.sort(np.column_stack([np.arange(len(frames)), distances.argmin(axis=1)]), axis=1), axis=0)
    first, second = pairs.T
    if periodic.any():
        moves, turned = steps[first, second], forces[second]
    else:
        start, end = (positions[i] - positions[i].mean(axis=1, keepdims=True) for i in (first, second))
        turns = rotations_onto(np.einsum("pni,pnj->pij", end, start))
        moves, turned = end @ turns - start, forces[second] @ turns
    expected = -0.5 * np.einsum("pni,pni->p", forces[first] + turned, moves)
    changes = dataset.energies[frames[second]] - dataset.energies[frames[first]]
    moved = np.sqrt((moves**2).sum(axis=2).max(axis=1))
    near = (moved > _MOVED) & (moved < FURTHEST)
    return FramePairs(frames[first], frames[second], changes, expected, moved).where(near)


def _thinned(frames: np.ndarray, count: int) -> np.ndarray:
    """So many frames in pairs of neighbours, which are alike where frames follow each other in time."""
    if len(frames) <= count:
        return frames
    starts = np.linspace(0, len(frames) - 2, count // 2).astype(int)
    return frames[np.unique(np.concatenate([starts, starts + 1]))]


def _unlikeness(positions: Float[np.ndarray, "frames atoms 3"]) -> Float[np.ndarray, "frames frames"]:
    """Squared difference of all distances between atoms (of some atoms of large molecules), which turning leaves."""
    frames, atoms = positions.shape[:2]
    some = positions[:, np.unique(np.linspace(0, atoms - 1, min(atoms, _ATOMS_COMPARED)).astype(int))]
    apart = np.zeros((frames, some.shape[1], some.shape[1]))
    for axis in range(3):
        apart += (some[:, :, None, axis] - some[:, None, :, axis]) ** 2
    rows = np.sqrt(apart).reshape(frames, -1)
    rows -= rows.mean(axis=0)
    squares = np.einsum("fp,fp->f", rows, rows)
    return squares[:, None] + squares - 2.0 * rows @ rows.T


def _steps_in_cell(
    positions: Float[np.ndarray, "frames atoms 3"], cell: Float[np.ndarray, "3 3"], periodic: np.ndarray
) -> Float[np.ndarray, "frames frames atoms 3"]:
    """From each frame to each, by nearest images, without the motion of all atoms together."""
    complete = np.where(periodic[:, None], cell, 0.0)
    fractions = (positions[None] - positions[:, None]) @ np.linalg.pinv(complete)
    steps = positions[None] - positions[:, None] - np.round(fractions) @ complete
    return steps - steps.mean(axis=2, keepdims=True)
