"""Which atoms somebody means: indices, a mask, a text such as ``0:10,12``, or the word ``heavy``."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Integer

Selection = str | slice | Sequence[int] | Sequence[bool] | np.ndarray
HEAVY = "heavy"


def chosen_atoms(
    selection: Selection | None, atomic_numbers: Integer[np.ndarray, " atoms"]
) -> Integer[np.ndarray, " chosen"]:
    """Indices of the chosen atoms, in the order in which they were given.

    Args:
        selection: Indices (negative ones count from the end), a mask with a truth value for each atom, a slice,
            ``"heavy"`` for all but hydrogen, ranges as text (``"0:10,12"``; as in Python, 10 is not in ``0:10``),
            or None for all.
        atomic_numbers: Elements of all atoms.

    Raises:
        ValueError: If an atom does not exist or is chosen twice, none is chosen, or a mask has another length.
        TypeError: If ``selection`` holds anything but integers or truth values.
    """
    count = len(atomic_numbers)
    if selection is None:
        return np.arange(count)
    if isinstance(selection, str):
        chosen = np.flatnonzero(atomic_numbers > 1) if selection == HEAVY else _ranges(selection, count)
    elif isinstance(selection, slice):
        chosen = np.arange(count)[selection]
    else:
        chosen = _indices(np.asarray(selection), count)
    if not len(chosen):
        raise ValueError(f"atoms must choose at least one of the {count} atoms, got {selection!r}")
    outside = chosen[(chosen < -count) | (chosen >= count)]
    if len(outside):
        raise ValueError(f"atoms must be indices from 0 to {count - 1}, got {outside[0]}")
    chosen = np.where(chosen < 0, chosen + count, chosen)
    numbers, times = np.unique(chosen, return_counts=True)
    if (times > 1).any():
        raise ValueError(f"atoms must name each atom once, but {numbers[times > 1][0]} is there more than once")
    return chosen


def _indices(selection: np.ndarray, count: int) -> Integer[np.ndarray, " chosen"]:
    if selection.ndim != 1:
        raise ValueError(f"atoms must be a list of indices or a mask, got an array of shape {selection.shape}")
    if selection.dtype == bool:
        if len(selection) != count:
            raise ValueError(f"a mask of atoms must have {count} truth values, one for each atom, got {len(selection)}")
        return np.flatnonzero(selection)
    if len(selection) and selection.dtype.kind not in "iu":
        raise TypeError(f"atoms must be integer indices or truth values, got values of type {selection.dtype}")
    return selection.astype(np.int64)


def _ranges(text: str, count: int) -> Integer[np.ndarray, " chosen"]:
    """Indices of a text such as ``0:10,12``."""
    found: list[np.ndarray] = []
    for part in text.split(","):
        try:
            numbers = [int(number) if number.strip() else None for number in part.split(":")]
        except ValueError:
            numbers = []
        if len(numbers) == 1 and numbers[0] is not None:
            found.append(np.array(numbers, np.int64))
        elif len(numbers) in (2, 3) and numbers[2:] != [0]:
            stop = numbers[1]
            if stop is not None and stop > count:
                raise ValueError(f"atoms {part!r} must end at {count} or before: there are {count} atoms")
            found.append(np.arange(count)[slice(*numbers)])
        else:
            raise ValueError(f"atoms must be {HEAVY}, or indices and ranges such as 0:10,12, got {text!r}")
    return np.concatenate(found)
