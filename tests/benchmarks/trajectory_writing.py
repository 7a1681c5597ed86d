"""What a frame on disk costs: in bytes, in time against ASE's writers, beside the simulation, and to read again.

python -m tests.benchmarks.trajectory_writing [--frames 2000] [--rounds 7] [--long 100000] [--only write md read]

The same frames (positions, velocities, forces, energy) go through each writer in turn, a frame or a block of 64 at a
time, and the ratio is that of the medians. Beside the simulation, chunks of steps with and without writing alternate.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import ase
import ase.io
import numpy as np
import pandas as pd
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io.extxyz import write_extxyz

import so3lab
from so3lab import dynamics
from so3lab.doctor.prepare import prepare_process
from so3lab.dynamics import recording
from so3lab.structures import read_structure
from so3lab.trajectory import TrajectoryWriter

MODEL = "ala3"
INTERVAL = 20
BLOCK = 64
STEPS_PER_ROUND = 1000
OBSERVABLES = ("potential_energy", "kinetic_energy", "temperature")


def start_structure() -> ase.Atoms:
    atoms = read_structure(MODEL)
    return ase.Atoms(atoms.numbers, atoms.positions)


def simulated_frames(count: int) -> dict[str, np.ndarray]:
    """Frames of a real simulation, since what compresses depends on what moves."""
    potential, atoms = so3lab.load(MODEL), start_structure()
    chunks = dynamics.run(potential, atoms, steps=(count - 1) * INTERVAL, interval=INTERVAL)
    columns = [chunk.columns() for chunk in chunks]
    return {name: np.concatenate([of_one[name] for of_one in columns]) for name in columns[0]}


def rows(frames: dict[str, np.ndarray], start: int, stop: int) -> dict[str, np.ndarray]:
    return {name: values[start:stop] for name, values in frames.items()}


def images(frames: dict[str, np.ndarray], atoms: ase.Atoms) -> Iterator[ase.Atoms]:
    """The frames as ASE's writers take them."""
    for k in range(len(frames["step"])):
        image = atoms.copy()
        image.positions = frames["positions"][k]
        image.set_velocities(frames["velocities"][k])
        image.calc = SinglePointCalculator(
            image, energy=float(frames["potential_energy"][k]), forces=frames["forces"][k]
        )
        yield image


def write_ours(block: int) -> Callable[[Path, dict[str, np.ndarray], ase.Atoms], None]:
    def write(path: Path, frames: dict[str, np.ndarray], atoms: ase.Atoms) -> None:
        state = {"positions": frames["positions"][0]}
        with TrajectoryWriter(path, atoms, observables=OBSERVABLES, state_template=state, meta={}) as writer:
            for start in range(0, len(frames["step"]), block):
                writer.append(rows(frames, start, start + block))
                writer.save_state(state)

    return write


def write_ase(path: Path, frames: dict[str, np.ndarray], atoms: ase.Atoms) -> None:
    with ase.io.Trajectory(path, "w") as file:
        for image in images(frames, atoms):
            file.write(image)


def write_text(path: Path, frames: dict[str, np.ndarray], atoms: ase.Atoms) -> None:
    with open(path, "w", encoding="utf-8") as file:
        for image in images(frames, atoms):
            write_extxyz(file, [image])


WRITERS = {
    "so3lab, 64 frames at a time": (write_ours(BLOCK), ".h5"),
    "so3lab, one frame at a time": (write_ours(1), ".h5"),
    "ASE .traj": (write_ase, ".traj"),
    "extxyz": (write_text, ".xyz"),
}


def compare_writers(count: int, rounds: int, folder: Path) -> pd.DataFrame:
    """Frames per second and bytes per frame."""
    frames, atoms = simulated_frames(count), start_structure()
    frames = {name: values for name, values in frames.items() if name in _written()}
    seconds: dict[str, list[float]] = {name: [] for name in WRITERS}
    size = {}
    for number in range(rounds):
        for name, (write, suffix) in WRITERS.items():
            path = folder / f"{number}{suffix}"
            path.unlink(missing_ok=True)
            began = time.perf_counter()
            write(path, frames, atoms)
            seconds[name].append(time.perf_counter() - began)
            size[name] = path.stat().st_size
            path.unlink()
    spread = {name: np.subtract(*np.percentile(s, [75, 25])) / np.median(s) for name, s in seconds.items()}
    took = {name: np.median(values) for name, values in seconds.items()}
    ours = next(iter(WRITERS))
    return pd.DataFrame(
        {
            "writer": list(WRITERS),
            "frames/s": [count / took[name] for name in WRITERS],
            "time, ratio to ours": [took[name] / took[ours] for name in WRITERS],
            "bytes/frame": [size[name] / count for name in WRITERS],
            "size, ratio to ours": [size[name] / size[ours] for name in WRITERS],
            "spread": [spread[name] for name in WRITERS],
        }
    )


def _written() -> tuple[str, ...]:
    return ("positions", "velocities", "forces", *OBSERVABLES, "step", "time_fs")


class TimedWriter(TrajectoryWriter):
    """Counts the seconds that a run spends in writing: a share that the noise between two runs does not hide."""

    seconds = 0.0

    def append(self, frames) -> None:
        began = time.perf_counter()
        super().append(frames)
        TimedWriter.seconds += time.perf_counter() - began

    def save_state(self, state) -> None:
        began = time.perf_counter()
        super().save_state(state)
        TimedWriter.seconds += time.perf_counter() - began


def cost_beside_simulation(rounds: int, folder: Path) -> pd.DataFrame:
    """Milliseconds per step with writing and without, in chunks that alternate."""
    potential, atoms = so3lab.load(MODEL), start_structure()
    recording.TrajectoryWriter = TimedWriter  # type: ignore[misc]
    runs = {
        "off": dynamics.run(potential, atoms, steps=10**8, interval=INTERVAL),
        "on": dynamics.run(potential, atoms, steps=10**8, interval=INTERVAL, out=folder / "run.h5"),
    }
    for chunks in runs.values():
        for _ in range(12):  # until compiled, and chunks have the length that they keep
            next(chunks)
    per_step: dict[str, list[float]] = {name: [] for name in runs}
    TimedWriter.seconds = 0.0
    running = 0.0
    for number in range(rounds):
        for name in ("off", "on") if number % 2 else ("on", "off"):
            began, steps = time.perf_counter(), 0
            while steps < STEPS_PER_ROUND:
                chunk = next(runs[name])
                steps += len(chunk.step) * INTERVAL
            took = time.perf_counter() - began
            per_step[name].append(1e3 * took / steps)
            running += took if name == "on" else 0.0
    for chunks in runs.values():
        chunks.close()
    if not TimedWriter.seconds:
        raise RuntimeError("nothing was written: the run no longer uses the writer that is timed here")
    off, on = np.array(per_step["off"]), np.array(per_step["on"])
    return pd.DataFrame(
        [
            {
                "ms/step without": np.median(off),
                "ms/step with": np.median(on),
                "overhead of medians %": 100 * (np.median(on) / np.median(off) - 1),
                "median of paired overheads %": 100 * np.median(on / off - 1),
                "time in the writer %": 100 * TimedWriter.seconds / running,
                "spread of pairs %": 100 * np.subtract(*np.percentile(on / off, [75, 25])),
            }
        ]
    )


READ = """
import sys, time
import numpy as np
from so3lab.trajectory import Trajectory

def memory():  # its peak; the kernel's ru_maxrss would begin with that of the process that started this one
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024

before = memory()
began = time.perf_counter()
trajectory = Trajectory(sys.argv[1])
frames = len(trajectory)
print("open ms", 1e3 * (time.perf_counter() - began))
chosen = np.random.default_rng(0).integers(0, frames, 200)
began = time.perf_counter()
for k in chosen:
    trajectory[int(k)]
print("random frame as atoms ms", 1e3 * (time.perf_counter() - began) / len(chosen))
began = time.perf_counter()
for k in chosen:
    trajectory.positions(int(k))
print("random positions ms", 1e3 * (time.perf_counter() - began) / len(chosen))
began = time.perf_counter()
for start in range(0, frames, 1000):
    trajectory.positions(slice(start, start + 1000))
print("all positions in blocks s", time.perf_counter() - began)
print("memory for all that MiB", memory() - before)
began = time.perf_counter()
trajectory.table()
print("table ms", 1e3 * (time.perf_counter() - began))
"""


def read_long_file(count: int, folder: Path) -> pd.DataFrame:
    """Opening, random access and memory with a long file, in a process of its own."""
    frames, atoms, path = simulated_frames(1000), start_structure(), folder / "long.h5"
    frames = {name: values for name, values in frames.items() if name in _written()}
    with TrajectoryWriter(path, atoms, observables=OBSERVABLES, state_template={}, meta={}) as writer:
        for start in range(0, count, 1000):
            step = {"step": INTERVAL * np.arange(start, start + 1000)}
            writer.append(frames | step)
    read = subprocess.run(
        [sys.executable, "-c", READ, str(path)],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ),
    )
    values = dict(line.rsplit(" ", 1) for line in read.stdout.splitlines())
    return pd.DataFrame([{"frames": count, "file MB": path.stat().st_size / 1e6} | values]).astype(float)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--long", type=int, default=100_000)
    parser.add_argument("--only", nargs="+", choices=["write", "md", "read"], default=["write", "md", "read"])
    options = parser.parse_args()
    prepare_process()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tables = {
            "write": lambda: compare_writers(options.frames, options.rounds, folder),
            "md": lambda: cost_beside_simulation(4 * options.rounds, folder),
            "read": lambda: read_long_file(options.long, folder).T,
        }
        for what in options.only:
            print(tables[what]().to_string(index=what == "read", header=what != "read", float_format="%.4g"))
            print(flush=True)


if __name__ == "__main__":
    main()
