"""What frames of any origin have in common: the face of a trajectory, for whoever draws or measures them."""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
from ase import Atoms
from jaxtyping import Float, Integer

from so3lab.frames.columns import numbers_in, times_in
from so3lab.trajectory.frame_view import FrameView

_OWN_ARRAYS = frozenset(("numbers", "positions", "tags"))
_NAMES = {"initial_charges": "charge", "charges": "charge", "energies": "atomic energy", "magmoms": "magnetic moment"}
"""What is called otherwise in ASE."""


class Store(Protocol):
    """Where frames come from."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> Atoms:
        """A frame by its number; several threads may ask."""
        ...

    def columns(self) -> dict[str, np.ndarray] | None:
        """Numbers per frame that can be had without its atoms; None where every frame must be read for them."""
        ...


class OpenedFrames(FrameView[Store]):
    """Frames of the same atoms, read when they are looked at; get them from :func:`so3lab.frames.open_frames`.

    Args:
        store: Reads them.
        path: Of the file, None for frames in memory.
        code: How Python opens the same, for a panel's lines.

    Attributes:
        first: The first frame.

    Raises:
        ValueError: If there are no frames.
    """

    def __init__(self, store: Store, path: Path | None, code: str):
        if not len(store):
            raise ValueError(f"{path or 'the sequence'} holds no frames")
        super().__init__(store, len(store), f"{path or 'the sequence of frames'}")
        self.path, self.code = path, code
        self.first = store.read(0)
        self._known: list[dict[str, np.ndarray]] = []  # numbers per frame once they were looked at, shared by slices

    def __iter__(self) -> Iterator[Atoms]:
        return (self._read(frame) for frame in self._frames)

    @property
    def atomic_numbers(self) -> Integer[np.ndarray, " atoms"]:
        """Elements."""
        return self.first.numbers

    @property
    def pbc(self) -> tuple[bool, bool, bool]:
        """Which cell vectors of the first frame repeat."""
        x, y, z = map(bool, self.first.pbc)
        return x, y, z

    @property
    def times_fs(self) -> Float[np.ndarray, " frames"]:
        """Time of each frame in fs; where none is known, the number of the frame."""
        return self.table()["time_fs"].to_numpy()

    @property
    def has_times(self) -> bool:
        """Whether frames know their times."""
        return times_in(self._numbers()) is not None

    @property
    def per_atom(self) -> dict[str, Callable[[int], np.ndarray]]:
        """Numbers per atom that frames carry, by name: functions of a frame's index."""
        return {name: functools.partial(self._per_atom_of, key) for key, name in self._per_atom_names().items()}

    def positions(self, frames: int | slice = slice(None)) -> Float[np.ndarray, "*frames atoms 3"]:
        """Positions in Å of one frame or of a range of frames."""
        if isinstance(frames, slice):
            return np.stack([self._read(one).positions for one in self._frames[frames]])
        return self[frames].positions

    def cells(self, frames: int | slice = slice(None)) -> Float[np.ndarray, "*frames 3 3"]:
        """Cells in Å, rows are lattice vectors; zeros for a free molecule."""
        if isinstance(frames, slice):
            return np.stack([np.asarray(self._read(one).cell) for one in self._frames[frames]])
        return np.asarray(self[frames].cell)

    def forces(self, frame: int) -> Float[np.ndarray, "atoms 3"] | None:
        """Forces of a frame in eV/Å, None where it has none."""
        atoms = self[frame]
        found = getattr(atoms.calc, "results", {}).get("forces", atoms.arrays.get("forces"))
        return None if found is None else np.asarray(found, float)

    def table(self) -> pd.DataFrame:
        """One row per frame: ``step``, ``time_fs`` and every number that frames carry, energies in eV."""
        columns = dict(self._numbers())
        times = times_in(columns)
        step = columns.pop("step", np.arange(len(self._origin)))
        table = pd.DataFrame(
            {"step": step, "time_fs": np.arange(len(self._origin), dtype=float) if times is None else times}
        )
        others = {name: values for name, values in columns.items() if name not in ("time_fs", "time_ps")}
        return table.assign(**others).iloc[list(self._frames)].reset_index(drop=True).rename_axis("frame")

    def _read(self, frame: int) -> Atoms:
        atoms = self._origin.read(frame)
        if len(atoms) != len(self.first) or not np.array_equal(atoms.numbers, self.first.numbers):
            raise ValueError(
                f"frames must hold the same atoms in the same order, frame 0 is {self.first.get_chemical_formula()} "
                f"and frame {frame} is {atoms.get_chemical_formula()}; open such frames one by one"
            )
        return atoms

    def _numbers(self) -> dict[str, np.ndarray]:
        """Of all frames of the source, which are looked at once."""
        if not self._known:
            found = self._origin.columns()
            if found is None:
                found = numbers_in(self._origin.read(frame) for frame in range(len(self._origin)))
            self._known.append(found)
        return self._known[0]

    def _per_atom_of(self, key: str, frame: int) -> np.ndarray:
        found = _per_atom(self[frame])
        return found[key] if key in found else np.zeros(len(self.first))

    def _per_atom_names(self) -> dict[str, str]:
        return {key: _NAMES.get(key, key.replace("_", " ")) for key in _per_atom(self.first)}


def _per_atom(atoms: Atoms) -> dict[str, np.ndarray]:
    """Arrays with one number per atom, of the structure and of its calculator."""
    results = getattr(atoms.calc, "results", {})
    found = {
        name: np.asarray(values) for name, values in {**atoms.arrays, **results}.items() if name not in _OWN_ARRAYS
    }
    return {name: x for name, x in found.items() if x.shape == (len(atoms),) and x.dtype.kind in "iuf"}
