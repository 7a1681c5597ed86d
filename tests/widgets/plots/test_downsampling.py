"""Thinned curves: few points, all of them true, no peak lost."""

import numpy as np
import pytest
from so3lab_widgets.plots.downsampling import strided, thinned


@pytest.fixture(scope="module")
def values():
    return np.random.default_rng(0).normal(size=100_000)


@pytest.mark.parametrize(("first", "stop"), [(0, 100_000), (1234, 98_765), (7, 7 + 2401)])
def test_a_long_curve_keeps_its_ends_and_the_peaks_of_every_stretch(values, first, stop):
    chosen = thinned(values, first, stop, bins=1000)
    assert len(chosen) <= 2002
    assert np.all(np.diff(chosen) > 0)
    assert (chosen[0], chosen[-1]) == (first, stop - 1)
    for left, right in zip(*bin_edges(first, stop), strict=True):
        inside = values[chosen[(chosen >= left) & (chosen < right)]]
        assert inside.min() == values[left:right].min()
        assert inside.max() == values[left:right].max()


def bin_edges(first: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    edges = first + np.linspace(0, stop - first, 1001).astype(int)
    return edges[:-1], edges[1:]


def test_a_short_curve_keeps_everything(values):
    assert thinned(values, 10, 2010, bins=1000).tolist() == list(range(10, 2010))
    assert len(thinned(values, 5, 5)) == 0


def test_what_is_no_number_hides_no_peak(values):
    broken = values.copy()
    broken[::3] = np.nan
    chosen = thinned(broken, 0, len(broken))
    assert np.nanmin(broken[chosen]) == np.nanmin(broken)
    finite = broken[chosen][np.isfinite(broken[chosen])]
    assert len(finite) > 0


def test_angles_are_thinned_evenly():
    chosen = strided(0, 100_000, most=2400)
    assert len(chosen) <= 2400
    assert len(np.unique(np.diff(chosen))) == 1
    assert strided(3, 10).tolist() == list(range(3, 10))
