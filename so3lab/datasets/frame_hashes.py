"""Which frames are the same frame, wherever and in whatever order they are stored?"""

import base64

import numpy as np
from jaxtyping import Bool, UInt64

from so3lab.datasets.dataset import Dataset

RESOLUTION = 1e-3
"""Å below which positions and cells count as the same: more than a file's digits lose, less than a step of dynamics."""


def frame_hashes(dataset: Dataset) -> UInt64[np.ndarray, " frames"]:
    r"""A number for each frame that tells it from frames with other atoms, places, cell, charge or spin.

    .. math:: h = \sum_k m_k \, \mathrm{round}(x_k / \text{resolution}) \mod 2^{64}

    The :math:`m_k` are fixed random numbers, so that two frames share a number by chance once in :math:`2^{64}`.
    Labels do not count. A frame that was turned or moved is another one.
    """
    sizes = dataset.sizes
    starts = np.cumsum(sizes) - sizes
    within = np.arange(int(sizes.sum())) - np.repeat(starts, sizes)
    factors = _factors(0, 4 * int(sizes.max())).reshape(-1, 4)
    places, elements = _whole(np.concatenate(dataset.positions), RESOLUTION), np.concatenate(dataset.numbers)
    terms = elements.astype(np.uint64) * factors[within, 3]
    for axis in range(3):
        terms += places[:, axis] * factors[within, axis]
    sums = np.add.reduceat(terms, starts)
    electrons = np.column_stack([dataset.total_charges, dataset.unpaired_electrons])
    rest = [_whole(electrons, 1e-3), dataset.pbc.astype(np.uint64)]
    rest += [] if dataset.cells is None else [_whole(dataset.cells.reshape(-1, 9), RESOLUTION)]
    columns = np.column_stack(rest)
    return sums + (columns * _factors(1, 14)[: columns.shape[1]]).sum(axis=1, dtype=np.uint64)


def first_copies(dataset: Dataset) -> np.ndarray:
    """For each frame the first one that is the same; shape ``(frames,)``, its own number where there is none."""
    _, first, inverse = np.unique(frame_hashes(dataset), return_index=True, return_inverse=True)
    return first[inverse.reshape(-1)]


def packed(marks: UInt64[np.ndarray, " frames"], earlier: str = "") -> str:
    """Hashes as text for a model file, 11 letters each, with those of an ``earlier`` text."""
    return base64.b64encode(np.union1d(marks, _unpacked(earlier)).astype("<u8").tobytes()).decode("ascii")


def is_among(marks: UInt64[np.ndarray, " frames"], text: str) -> Bool[np.ndarray, " frames"]:
    """Which frames are among those of a text of :func:`packed`."""
    return np.isin(marks, _unpacked(text))


def _unpacked(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<u8").astype(np.uint64)


def _whole(values: np.ndarray, resolution: float) -> np.ndarray:
    return np.rint(values / resolution).astype(np.int64).view(np.uint64)


def _factors(seed: int, count: int) -> np.ndarray:
    """Odd random numbers, the same on every machine and for every length."""
    return np.random.PCG64(seed).random_raw(count) | np.uint64(1)
