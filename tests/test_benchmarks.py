"""Benchmarks still run, on little, so that nobody finds them broken when a number is wanted."""

import numpy as np
from benchmarks import trajectory_writing


def test_the_cost_of_writing_is_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(trajectory_writing, "STEPS_PER_ROUND", 20)
    monkeypatch.setattr(trajectory_writing.recording, "TrajectoryWriter", trajectory_writing.TrajectoryWriter)
    writers = trajectory_writing.compare_writers(66, 1, tmp_path)
    assert (writers["frames/s"] > 0).all()
    assert (writers["bytes/frame"] > 42 * 9 * 4).all()  # positions, velocities and forces of 42 atoms
    beside = trajectory_writing.cost_beside_simulation(2, tmp_path)
    assert np.isfinite(beside.to_numpy(float)).all()
    assert 0 < beside["time in the writer %"].item() < 100
