"""How frames are read back: a lazy sequence of ASE atoms, and the run's numbers as a table."""

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from jaxtyping import Float, Integer

from so3lab.trajectory.frame_view import FrameView
from so3lab.trajectory.source import Source, source_of

if TYPE_CHECKING:
    import pandas

_BLOCK = 64


class Trajectory(FrameView[Source]):
    """A trajectory file as a sequence of :class:`ase.Atoms`; nothing is read before it is asked for.

    Each frame carries velocities, energy and forces (of a ``SinglePointCalculator``), and ``step``, ``time_fs`` and
    ``temperature_K`` in ``info``. A slice is a trajectory too, on the same open file. Files that were
    killed or are being written open as well; the length is that at opening, until :meth:`refresh`.

    Args:
        path: File written by :class:`TrajectoryWriter`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a so3lab trajectory, or is damaged.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        source = source_of(self.path)
        super().__init__(source, source.count(), f"the trajectory {self.path}")

    def __iter__(self) -> Iterator[Atoms]:
        for start in range(0, len(self), _BLOCK):
            yield from self._atoms(self._frames[start : start + _BLOCK])

    def __enter__(self) -> "Trajectory":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def refresh(self) -> int:
        """Look again how many frames a file that is being written has; returns the new length.

        A file that a resumed run has replaced is found too. Slices keep their frames.
        """
        self._open = source_of(self.path)
        self._frames = range(self._open.count())
        return len(self)

    @property
    def atomic_numbers(self) -> Integer[np.ndarray, " atoms"]:
        """Elements."""
        return self._origin.layout.atomic_numbers

    @property
    def masses(self) -> Float[np.ndarray, " atoms"]:
        """Masses in amu."""
        return self._origin.layout.masses

    @property
    def pbc(self) -> tuple[bool, bool, bool]:
        """Which cell vectors repeat."""
        return self._origin.layout.pbc

    @property
    def meta(self) -> dict[str, Any]:
        """Settings and provenance of the run."""
        return self._origin.layout.meta

    @property
    def observables(self) -> tuple[str, ...]:
        """Names of the numbers that every frame carries."""
        return self._origin.layout.observables

    @property
    def steps(self) -> Integer[np.ndarray, " frames"]:
        """Number of the time step of each frame."""
        return self._origin.read("step", self._frames)

    @property
    def times_fs(self) -> Float[np.ndarray, " frames"]:
        """Time of each frame in fs."""
        return self._origin.read("time_fs", self._frames)

    def positions(self, frames: int | slice = slice(None)) -> Float[np.ndarray, "*frames atoms 3"]:
        """Positions in Å of one frame or of a range of frames, as stored."""
        return self._select("positions", frames)

    def velocities(self, frames: int | slice = slice(None)) -> Float[np.ndarray, "*frames atoms 3"]:
        """Velocities in Å per ASE time unit."""
        return self._select("velocities", frames)

    def forces(self, frames: int | slice = slice(None)) -> Float[np.ndarray, "*frames atoms 3"]:
        """Forces in eV/Å."""
        return self._select("forces", frames)

    def cells(self, frames: int | slice = slice(None)) -> Float[np.ndarray, "*frames 3 3"]:
        """Cells in Å, rows are lattice vectors; zeros for a free molecule."""
        if self._origin.layout.has_cell:
            return self._select("cell", frames)
        count = () if isinstance(frames, int) else (len(self._frames[frames]),)
        return np.zeros((*count, 3, 3))

    def table(self) -> "pandas.DataFrame":
        """One row per frame: step, time_fs, the observables in eV and K, and their total_energy."""
        import pandas as pd  # a writer has no use for it

        columns = {"step": self.steps, "time_fs": self.times_fs}
        for name in self._origin.layout.observables:
            columns[name] = self._origin.read(name, self._frames)
        if {"potential_energy", "kinetic_energy"} <= columns.keys():
            columns["total_energy"] = columns["potential_energy"] + columns["kinetic_energy"]
        return pd.DataFrame(columns).rename_axis("frame")

    def restart_state(self) -> dict[str, np.ndarray] | None:
        """Arrays of the last good restart state, ``None`` if there is none."""
        return self._origin.state()

    def _select(self, name: str, frames: int | slice) -> np.ndarray:
        if isinstance(frames, slice):
            return self._origin.read(name, self._frames[frames])
        frame = self._frames[frames]
        return self._origin.read(name, range(frame, frame + 1))[0]

    def _read(self, frame: int) -> Atoms:
        return next(self._atoms(range(frame, frame + 1)))

    def _atoms(self, frames: range) -> Iterator[Atoms]:
        blocks = {name: self._origin.read(name, frames) for name in self._origin.names}
        free = Atoms(numbers=self.atomic_numbers, pbc=self.pbc)
        if not np.allclose(free.get_masses(), self.masses, rtol=1e-12):
            free.set_masses(self.masses)
        for row in range(len(frames)):
            atoms = free.copy()
            atoms.positions = blocks["positions"][row]
            if self._origin.layout.has_cell:
                atoms.cell = blocks["cell"][row]
            atoms.set_velocities(blocks["velocities"][row].astype(np.float64))
            results: dict[str, Any] = {"forces": blocks["forces"][row].astype(np.float64)}
            if "potential_energy" in blocks:
                results["energy"] = float(blocks["potential_energy"][row])
            atoms.calc = SinglePointCalculator(atoms, **results)
            atoms.info.update(step=int(blocks["step"][row]), time_fs=float(blocks["time_fs"][row]))
            if "temperature" in blocks:
                atoms.info["temperature_K"] = float(blocks["temperature"][row])
            yield atoms
