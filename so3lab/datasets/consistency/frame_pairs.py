"""Which frames of a set may be compared with each other: pairs of the same atoms, charge, spin and cell."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Integer

from so3lab.datasets.dataset import Dataset


class FramePairs(NamedTuple):
    """Pairs of frames that hold the same atoms."""

    first: Integer[np.ndarray, " pairs"]
    second: Integer[np.ndarray, " pairs"]
    energy_changes: Float[np.ndarray, " pairs"]
    """eV from the first frame to the second."""
    expected: Float[np.ndarray, " pairs"]
    """eV by the mean of both frames' forces."""
    moved: Float[np.ndarray, " pairs"]
    """Å of the atom, or of the distance, that changed most."""

    @property
    def frames(self) -> int:
        """How many different frames there are."""
        return len(np.unique(np.concatenate([self.first, self.second])))

    def where(self, chosen: np.ndarray) -> "FramePairs":
        """Some of the pairs."""
        return FramePairs(*(column[chosen] for column in self))


def joined_pairs(kinds: list[FramePairs]) -> FramePairs:
    """The pairs of several kinds of frames."""
    return FramePairs(*(np.concatenate(columns) for columns in zip(*kinds, strict=True)))


def comparable_frames(dataset: Dataset) -> list[Integer[np.ndarray, " frames"]]:
    """Frames of the same atoms, charge, spin and cell, the largest kinds first; a kind has at least two."""
    columns = [dataset.total_charges, dataset.unpaired_electrons, *dataset.pbc.T]
    columns += [] if dataset.cells is None else [*np.round(dataset.cells.reshape(-1, 9), 6).T]
    kind = dataset.molecules
    for column in columns:
        if (column != column[0]).any():
            values = np.unique(column, return_inverse=True)[1].reshape(-1)
            kind = np.unique(kind * (values.max() + 1) + values, return_inverse=True)[1].reshape(-1)
    order = np.argsort(kind, kind="stable")
    kinds = np.split(order, np.flatnonzero(np.diff(kind[order])) + 1)
    return sorted((frames for frames in kinds if len(frames) > 1), key=len, reverse=True)
