"""How frames get onto the disk so that a kill at any moment loses nothing that was flushed."""

import contextlib
import errno
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
from ase import Atoms

from so3lab.trajectory import layout as _layout
from so3lab.trajectory import recovery
from so3lab.trajectory.files import FileLock
from so3lab.trajectory.identity import check_same_atoms
from so3lab.trajectory.source import readers_closed

_beyond_closing: list[h5py.File] = []
"""Files that HDF5 cannot close, kept so that nobody tries again."""


class TrajectoryWriter:
    """Append frames and restart states of one simulation to an H5MD file.

    The file is written in HDF5's single-writer-multiple-reader mode: other processes may read it
    meanwhile, and a process that is killed leaves a file that :class:`Trajectory` opens and
    :meth:`resume` continues. Every call of :meth:`append` and :meth:`save_state` hands its data to
    the operating system before it returns. (HDF5 does not protect against power failure.)

    Args:
        path: File to make; its folder must exist.
        structure: The atoms in the order of the frames, or ``(atomic_numbers, masses, cell, pbc)``
            with masses in amu and the cell in Å (zeros for a free molecule).
        observables: Names of the numbers that every frame carries, in eV and K.
        state_template: Arrays with the names, shapes and dtypes of the restart state.
        meta: Settings and provenance of the model and the run; whatever JSON can hold.
        precision: ``"float32"`` or ``"float64"``, of positions, velocities and forces on disk.
        chunk_frames: Frames per HDF5 chunk.
        compress: Whether to compress. It saves about a tenth, no more, because the last digits of a simulation
            are noise. Only for frames that come in whole chunks: a compressed chunk that grows is written
            again elsewhere, so a live run in pieces of 8 frames would make a file four times as large.

    Raises:
        FileExistsError: If ``path`` exists: nothing is ever overwritten.
        FileNotFoundError: If the folder of ``path`` does not exist.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        structure: Atoms | tuple,
        *,
        observables: Sequence[str] = ("potential_energy", "kinetic_energy", "temperature"),
        state_template: Mapping[str, Any],
        meta: dict[str, Any],
        precision: str = "float32",
        chunk_frames: int = 64,
        compress: bool = False,
    ):
        path = Path(path)
        layout = _layout.make_layout(structure, tuple(observables), dict(state_template), meta, precision, chunk_frames)
        recovery.create_new(path, replace(layout, compress=compress))
        lock = FileLock(path)
        self._start(path, recovery.open_appendable(path), lock, frames=0, counter=0)

    @classmethod
    def resume(
        cls, path: str | os.PathLike, structure: Atoms | None = None, behind: int | None = None
    ) -> tuple["TrajectoryWriter", dict[str, np.ndarray]]:
        """Reopen a closed or killed file behind its last good restart state.

        Frames younger than that state are cut: the continued run computes them again.

        Args:
            path: File to go on with.
            structure: The atoms to go on with; a file of others is refused, untouched.
            behind: Choose, of the two states that a file keeps, the one behind so many frames.

        Returns:
            The writer, and the arrays given to the last :meth:`save_state`, bit by bit.

        Raises:
            FileNotFoundError: If there is no such file.
            BlockingIOError: If another process is writing it.
            ValueError: If it is damaged, was not written by so3lab, holds no restart state, or has other atoms.
        """
        path = Path(path)
        if structure is not None:
            check_same_atoms(path, structure)
        file, saved, lock = recovery.reopen(path, behind)
        writer = cls.__new__(cls)
        writer._start(path, file, lock, frames=saved.frames, counter=saved.counter)
        return writer, saved.arrays

    def _start(self, path: Path, file: h5py.File, lock: FileLock, frames: int, counter: int) -> None:
        lock.share()
        self.path, self.frames = path, frames
        self._file, self._lock, self._counter = file, lock, counter
        self._broken = False
        self._layout = _layout.read_layout(file)
        self._columns = self._layout.columns()
        self._datasets = _layout.growing_datasets(file, self._layout)
        self._count, self._slots = file[f"{_layout.PRIVATE}/frames"], _layout.state_slots(file)

    @property
    def meta(self) -> dict[str, Any]:
        """Settings and provenance, as given when the file was made."""
        return self._layout.meta

    @property
    def closed(self) -> bool:
        return not self._file

    def append(self, frames: Mapping[str, Any]) -> None:
        """Add frames; all arrays have the frame axis first.

        Args:
            frames: ``positions`` in Å, ``velocities`` in Å per ASE time unit (stored in Å/fs) and
                ``forces`` in eV/Å (stored in kJ/mol/Å), each ``(frames, atoms, 3)``; ``step``,
                ``time_fs`` and each observable, ``(frames,)``; ``cell`` in Å, ``(frames, 3, 3)``,
                where it changes.

        Raises:
            ValueError: If an array is missing, unknown, or has another shape.
            OSError: If the disk refuses (full, quota): the file then ends behind the last good call.
        """
        arrays = self._checked(frames)
        start, stop = self.frames, self.frames + len(arrays["step"])
        with self._guarded():
            for name, values in arrays.items():
                _layout.write_rows(self._datasets[name], start, values)
            self._file.flush()
            self._commit(stop)

    def save_state(self, state: Mapping[str, Any]) -> None:
        """Keep what is needed to restart behind the frames appended so far.

        Args:
            state: Arrays as in ``state_template``; stored bit by bit.

        Raises:
            ValueError: If names, shapes or dtypes differ from the template.
            OSError: If the disk refuses.
        """
        arrays = {name: np.asarray(value) for name, value in state.items()}
        given = {name: (array.shape, array.dtype) for name, array in arrays.items()}
        if given != self._layout.state_template:
            wrong = {n: v for n, v in given.items() if self._layout.state_template.get(n) != v}
            missing = sorted(self._layout.state_template.keys() - given.keys())
            raise ValueError(
                f"state must agree with the state_template of {self.path}: "
                f"missing {missing}, different or unknown {wrong}"
            )
        with self._guarded():
            _layout.write_state(self._slots, self._counter + 1, self.frames, arrays)
            self._file.flush()
        self._counter += 1

    def flush(self) -> None:
        """Hand everything to the operating system (``append`` and ``save_state`` already did)."""
        with self._guarded():
            self._file.flush()

    def close(self) -> None:
        """Close the file so that any HDF5 program can read it; may be called twice."""
        if self.closed or self._broken:
            return
        with self._guarded():
            self._file.close()
        self._lock.release()

    def __enter__(self) -> "TrajectoryWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _commit(self, frames: int) -> None:
        """Say that so many frames are complete; only then may a reader look at them."""
        self._count[...] = frames
        self._count.flush()
        self.frames = frames

    def _checked(self, frames: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Arrays as they go to disk, after a look at names and shapes."""
        expected = {"step", "time_fs", *self._columns}
        given = set(frames)
        if self._layout.has_cell and "cell" not in given:
            given |= {"cell"}
            cell = np.broadcast_to(self._layout.cell, (len(np.asarray(frames["step"])), 3, 3))
            frames = {**frames, "cell": cell}
        if given != expected:
            raise ValueError(
                f"frames for {self.path} must have the arrays {sorted(expected)}; "
                f"missing {sorted(expected - given)}, unknown {sorted(given - expected)}"
            )
        # positions last: their number is what H5MD programs take for the number of frames
        arrays = {name: np.asarray(frames[name]) for name in (*sorted(expected - {"positions"}), "positions")}
        count = np.shape(arrays["step"])[0] if arrays["step"].ndim else 0
        atoms = len(self._layout.atomic_numbers)
        for name, array in arrays.items():
            shape = (count, *_layout.frame_shape(name, atoms))
            if array.shape != shape:
                raise ValueError(
                    f"frames[{name!r}] must have shape {shape} ({count} frames, {atoms} atoms), got {array.shape}"
                )
            if name in self._columns and (factor := self._columns[name].factor) != 1.0:
                arrays[name] = array * np.asarray(factor, array.dtype)
        return arrays

    @contextlib.contextmanager
    def _guarded(self):
        """Turn HDF5's failures into a sentence, and never write again after the first one."""
        if self._broken or self.closed:
            state = "stopped after a failed write" if self._broken else "closed"
            raise ValueError(f"the writer of {self.path} is {state}; use TrajectoryWriter.resume")
        try:
            yield
        except (OSError, RuntimeError) as error:
            self._broken = True
            _abandon(self._file, self.path)
            self._lock.release()
            raise OSError(
                _errno(error),
                f"could not write to {self.path}: {_reason(error)}. The file is readable up to frame "
                f"{self.frames}; make room, then continue with TrajectoryWriter.resume",
            ) from error


def _errno(error: BaseException) -> int:
    found = re.search(r"errno = (\d+)", str(error))
    return int(found[1]) if found else getattr(error, "errno", None) or errno.EIO


def _reason(error: BaseException) -> str:
    """The operating system's words out of HDF5's long message."""
    text = str(error)
    _, found, rest = text.partition("error message = '")
    return rest.partition("'")[0] if found else text.splitlines()[0]


def _abandon(file: h5py.File, path: Path) -> None:
    """Close a file whose write failed, without another write to it.

    HDF5 would try the failed write again at every access, on closing and at the end of the interpreter, which it then
    crashes. So its handle is pointed at the null device, where its last writes succeed and change nothing. Readers in
    this process shared that handle; they go on with what is on disk.
    """
    with contextlib.suppress(OSError, ValueError), readers_closed(path):
        with contextlib.suppress(Exception), open(os.devnull, "r+b", buffering=0) as null:
            os.dup2(null.fileno(), file.id.get_vfd_handle())
        try:
            file.close()
        except (OSError, RuntimeError):
            _beyond_closing.append(file)
