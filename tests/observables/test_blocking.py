"""The error of a mean is the one theory gives, for values that remember one another and for those that do not."""

import numpy as np
import pytest
from scipy.signal import lfilter

from so3lab import observables


def remembering(memory: float, count: int, seed: int) -> np.ndarray:
    """First-order autoregressive noise of variance one, in equilibrium from the start."""
    noise = np.random.default_rng(seed).normal(size=count)
    noise[1:] *= np.sqrt(1 - memory**2)
    return lfilter([1.0], [1.0, -memory], noise)


def exact_error(memory: float, count: int) -> float:
    """Standard deviation of the mean of so many values."""
    lags = np.arange(1, count)
    return np.sqrt((1 + 2 * np.sum((1 - lags / count) * memory**lags)) / count)


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.9, 0.97])
def test_error_at_the_plateau_is_the_analytic_one(memory):
    count = 40000
    estimates = [observables.mean_and_error(remembering(memory, count, seed) + 7.0) for seed in range(12)]
    assert all(estimate.plateau for estimate in estimates)
    exact = exact_error(memory, count)
    assert np.mean([estimate.error for estimate in estimates]) == pytest.approx(exact, rel=0.08)
    deviations = [(estimate.mean - 7.0) / estimate.error for estimate in estimates]
    assert 0.5 < np.sqrt(np.mean(np.square(deviations))) < 1.7


def test_blocks_of_independent_values_all_give_the_same_error():
    series = np.random.default_rng(1).normal(2.0, 3.0, 2**14)
    table = observables.block_average(series)
    assert table["block_size"].tolist() == [2**k for k in range(14)]
    assert table["blocks"].tolist() == [2 ** (14 - k) for k in range(14)]
    assert table["error"][0] == pytest.approx(series.std(ddof=1) / 2**7)
    large = table[table["blocks"] >= 16]
    assert (np.abs(large["error"] - 3.0 / 2**7) < 4 * large["error_of_error"]).all()
    assert table["error_of_error"][4] == pytest.approx(table["error"][4] / np.sqrt(2 * (2**10 - 1)))


def test_a_series_shorter_than_its_memory_says_so():
    wandering = np.cumsum(np.random.default_rng(0).normal(size=2000))
    estimate = observables.mean_and_error(wandering)
    assert not estimate.plateau
    assert estimate.error == observables.block_average(wandering)["error"].max()


def test_a_constant_has_no_error():
    assert observables.mean_and_error(np.full(64, 3.5)) == (3.5, 0.0, 1, True)


def test_blocks_refuse_too_little_and_nan():
    with pytest.raises(ValueError, match="series must hold at least 4 values to form blocks, got 3"):
        observables.block_average(np.zeros(3))
    with pytest.raises(ValueError, match="series must be finite, frame 2 is not"):
        observables.mean_and_error(np.array([1.0, 2.0, np.nan, 3.0, 4.0]))


@pytest.mark.parametrize("memory", [0.0, 0.9])
def test_the_error_of_a_slope_is_its_spread_over_many_series(memory):
    times = np.linspace(0.0, 20.0, 2000)
    found = [observables.slope_and_error(times, 0.3 * times + remembering(memory, 2000, seed)) for seed in range(60)]
    slopes, errors = np.transpose(found)
    assert slopes.mean() == pytest.approx(0.3, abs=4 * slopes.std() / np.sqrt(60))
    assert np.mean(errors) == pytest.approx(slopes.std(), rel=0.35)


def test_a_straight_line_has_a_slope_without_error():
    slope, error = observables.slope_and_error(np.arange(8.0), 1.0 - 2.0 * np.arange(8.0))
    assert (slope, error) == (pytest.approx(-2.0), pytest.approx(0.0, abs=1e-12))
    with pytest.raises(ValueError, match="at least 4 values for a slope with an error, got 3"):
        observables.slope_and_error(np.arange(3.0), np.zeros(3))
