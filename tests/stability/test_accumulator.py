"""Tables of a study are those of its frames, however these came."""

import ase
import ase.io
import numpy as np
import pandas as pd
import pytest

from so3lab import datasets, observables
from so3lab.stability.accumulator import StabilityAccumulator, by_temperature


def test_means_carry_twice_their_standard_error():
    rows = pd.DataFrame(
        {
            "temperature_K": 300.0,
            "unstable_at_ps": [np.nan, 2.0, 4.0, np.nan],
            "stable_ps": [10.0, 2.0, 4.0, 10.0],
            "largest_deviation_A": [0.1, 0.6, 0.7, 0.2],
            "h_error": [0.1, 0.2, np.nan, 0.3],
        }
    )
    (row,) = by_temperature(rows).to_dict("records")
    assert (row["survived"], row["fraction_survived"], row["largest_deviation_A"]) == (2, 0.5, 0.7)
    assert row["stable_ps"] == pytest.approx(6.5)
    assert row["stable_ps_error"] == pytest.approx(2 * np.std([10, 2, 4, 10], ddof=1) / 2)
    assert row["h_error"] == pytest.approx(0.2)
    assert row["h_error_error"] == pytest.approx(0.2 / np.sqrt(3))


def test_published_aspirin_trajectory(shared):
    """The DimeNet run published with "Forces are not enough": stable, largest deviation 0.208 Å, h(r) error 0.050."""
    folder = shared / "public_data"
    if not (folder / "mdsim_aspirin" / "atoms.traj").exists():
        pytest.skip("needs the published trajectory")
    frames = ase.io.read(folder / "mdsim_aspirin" / "atoms.traj", index=":")
    arrays = np.load(folder / "aspirin_pbe_rmd17.npz")
    reference = datasets.Dataset.from_arrays(
        "aspirin", arrays["z"], arrays["R"], np.zeros(len(arrays["R"])), np.zeros_like(arrays["R"])
    )
    accumulator = StabilityAccumulator(ase.Atoms(arrays["z"], arrays["R"][0]), [500.0], 0, 0.05, reference, 0.5, None)
    for start in range(0, len(frames), 1000):  # as chunks come
        block = np.stack([atoms.positions for atoms in frames[start : start + 1000]])
        accumulator.add([(block, np.full(len(block), 500.0))])
        found = accumulator.summary(len(frames) - 1)
    (row,) = found.replicas.to_dict("records")
    assert np.isnan(row["unstable_at_ps"])
    assert row["largest_deviation_A"] == pytest.approx(0.208, abs=0.005)
    assert row["h_error"] == pytest.approx(0.050, abs=0.004)
    assert found.temperatures["h_error"].item() == row["h_error"]
    whole = observables.pair_distance_histogram(np.stack([atoms.positions for atoms in frames]))
    np.testing.assert_allclose(found.distances["simulated"], whole["h"], atol=1e-3)  # kept in float32
