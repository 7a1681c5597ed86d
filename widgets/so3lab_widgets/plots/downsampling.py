"""Which of a hundred thousand values does a curve need so that it looks the same?"""

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
