"""A simulation for tests of panels that are not about physics: it moves by a formula, and compiles nothing."""

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ase
import numpy as np
import pandas as pd
from ase.calculators.singlepoint import SinglePointCalculator

from so3lab.dynamics.chunk import Chunk
from so3lab.dynamics.conditions import Conditions
from so3lab.dynamics.control import Control
from so3lab.observables import internal_coordinates
from so3lab.trajectory import TrajectoryWriter

INTERVAL = 8
"""Steps between frames."""
FRAMES = 2
"""In a chunk."""
DRIFT = 1e-6
"""Of the conserved energy, eV/fs."""
_WRITTEN = (
    "step", "time_fs", "positions", "velocities", "forces", "potential_energy", "kinetic_energy", "temperature",
)  # fmt: skip


class FakeSimulation:
    """Takes the place of :class:`so3lab.dynamics.live.LiveDynamics` in a panel; nothing blows up in it.

    A frame is a moment of a swing: the same for the same seed, time and past, so that what is remembered can be told.
    """

    def __init__(
        self,
        potential: Any,
        structures: Sequence[ase.Atoms],
        *,
        ensemble: str = "langevin",
        control: Control | None = None,
        seeds: Sequence[int] | None = None,
    ):
        self.control = control or Control()
        self.conditions = Conditions(self.control)
        self.steps_per_second = 0.0
        self.failures: dict[int, str] = {}
        self._seeds = list(seeds or range(len(structures)))
        self._moments = [(0, 0.0, 0.0, self.control.temperature_K)]  # step, fs, phase, K
        self._writer: TrajectoryWriter | None = None
        self._writing = threading.Lock()
        self.replicas = _Replicas(list(structures), ensemble)

    @property
    def time_ps(self) -> float:
        return 0.001 * self._moments[-1][1]

    def run(self, seconds_per_chunk: float = 0.002) -> Iterator[list[Chunk]]:
        while True:
            time.sleep(seconds_per_chunk)
            self.conditions.look(self.control, self._moments[-1][0])
            self.steps_per_second = 1000.0
            for _ in range(FRAMES):
                step, time_fs, phase, _ = self._moments[-1]
                later = time_fs + INTERVAL * self.control.timestep_fs
                self._moments.append((step + INTERVAL, later, phase + 0.1, self.control.temperature_K))
            self.replicas.step = self._moments[-1][0]
            chunks = [self._chunk(number, slice(-FRAMES, None)) for number in range(len(self.replicas))]
            with self._writing:
                if self._writer is not None:
                    self._writer.append({name: getattr(chunks[0], name) for name in _WRITTEN})
            yield chunks

    def weakest_bond(self, number: int = 0) -> tuple[int, int] | None:
        return None

    def frames(self, number: int = 0) -> int:
        return len(self._moments)

    def table(self, number: int = 0) -> pd.DataFrame:
        columns = self._chunk(number, slice(None)).columns()
        flat = {name: values for name, values in columns.items() if values.ndim == 1}
        return pd.DataFrame({"step": flat.pop("step"), "time_fs": flat.pop("time_fs"), **flat})

    def positions(self, number: int = 0, frames: slice = slice(None)) -> np.ndarray:
        return self._chunk(number, frames).positions

    def inner_velocities(self, number: int = 0, frames: slice = slice(None)) -> np.ndarray:
        return self._chunk(number, frames).velocities

    def measure(self, atoms: Sequence[int], number: int = 0, frames: slice = slice(None)) -> np.ndarray:
        return internal_coordinates(self.positions(number, frames), {"picked": tuple(atoms)}).to_numpy()[:, 0]

    def frame(self, number: int = 0, frame: int = -1) -> Chunk:
        frame = range(self.frames())[frame]
        return self._chunk(number, slice(frame, frame + 1))

    def atoms(self, number: int = 0, frame: int = -1) -> ase.Atoms:
        known = self.frame(number, frame)
        atoms = self.replicas.structures[number].copy()
        atoms.positions = known.positions[0]
        atoms.set_velocities(known.velocities[0])
        return atoms

    def images(self, number: int = 0) -> Iterator[ase.Atoms]:
        for frame in range(self.frames()):
            atoms, known = self.atoms(number, frame), self.frame(number, frame)
            atoms.calc = SinglePointCalculator(atoms, energy=float(known.potential_energy[0]), forces=known.forces[0])
            yield atoms

    def go_back(self, frame: int, seed: int | None = None) -> None:
        frame = range(self.frames())[frame]
        self.stop_recording()
        del self._moments[frame + 1 :]
        self.conditions.go_back(self._moments[-1][0])
        if seed is not None:
            step, time_fs, phase, temperature = self._moments[-1]
            self._moments.append((step + INTERVAL, time_fs + INTERVAL, phase + seed % 7 + 1.0, temperature))
        self.replicas.step = self._moments[-1][0]

    def record(self, path: str | Path, meta: dict[str, Any] | None = None) -> list[Path]:
        self.stop_recording()
        self._writer = TrajectoryWriter(path, self.replicas.structures[0], state_template={}, meta=meta or {})
        return [Path(path)]

    def stop_recording(self) -> None:
        with self._writing:
            if self._writer is not None:
                self._writer.close()
            self._writer = None

    @property
    def recording(self) -> bool:
        return self._writer is not None

    def _chunk(self, number: int, frames: slice) -> Chunk:
        structure, seed = self.replicas.structures[number], self._seeds[number]
        steps, times, phases, temperatures = (np.array(column) for column in zip(*self._moments[frames], strict=True))
        swing = phases[:, None, None] + seed + np.arange(3 * len(structure)).reshape(1, -1, 3)
        energy = 0.01 * np.cos(phases + seed)
        return Chunk(
            positions=structure.positions + 0.05 * np.sin(swing),
            velocities=0.01 * np.cos(swing),
            forces=-0.5 * np.sin(swing),
            potential_energy=energy - 100.0,
            kinetic_energy=0.02 - energy,
            bias_energy=np.zeros(len(steps)),
            conserved_energy=DRIFT * times - 99.98,
            temperature=temperatures + 10.0 * np.cos(phases + seed),
            target_temperature=temperatures,
            step=steps,
            time_fs=times,
        )


class _Replicas(SimpleNamespace):
    """What panels ask the structures that move."""

    def __init__(self, structures: list[ase.Atoms], ensemble: str):
        super().__init__(structures=structures, ensemble=ensemble, step=0, alive=np.ones(len(structures), bool))

    def __len__(self) -> int:
        return len(self.structures)
