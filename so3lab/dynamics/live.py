"""A simulation to be watched: it goes on until told to stop, keeps its past, and can go back to any moment of it."""

import threading
import time
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import ase
import numpy as np
import pandas as pd
from ase.calculators.singlepoint import SinglePointCalculator
from jaxtyping import Float

from so3lab.dynamics.chunk import Chunk
from so3lab.dynamics.conditions import Conditions
from so3lab.dynamics.control import Control
from so3lab.dynamics.ensembles import CONSTANT_PRESSURE, Ensemble
from so3lab.dynamics.integrators import without_overall_motion
from so3lab.dynamics.limits import Limits, most_stretched
from so3lab.dynamics.past import BLOCK, Past
from so3lab.dynamics.recording import Recording
from so3lab.dynamics.replicas import Replicas, SimulationError
from so3lab.engine.biases import BiasCapacity
from so3lab.engine.energy_model import EnergyModel
from so3lab.observables.internal import internal_coordinates
from so3lab.potential.potential import Potential
from so3lab.structures.constraints import held_atoms
from so3lab.trajectory.names import replica_path

BIAS_CAPACITY = BiasCapacity(distances=2, angles=1, dihedrals=2, pair_forces=2, atom_forces=1, spheres=1)
"""Biases that may come and go while it runs without compilation."""
INTERVAL, FEWEST_FRAMES_HZ = 8, 16.0
"""Steps between frames, and frames per second below which there are fewer steps between them."""
_CHUNKS_TO_SETTLE = 5
MEMORY = 64e6
"""Bytes that are kept of the past."""


class LiveDynamics:
    """Structures that move until told to stop, with a past to look at and to go back to.

    Args:
        potential: A potential, or any :class:`~so3lab.engine.energy_model.EnergyModel`.
        structures: One or several; see :class:`~so3lab.dynamics.replicas.Replicas`.
        ensemble: As there.
        control: The knobs; turn them while it runs.
        seeds: Of velocities and noise, one for each structure.
        interval: Steps between frames; default: eight, or fewer where steps are slow (:data:`FEWEST_FRAMES_HZ`).
        limits: When a structure counts as blown up.
        memory: Bytes of the past that are kept; the oldest frames are forgotten first.

    Attributes:
        conditions: Since when the same is simulated, and which frames may be counted together.

    Raises:
        ValueError: If a structure or a knob is not acceptable.
        SimulationError: If the start has no finite energy.
    """

    def __init__(
        self,
        potential: Potential | EnergyModel,
        structures: Sequence[ase.Atoms],
        *,
        ensemble: Ensemble = "langevin",
        control: Control | None = None,
        seeds: Sequence[int] | None = None,
        interval: int | None = None,
        limits: Limits | None = None,
        memory: float = MEMORY,
    ):
        if interval is not None and interval < 1:
            raise ValueError(f"interval must be at least 1, got {interval}")
        self.replicas = Replicas(
            potential,
            structures,
            ensemble=ensemble,
            control=control,
            seeds=seeds,
            limits=limits,
            bias_capacity=BIAS_CAPACITY,
        )
        self.conditions = Conditions(self.control)
        self.interval = interval or INTERVAL
        self._speeds: list[float] | None = [] if interval is None else None
        self.steps_per_second = 0.0
        """As of the last chunk, 0 before the second one; the first holds compilation."""
        self._recording: Recording | None = None
        self._writing = threading.Lock()
        present = self.replicas.frames()
        self._most_frames = max(2, int(memory / sum(chunk.nbytes for chunk in present)))
        self._past = [Past(chunk, min(BLOCK, self._most_frames // 8)) for chunk in present]

    @property
    def control(self) -> Control:
        """The knobs."""
        return self.replicas.control

    @property
    def time_ps(self) -> float:
        """Time of the present moment."""
        return 0.001 * self.replicas.time_fs

    @property
    def failures(self) -> dict[int, str]:
        """Those that blew up, by number, and why."""
        return {number: self.replicas.failure(number) or "" for number in np.flatnonzero(~self.replicas.alive)}

    def run(self, seconds_per_chunk: float = 0.04) -> Generator[list[Chunk]]:
        """Chunks of new frames of all structures, without end, each of about so many seconds of work.

        Raises:
            SimulationError: When no structure is left; :attr:`failures` tells why of each.
        """
        frames = 1
        while True:
            self.conditions.look(self.control, self.replicas.step)
            started = time.monotonic()
            chunks = self.replicas.advance(frames, self.interval)
            seconds = time.monotonic() - started
            steps = frames * self.interval
            self.steps_per_second = steps / seconds
            self._settle()
            self._remember(chunks)
            with self._writing:
                if self._recording is not None:
                    self._recording.write(chunks)
            yield chunks
            if not self.replicas.alive.any():
                raise SimulationError(" ".join(dict.fromkeys(self.failures.values())))
            wanted = frames * seconds_per_chunk / seconds
            frames = int(np.clip(round(wanted), 1, min(2 * frames, self.replicas.most_frames)))

    def weakest_bond(self, number: int = 0) -> tuple[int, int] | None:
        """The two atoms of the bond that differs most from its length at the start; None without bonds."""
        return most_stretched(self.replicas.structures[number], self.atoms(number).positions)

    def frames(self, number: int = 0) -> int:
        """How many frames of a structure are remembered."""
        return len(self._past[number])

    def table(self, number: int = 0) -> pd.DataFrame:
        """One row per remembered frame: step, time, energies and temperatures."""
        chunks = self._past[number].pieces()  # as it is now: the simulation goes on
        names = [
            name for name, values in chunks[0].columns().items() if values.ndim == 1 and name not in ("step", "time_fs")
        ]
        columns = ["step", "time_fs", *names]
        return pd.DataFrame({name: np.concatenate([getattr(chunk, name) for chunk in chunks]) for name in columns})

    def positions(self, number: int = 0, frames: slice = slice(None)) -> Float[np.ndarray, "frames atoms 3"]:
        """Remembered positions of a structure, Å."""
        return self._past[number].gathered(frames, "positions")[0]

    def velocities(self, number: int = 0, frames: slice = slice(None)) -> Float[np.ndarray, "frames atoms 3"]:
        """Remembered velocities, Å per ASE time unit."""
        return self._past[number].gathered(frames, "velocities")[0]

    def inner_velocities(self, number: int = 0, frames: slice = slice(None)) -> Float[np.ndarray, "frames atoms 3"]:
        """Remembered velocities less those of the structure as a whole, unless some of its atoms are held."""
        atoms = self.replicas.structures[number]
        positions, velocities = (
            np.asarray(of_frames, np.float64)
            for of_frames in self._past[number].gathered(frames, "positions", "velocities")
        )
        if held_atoms(atoms).any():
            return velocities
        return without_overall_motion(positions, velocities, atoms.get_masses(), bool(atoms.pbc.any()))

    def measure(
        self, atoms: Sequence[int], number: int = 0, frames: slice = slice(None)
    ) -> Float[np.ndarray, " frames"]:
        """Distance (Å), angle or dihedral (degrees) of two to four atoms; in cells to the nearest images."""
        structure = self.replicas.structures[number]
        changing = self.replicas.ensemble in CONSTANT_PRESSURE
        positions, *cells = self._past[number].gathered(frames, "positions", *(["cell"] if changing else []))
        cell = None
        if structure.pbc.any():
            cell = cells[0] if changing else np.asarray(structure.cell)
            cell = np.where(structure.pbc[:, None], cell, 0.0)
        return internal_coordinates(positions, {"picked": tuple(atoms)}, cell=cell).to_numpy()[:, 0]

    def frame(self, number: int = 0, frame: int = -1) -> Chunk:
        """A remembered frame with all that is known of it.

        Raises:
            IndexError: If it is not remembered.
        """
        chunk, row = self._past[number].find(frame)
        return Chunk(**{name: values[row : row + 1] for name, values in chunk.columns().items()})

    def atoms(self, number: int = 0, frame: int = -1) -> ase.Atoms:
        """A remembered frame as a structure with velocities."""
        chunk, row = self._past[number].find(frame)
        found = self.replicas.structures[number].copy()
        constraints = found.constraints
        found.set_constraint()
        found.positions = np.asarray(chunk.positions[row], np.float64)
        found.set_velocities(np.asarray(chunk.velocities[row], np.float64))
        if chunk.cell is not None:
            found.cell = chunk.cell[row]
        found.set_constraint(constraints)
        return found

    def images(self, number: int = 0) -> Iterator[ase.Atoms]:
        """Everything that is remembered of a structure, with energies and forces, as ASE writes it to files."""
        for frame in range(self.frames(number)):
            atoms, known = self.atoms(number, frame), self.frame(number, frame)
            atoms.calc = SinglePointCalculator(
                atoms, energy=float(known.potential_energy[0]), forces=np.asarray(known.forces[0], np.float64)
            )
            atoms.info.update(
                step=int(known.step[0]),
                time_fs=float(known.time_fs[0]),
                temperature_K=float(known.temperature[0]),
            )
            yield atoms

    def go_back(self, frame: int, seed: int | None = None) -> None:
        """Go on from a remembered frame; what came after it is forgotten. Call it while nothing advances.

        A recording ends, for its file tells one story.

        Args:
            frame: Its index in :meth:`table` of every structure; those that ended before go on from their last frame.
            seed: New thermal velocities from this seed; without it everything goes on as it went.

        Raises:
            IndexError: If it is not remembered.
        """
        numbers = range(len(self.replicas))
        frames = max(self.frames(number) for number in numbers)
        if not -frames <= frame < frames:
            raise IndexError(f"frame must be 0 to {frames - 1}, got {frame}")
        frame %= frames
        last = [min(frame, self.frames(number) - 1) for number in numbers]
        chosen = [self.atoms(number, at) for number, at in zip(numbers, last, strict=True)]
        longest = int(np.argmax([self.frames(number) for number in numbers]))
        chunk, row = self._past[longest].find(frame)
        changing = chunk.cell is not None
        self.stop_recording()
        self.replicas.go_to(
            np.concatenate([atoms.positions for atoms in chosen]),
            np.concatenate([atoms.get_velocities() for atoms in chosen]),
            step=int(chunk.step[row]),
            time_fs=float(chunk.time_fs[row]),
            cells=np.stack([np.asarray(atoms.cell) for atoms in chosen]) if changing else None,
            bath_energies=np.array([_from_bath(*past.find(at)) for past, at in zip(self._past, last, strict=True)]),
        )
        self.conditions.go_back(int(chunk.step[row]))
        if seed is not None:
            self.replicas.draw_velocities(seed)
        for past, present in zip(self._past, self.replicas.frames(), strict=True):
            past.go_back(frame, present)

    def record(self, path: str | Path, meta: dict[str, Any] | None = None) -> list[Path]:
        """Write what comes from now on to disk, as :func:`so3lab.dynamics.run` does; ``so3lab md --resume`` may go on.

        Args:
            path: An H5MD file that does not exist; for several structures a folder for ``replica_0000.h5`` and so on.
            meta: Provenance, such as the name of the model.

        Returns:
            The files.
        """
        paths = [Path(path)]
        if len(self.replicas) > 1:
            Path(path).mkdir(parents=True, exist_ok=True)
            paths = [replica_path(path, number) for number in range(len(self.replicas))]
        self.stop_recording()
        recording = Recording(paths, self.replicas, self.interval, meta)
        with self._writing:
            self._recording = recording
        return paths

    def stop_recording(self) -> None:
        """Complete the files."""
        with self._writing:
            if self._recording is not None:
                self._recording.close()
            self._recording = None

    @property
    def recording(self) -> bool:
        """Whether frames go to disk."""
        return self._recording is not None

    def _settle(self) -> None:
        """Choose the interval, once, by the fastest of the first chunks; a file that is being written keeps its own."""
        if self._speeds is None:
            return
        self._speeds.append(self.steps_per_second)
        if len(self._speeds) == _CHUNKS_TO_SETTLE:
            if self._recording is None:
                self.interval = int(np.clip(max(self._speeds) / FEWEST_FRAMES_HZ, 1, INTERVAL))
            self._speeds = None

    def _remember(self, chunks: list[Chunk]) -> None:
        for past, chunk in zip(self._past, chunks, strict=True):
            if len(chunk):
                past.add(chunk)
        while max(map(len, self._past)) > self._most_frames:
            for past in self._past:
                past.forget_oldest()


def _from_bath(chunk: Chunk, row: int) -> float:
    """What the heat bath has given until a frame, eV: what the conserved energy leaves out of all energies."""
    energies = chunk.potential_energy[row] + chunk.kinetic_energy[row] + chunk.bias_energy[row]
    return float(energies - chunk.conserved_energy[row])
