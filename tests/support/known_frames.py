"""Trajectory files whose frames are known functions of their index."""

from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import molecule

from so3lab.trajectory import Trajectory, TrajectoryWriter

ETHANOL = molecule("CH3CH2OH")


def frames_of(start: int, count: int, atoms: Atoms = ETHANOL) -> dict:
    """Frames that are a known function of their index."""
    index = np.arange(start, start + count)
    wiggle = np.sin(0.1 * index[:, None, None] + np.arange(len(atoms))[:, None] + np.arange(3))
    return {
        "positions": (atoms.positions + 0.1 * wiggle).astype(np.float32),
        "velocities": (0.05 * wiggle).astype(np.float32),
        "forces": (-2.0 * wiggle).astype(np.float32),
        "potential_energy": -4000.0 - 1e-9 * index,
        "kinetic_energy": 0.3 + 0.0 * index,
        "temperature": 300.0 + index,
        "step": 20 * index,
        "time_fs": 10.0 * index,
    }


def state_of(frames: int, atoms: Atoms = ETHANOL) -> dict:
    """Restart state that says how many frames precede it."""
    generator = np.random.default_rng(frames)
    return {
        "positions": generator.normal(size=(len(atoms), 3)),
        "velocities": generator.normal(size=(len(atoms), 3)).astype(np.float32),
        "key": generator.integers(0, 2**32, 2, dtype=np.uint32),
        "frames": np.int64(frames),
        "running": np.bool_(True),
    }


def new_writer(path: Path, atoms: Atoms = ETHANOL, **options) -> TrajectoryWriter:
    return TrajectoryWriter(path, atoms, state_template=state_of(0, atoms), meta={"seed": 7}, **options)


def write(path: Path, frames: int, atoms: Atoms = ETHANOL, **options) -> Path:
    with new_writer(path, atoms, **options) as writer:
        for start in range(0, frames, 500):
            writer.append(frames_of(start, min(500, frames - start), atoms))
        writer.save_state(state_of(frames, atoms))
    return path


def assert_same(state: dict, expected: dict) -> None:
    assert state.keys() == expected.keys()
    for name, value in expected.items():
        assert state[name].dtype == value.dtype
        assert state[name].tobytes() == value.tobytes()


def assert_frames_are_right(trajectory: Trajectory, frames: int, start: int = 0) -> None:
    expected = frames_of(start, frames)
    assert len(trajectory) == frames
    np.testing.assert_array_equal(trajectory.positions(), expected["positions"])
    np.testing.assert_allclose(trajectory.velocities(), expected["velocities"], rtol=1e-6)
    np.testing.assert_allclose(trajectory.forces(), expected["forces"], rtol=1e-6)
    table = trajectory.table()
    for name in ("step", "time_fs", "potential_energy", "kinetic_energy", "temperature"):
        np.testing.assert_array_equal(table[name], expected[name])
