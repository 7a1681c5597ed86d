"""Which minima lie beyond what a model was trained on, and how far?

A distance alone says little: that of a minimum from the nearest training frame is compared with how far training frames
themselves are from their nearest. A model interpolates where they are alike, and extrapolates where a minimum is
farther from all frames than frames are from each other.
"""

from collections.abc import Sequence
from typing import NamedTuple

import ase
import numpy as np
from ase.data import covalent_radii
from jaxtyping import Bool, Float, Int

from so3lab.datasets import Dataset
from so3lab.landscape.fingerprints import Fingerprints
from so3lab.structures.symmetry import molecular_graph

REACH_PERCENT = 95.0
"""A minimum is beyond the training data where it is farther from them than this share of them is from the others."""
LEAST_REACH = {"°": 10.0, "Å": 0.125}
"""And by more than what warm atoms do anyway: where frames lie densely, as along the one torsion of ethanol, the next
one is a tenth of a degree away."""
SAMPLE = 4000
"""Training frames whose own distances are looked at, at most, evenly spaced."""
_STRETCH = 1.4
"""Times the sum of covalent radii within which a bond of a warm frame still is one."""
_ROWS = 512
_TRAJECTORY = "trajectory"


class Novelty(NamedTuple):
    """How far minima are from a training set."""

    distances: Float[np.ndarray, " minima"]
    """To the nearest frame, in the unit of the training set's fingerprint."""
    frames: Int[np.ndarray, " minima"]
    """Which frame that is."""
    ratios: Float[np.ndarray, " minima"]
    """The distances in units of the training set's reach, so that above 1 is beyond it."""

    @property
    def beyond(self) -> Bool[np.ndarray, " minima"]:
        """Which minima are beyond the training data."""
        return self.ratios > 1.0


class TrainingConformations:
    """What a training set knows of the conformations of one compound.

    Args:
        frames: The set: a :class:`~so3lab.datasets.Dataset` or structures, in any numbering. Frames of other compounds
            do not count, and those that have a cell do not either.
        compound: Any structure of the compound, such as its lowest minimum.

    Raises:
        ValueError: If fewer than two frames are of the compound, or the compound is periodic.
    """

    def __init__(self, frames: Dataset | Sequence[ase.Atoms], compound: ase.Atoms):
        self._fingerprints = Fingerprints(compound)
        self.unit, self.what = self._fingerprints.kind.unit, self._fingerprints.kind.what
        rows = _vectors_of_frames(frames, self._fingerprints)
        if len(rows) < 2:
            raise ValueError(
                f"frames must hold two or more structures of {compound.get_chemical_formula()} with the same bonds, "
                f"{len(frames)} frames hold {len(rows)}"
            )
        self.frames: Int[np.ndarray, " known"] = np.array(sorted(rows), int)
        """Numbers of the frames that are of the compound."""
        self._vectors = np.array([rows[frame][0] for frame in self.frames.tolist()])
        self._mirrored = np.array([rows[frame][1] for frame in self.frames.tolist()])
        self.own_distances: Float[np.ndarray, " sample"] = self._own(_trajectories(frames, self.frames))
        """From training frames to their nearest of another trajectory, where the set says which is from which; of any
        other frame where it does not."""
        self.reach = max(LEAST_REACH[self.unit], float(np.percentile(self.own_distances, REACH_PERCENT)))
        """How far a structure may be from the nearest frame and still lie among them."""

    def novelty(self, structures: Sequence[ase.Atoms]) -> Novelty:
        """How far structures are from the nearest training frame, or its mirror image where that is the same compound.

        Args:
            structures: Minima of the compound.

        Raises:
            ValueError: If one of them is of another compound.
        """
        vectors = self._fingerprints.vectors(structures)
        distances, nearest = self._nearest(vectors.reshape(len(structures), -1), None)
        shown = self._fingerprints.kind.spread(distances)
        return Novelty(shown, self.frames[nearest], shown / self.reach)

    def _own(self, trajectories: np.ndarray) -> Float[np.ndarray, " sample"]:
        chosen = np.unique(np.linspace(0, len(self.frames) - 1, min(SAMPLE, len(self.frames))).astype(int))
        apart = trajectories[chosen, None] == trajectories[None, :]
        distances, _ = self._nearest(self._vectors[chosen], apart)
        return self._fingerprints.kind.spread(distances)

    def _nearest(self, vectors: np.ndarray, left_out: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Distance and row of the nearest frame of each vector, some left out."""
        best, rows = np.full(len(vectors), np.inf), np.zeros(len(vectors), int)
        known = [self._vectors] if self._fingerprints.has_hand else [self._vectors, self._mirrored]
        for frames in known:
            lengths = np.einsum("fd,fd->f", frames, frames)
            for start in range(0, len(vectors), _ROWS):
                part = slice(start, start + _ROWS)
                some = vectors[part]
                squares = np.einsum("sd,sd->s", some, some)[:, None] + lengths - 2.0 * some @ frames.T
                if left_out is not None:
                    squares[left_out[part]] = np.inf
                closest = squares.argmin(axis=1)
                # the expansion loses digits where two are alike, so that the nearest is measured once more
                exact = np.linalg.norm(some - frames[closest], axis=1)
                exact[np.isinf(squares[np.arange(len(some)), closest])] = np.inf
                better = exact < best[part]
                best[part], rows[part] = np.where(better, exact, best[part]), np.where(better, closest, rows[part])
        return best, rows


def _vectors_of_frames(
    frames: Dataset | Sequence[ase.Atoms], fingerprints: Fingerprints
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """By frame, for those of the compound: its vector and that of its mirror image."""
    if isinstance(frames, Dataset):
        numbers, positions, pbc = frames.numbers, frames.positions, frames.pbc
    else:
        numbers, positions = [one.numbers for one in frames], [one.positions for one in frames]
        pbc = np.array([one.pbc for one in frames]).reshape(-1, 3)
    formula = np.sort(fingerprints.graph.numbers)
    groups: dict[bytes, list[int]] = {}
    for frame, kinds in enumerate(numbers):
        if len(kinds) == len(formula) and not pbc[frame].any() and np.array_equal(np.sort(kinds), formula):
            groups.setdefault(np.asarray(kinds, int).tobytes(), []).append(frame)
    found: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for members in groups.values():
        together = np.stack([np.asarray(positions[frame], float) for frame in members])
        found |= _of_numbers(np.asarray(numbers[members[0]], int), np.array(members), together, fingerprints)
    return found


def _of_numbers(
    numbers: np.ndarray, members: np.ndarray, positions: np.ndarray, fingerprints: Fingerprints
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """The same of frames with the same elements in the same order, whose bonds may yet differ."""
    found: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    left: np.ndarray = np.arange(len(members))
    while len(left):
        graph = molecular_graph(ase.Atoms(numbers, positions[left[0]]))
        fingerprint = fingerprints.of_graph(graph)
        if fingerprint is None:  # another compound, or a bond that is stretched too far to tell
            left = left[1:]
            continue
        i, j = graph.bonds.T
        lengths = np.linalg.norm(positions[left][:, i] - positions[left][:, j], axis=2)
        alike = np.all(lengths < _STRETCH * (covalent_radii[numbers[i]] + covalent_radii[numbers[j]]), axis=1)
        alike[0] = True
        chosen = left[alike]
        vectors = fingerprint.vectors(positions[chosen])
        mirrored = fingerprint.vectors(positions[chosen] * np.array([-1.0, 1.0, 1.0]))
        for row, own, image in zip(chosen.tolist(), vectors, mirrored, strict=True):
            found[int(members[row])] = own, image
        left = left[~alike]
    return found


def _trajectories(frames: Dataset | Sequence[ase.Atoms], known: np.ndarray) -> np.ndarray:
    """Of each known frame a number of its trajectory; all different where the set tells none, or only one."""
    labels = frames.labels.get(_TRAJECTORY) if isinstance(frames, Dataset) else None
    if labels is None:
        return np.arange(len(known))
    _, numbers = np.unique(np.asarray(labels)[known], return_inverse=True)
    return numbers if numbers.max() > 0 else np.arange(len(known))
