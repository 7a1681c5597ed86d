"""Which of a hundred thousand values does a curve or a cloud of points need so that it looks the same?"""

import numpy as np

MOST_BINS = 1200
"""About one per pixel of the widest plot."""


def thinned(values: np.ndarray, first: int, stop: int, bins: int = MOST_BINS) -> np.ndarray:
    """Indices of the values from ``first`` to before ``stop`` that draw the curve.

    The range is cut into bins, and the smallest and the largest value of each stay, so that no peak is lost and every
    point is a true one. Values that are not numbers are drawn nowhere and lose nothing here.

    Returns:
        Ascending indices; all of them where there are no more than two per bin.
    """
    count = max(0, stop - first)
    if count <= 2 * bins:
        return np.arange(first, first + count)
    edges = np.linspace(0, count, bins + 1).astype(int)[:-1]
    part = np.asarray(values[first:stop], np.float64)
    order = np.lexsort((part, np.repeat(np.arange(bins), np.diff([*edges, count]))))
    ends = np.append(edges[1:], count) - 1
    return first + np.unique(np.concatenate([order[edges], order[ends], [0, count - 1]]))


def strided(first: int, stop: int, most: int = 2 * MOST_BINS) -> np.ndarray:
    """Every n-th index: for values on a circle, of which the largest and smallest say nothing."""
    return np.arange(first, stop, max(1, -(-(stop - first) // most)))


def scattered(x: np.ndarray, y: np.ndarray, most: int) -> np.ndarray:
    """Indices of points that draw the same cloud: at least one of each place where there are any.

    The plane is cut into ``most`` squares, each of which keeps its first point; others fill up what is left. Points
    without a place, where a number is missing, are left out.

    Returns:
        Ascending indices, ``most`` of them or less.
    """
    there = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    if len(there) <= most:
        return there
    side = int(np.sqrt(most))
    squares = np.zeros(len(there), int)
    for values in (x[there], y[there]):
        low, width = values.min(), max(float(np.ptp(values)), 1e-300)
        squares = side * squares + np.minimum((side * ((values - low) / width)).astype(int), side - 1)
    first = np.full(side * side, -1)
    first[squares[::-1]] = np.arange(len(there))[::-1]  # of several in a square the first one is written last
    kept = np.zeros(len(there), bool)
    kept[first[first >= 0]] = True
    others, room = np.flatnonzero(~kept), most - int(kept.sum())
    kept[others[np.linspace(0, len(others) - 1, room).astype(int)]] = True
    return there[kept]
