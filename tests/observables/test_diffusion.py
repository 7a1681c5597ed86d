"""A random walk diffuses as it was made to, also after being wrapped into a cell."""

import MDAnalysis
import numpy as np
import pytest
from MDAnalysis.analysis.msd import EinsteinMSD

from so3lab import observables
from so3lab.observables.checks import spacing_fs

SKEWED = np.array([[9.0, 0.0, 0.0], [4.0, 8.5, 0.0], [-3.0, 3.5, 9.5]])
STEP, INTERVAL_FS = 0.3, 20.0
EXACT = STEP**2 / (2 * 0.001 * INTERVAL_FS)  # Å²/ps: the variance along one axis over twice the time


def walk(frames: int, atoms: int, seed: int) -> np.ndarray:
    steps = np.random.default_rng(seed).normal(0, STEP, (frames, atoms, 3))
    return np.cumsum(steps, axis=0)


def wrap(positions: np.ndarray, cell: np.ndarray) -> np.ndarray:
    scaled = positions @ np.linalg.inv(cell)
    return (scaled - np.floor(scaled)) @ cell


def test_diffusion_of_a_random_walk_is_the_one_it_was_made_with():
    positions = walk(3000, 100, seed=0)
    table = observables.diffusion_coefficient(positions, INTERVAL_FS * np.arange(3000))
    assert table["diffusion_A2_per_ps"].item() == pytest.approx(EXACT, rel=0.05)
    assert table["diffusion_cm2_per_s"].item() == pytest.approx(1e-4 * table["diffusion_A2_per_ps"].item())
    assert table["from_fs"].item() == pytest.approx(1200.0)
    assert table["to_fs"].item() == pytest.approx(6000.0)


def test_error_of_the_diffusion_coefficient_is_as_large_as_it_should_be():
    deviations = []
    for seed in range(40):
        table = observables.diffusion_coefficient(walk(600, 10, seed), INTERVAL_FS * np.arange(600), blocks=8)
        deviations.append((table["diffusion_A2_per_ps"] - EXACT).item() / table["error_A2_per_ps"].item())
    assert 0.6 < np.sqrt(np.mean(np.square(deviations))) < 1.7


def test_a_wrapped_walk_is_unwrapped_exactly():
    positions = walk(400, 20, seed=1)
    recovered = observables.unwrap(wrap(positions, SKEWED), SKEWED)
    moved = recovered - positions
    np.testing.assert_allclose(moved, np.broadcast_to(moved[0], moved.shape), atol=1e-9)
    assert np.abs(positions - wrap(positions, SKEWED)).max() > 5.0
    time_fs = INTERVAL_FS * np.arange(400)
    free = observables.diffusion_coefficient(positions, time_fs)
    inside = observables.diffusion_coefficient(wrap(positions, SKEWED), time_fs, cell=SKEWED)
    np.testing.assert_allclose(inside, free, rtol=1e-9)


def test_a_walk_in_a_breathing_cell_is_unwrapped_without_drift():
    """Steps are added to wrapped positions and wrapped in the cell of the moment; unwrapping gives the steps back."""
    random = np.random.default_rng(2)
    cells = SKEWED * (1 + 0.02 * np.sin(np.arange(300)))[:, None, None]
    steps = random.normal(0, STEP, (300, 5, 3))
    place, wrapped = np.zeros((5, 3)), []
    for step, cell in zip(steps, cells, strict=True):
        place = wrap(place + step, cell)
        wrapped.append(place)
    recovered = observables.unwrap(np.array(wrapped), cells)
    np.testing.assert_allclose(np.diff(recovered, axis=0), steps[1:], atol=1e-9)


def test_frames_too_far_apart_are_refused():
    far = np.random.default_rng(0).uniform(0, 10, (5, 50, 3))
    with pytest.raises(ValueError, match=r"less than half of the shortest lattice vector \(5.00 Å\).*save frames"):
        observables.mean_squared_displacement(far, np.arange(5.0), cell=10.0 * np.eye(3))


def test_displacement_is_the_plain_double_sum_and_that_of_mdanalysis():
    positions = walk(60, 7, seed=3) + 1000.0
    table = observables.mean_squared_displacement(positions, INTERVAL_FS * np.arange(60))
    plain = [0.0] + [np.mean(np.sum((positions[lag:] - positions[:-lag]) ** 2, axis=-1)) for lag in range(1, 60)]
    np.testing.assert_allclose(table["msd_A2"], plain, rtol=1e-7, atol=1e-12)
    assert table["origins"].tolist() == list(range(60, 0, -1))
    assert table["lag_fs"][59] == 59 * INTERVAL_FS
    universe = MDAnalysis.Universe.empty(7, trajectory=True)
    universe.load_new(positions - 1000.0)
    theirs = EinsteinMSD(universe, fft=False).run().results.timeseries
    np.testing.assert_allclose(table["msd_A2"], theirs, rtol=1e-4)


def test_drift_of_the_whole_is_taken_out_when_masses_are_given():
    positions, masses = walk(200, 30, seed=4), np.linspace(1, 30, 30)
    time_fs = INTERVAL_FS * np.arange(200)
    drifting = positions + 0.5 * np.arange(200)[:, None, None]
    still = observables.mean_squared_displacement(positions, time_fs, masses=masses)
    again = observables.mean_squared_displacement(drifting, time_fs, masses=masses)
    np.testing.assert_allclose(again["msd_A2"], still["msd_A2"], rtol=1e-6, atol=1e-9)
    raw = observables.mean_squared_displacement(drifting, time_fs)
    assert raw["msd_A2"][100] > 10 * still["msd_A2"][100]


def test_diffusion_refuses_windows_and_times_that_make_no_sense():
    positions, time_fs = walk(100, 3, seed=5), INTERVAL_FS * np.arange(100)
    for window in ((0.0, 600.0), (100.0, 110.0), (-100.0, 300.0)):
        with pytest.raises(ValueError, match="fit_fs must hold two lags or more, 20 fs apart, within a block of 380"):
            observables.diffusion_coefficient(positions, time_fs, fit_fs=window)
    with pytest.raises(ValueError, match="blocks must be at least 2"):
        observables.diffusion_coefficient(positions, time_fs, blocks=1)
    time_fs[50:] += 5.0
    with pytest.raises(ValueError, match="from frame 49 to 50 it is 25 fs"):
        observables.mean_squared_displacement(positions, time_fs)
    with pytest.raises(ValueError, match="one time per frame, got 99 times for 100 frames"):
        spacing_fs(time_fs[1:], 100)
    with pytest.raises(ValueError, match="time_fs must increase, got 1980 fs first and 0 fs last"):
        spacing_fs(INTERVAL_FS * np.arange(99.0, -1.0, -1.0), 100)
    with pytest.raises(ValueError, match="at least two frames, got 1"):
        spacing_fs(np.zeros(1), 1)
