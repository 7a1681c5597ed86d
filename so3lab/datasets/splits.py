"""Which frames train, which validate, which test: reproducible, without splitting groups if asked."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Integer
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from so3lab.datasets.dataset import Dataset
from so3lab.datasets.frame_hashes import first_copies


class Split(NamedTuple):
    """Frame indices of the three parts; no frame is in two of them."""

    train: Integer[np.ndarray, " train"]
    valid: Integer[np.ndarray, " valid"]
    test: Integer[np.ndarray, " test"]


def split(
    dataset: Dataset,
    train: int,
    valid: int = 0,
    test: int | None = None,
    seed: int = 0,
    groups: np.ndarray | str | int | None = None,
) -> Split:
    """Deal the frames at random into training, validation and test indices; copies of a frame stay in one part.

    With one seed, a smaller training part is the beginning of a larger one, and the test frames do
    not depend on how many train: learning curves compare like with like.

    Args:
        dataset: The set to split.
        train: Training frames.
        valid: Validation frames.
        test: Test frames; all that remain when None.
        seed: Same seed, same parts, on every machine and NumPy version.
        groups: Keeps frames that belong together in one part, since neighbours in time give
            flattering test errors: an array of shape ``(frames,)``, the name of one of
            ``dataset.labels``, or a number of consecutive frames per block. Frames of a group that
            is only partly needed are left unused.

    Returns:
        Indices into ``dataset``, in random order.

    Raises:
        ValueError: If more frames are asked for than there are.
    """
    wanted = {"train": train, "valid": valid, "test": 0 if test is None else test}
    for part, count in wanted.items():
        if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 0:
            raise ValueError(f"{part} must be a whole number of frames, 0 or more, got {count!r}")
    total = sum(wanted.values())
    if total > len(dataset):
        asked = " + ".join(str(count) for count in wanted.values())
        raise ValueError(f"train + valid + test = {asked} = {total} frames, but {dataset.name!r} has {len(dataset)}")
    order, edges = _shuffled(len(dataset), seed, _group_of(dataset, groups))
    # Training takes from the front, test and then validation from the back.
    front = edges[np.searchsorted(edges, train)]
    test_start, back = _from_back(edges, len(order), wanted["test"])
    valid_start, back = _from_back(edges, back, valid)
    if front > back:
        different = len(np.unique(first_copies(dataset)))
        copies = "" if different == len(dataset) else f", only {different} of whose {len(dataset)} frames differ"
        raise ValueError(
            f"{total} frames in parts of whole groups do not fit into the {len(edges) - 1} groups of "
            f"{dataset.name!r}{copies} (train {train}, valid {valid}, test {test}); "
            f"ask for fewer frames or use smaller groups; copies of a frame are one group"
        )
    chosen_test = order[test_start : test_start + wanted["test"]] if test is not None else order[front:back]
    return Split(order[:train], order[valid_start : valid_start + valid], chosen_test)


def _from_back(edges: np.ndarray, end: int, count: int) -> tuple[int, int]:
    """Where ``count`` frames before ``end`` start, and where the last group they touch starts."""
    start = end - count
    return start, int(edges[np.searchsorted(edges, max(start, 0), side="right") - 1]) if count else end


def _group_of(dataset: Dataset, groups: np.ndarray | str | int | None) -> np.ndarray | None:
    """A whole number per frame, equal within a group and for copies of a frame; None where every frame is its own."""
    first = first_copies(dataset)
    copies = (first != np.arange(len(dataset))).any()
    if groups is None:
        return np.unique(first, return_inverse=True)[1] if copies else None
    group_of = _asked_for(dataset, groups)
    if not copies:
        return group_of
    frames = len(dataset)
    links = coo_array((np.ones(frames), (group_of, first + group_of.max() + 1)), shape=(2 * frames, 2 * frames))
    return np.unique(connected_components(links, directed=False)[1][group_of], return_inverse=True)[1]


def _asked_for(dataset: Dataset, groups: np.ndarray | str | int) -> np.ndarray:
    """Groups as the caller names them, as a whole number per frame."""
    if isinstance(groups, str):
        if groups not in dataset.labels:
            raise ValueError(f"groups must be one of the labels {sorted(dataset.labels)}, got {groups!r}")
        groups = dataset.labels[groups]
    elif isinstance(groups, int):
        if groups < 1:
            raise ValueError(f"groups as a block length must be at least 1 frame, got {groups}")
        groups = np.arange(len(dataset)) // groups
    groups = np.asarray(groups)
    if groups.shape != (len(dataset),):
        raise ValueError(f"groups must have shape ({len(dataset)},), one per frame, got {groups.shape}")
    return np.unique(groups, return_inverse=True)[1]


def _shuffled(frames: int, seed: int, group_of: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """All frames in random order, groups together, and the edges between groups in that order.

    Sorts raw PCG64 output: NumPy promises this stream for ever, and `Generator.permutation` not.
    """
    stream = np.random.PCG64(seed)
    keys = stream.random_raw(frames)
    if group_of is None:
        return np.argsort(keys, kind="stable"), np.arange(frames + 1)
    rank = np.argsort(np.argsort(stream.random_raw(int(group_of.max()) + 1), kind="stable"))
    order = np.lexsort((keys, rank[group_of]))
    changes = np.flatnonzero(np.diff(group_of[order])) + 1
    return order, np.concatenate([[0], changes, [frames]])
