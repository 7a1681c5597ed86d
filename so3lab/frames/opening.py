"""How frames of any origin are opened: files of so3lab, of ASE's formats and of MDAnalysis's, lists, data sets."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ase import Atoms

from so3lab.datasets import Dataset
from so3lab.datasets import load as load_dataset
from so3lab.frames.opened import OpenedFrames, Store
from so3lab.frames.text_files import TEXT_FILES
from so3lab.frames.traj_file import TrajFile
from so3lab.frames.universe import NEED_TOPOLOGY, UniverseFile
from so3lab.structures.reading import read_frames, understand
from so3lab.trajectory import Trajectory
from so3lab.trajectory.names import ENDINGS


class InMemory:
    """Frames of a sequence."""

    def __init__(self, frames: Sequence[Atoms] | Dataset):
        self._frames = frames

    def __len__(self) -> int:
        return len(self._frames)

    def read(self, index: int) -> Atoms:
        """A frame."""
        found = self._frames[index]
        if not isinstance(found, Atoms):
            raise TypeError(f"frames must be Atoms, frame {index} is of type {type(found).__name__}")
        return found

    def columns(self) -> None:
        """Every frame must be looked at."""


def open_frames(
    source: str | os.PathLike | Trajectory | OpenedFrames | Atoms | Sequence[Atoms] | Dataset,
    *,
    topology: str | os.PathLike | Atoms | None = None,
) -> Trajectory | OpenedFrames:
    """Open frames of any origin; those of a file are read when they are looked at, wherever its format allows.

    Args:
        source: A trajectory of so3lab; a file of another format: XYZ and extended XYZ, ASE's ``.traj``, PDB with
            models, LAMMPS dumps with elements, whatever else ASE reads, and with MDAnalysis ``.xtc``, ``.trr``,
            ``.dcd``, ``.nc`` and their like; a NumPy archive of a data set; the name of a bundled structure or
            ``smiles:`` and a SMILES; ``Atoms``, a sequence of them, or a data set.
        topology: The same atoms with their elements, for files that hold positions alone: ``Atoms``, or a file that
            so3lab, ASE or MDAnalysis reads.

    Returns:
        A :class:`so3lab.trajectory.Trajectory`, or frames with the same face.

    Raises:
        FileNotFoundError: If there is neither such a file nor such a name.
        ValueError: If the file cannot be read, holds no frames, or needs a topology.
        ImportError: If the format needs MDAnalysis, which is not installed.
        TypeError: If this is nothing that has frames.
    """
    if isinstance(source, Trajectory | OpenedFrames):
        return source[:]
    if isinstance(source, Atoms):
        return OpenedFrames(InMemory([source]), None, "[atoms]")
    if isinstance(source, str | os.PathLike):
        return _open_file(Path(source).expanduser(), str(source), topology)
    if not (hasattr(source, "__len__") and hasattr(source, "__getitem__")) or isinstance(source, bytes | dict):
        raise TypeError(
            f"frames must be a file, an open trajectory, Atoms, a sequence of them or a data set, got {source!r}"
        )
    return OpenedFrames(InMemory(source), None, "frames")


def _open_file(path: Path, given: str, topology: Any) -> Trajectory | OpenedFrames:
    kind = path.suffix.lower()
    code = f"so3lab.frames.open_frames({given!r}{_topology_in_words(topology)})"
    if kind in ENDINGS and topology is None:
        return Trajectory(path)
    if not path.is_file():
        if not given.startswith("smiles:") and (path.suffix or os.sep in given):
            raise FileNotFoundError(f"there is no file {given}")
        return OpenedFrames(InMemory([understand(given).atoms]), None, code)
    if kind in NEED_TOPOLOGY or topology is not None:
        return OpenedFrames(UniverseFile(path, topology), path, code)
    if kind == ".npz":
        return OpenedFrames(InMemory(load_dataset(path, check=False)), path, code)
    return OpenedFrames(_store_of(path, kind), path, code)


def _store_of(path: Path, kind: str) -> Store:
    if kind == ".traj":
        return TrajFile(path)
    if kind in TEXT_FILES:
        found = TEXT_FILES[kind](path)
        if found is not None:
            return found
    return InMemory(read_frames(path))


def _topology_in_words(topology: Any) -> str:
    if topology is None:
        return ""
    return f", topology={str(topology)!r}" if isinstance(topology, str | os.PathLike) else ", topology=topology"
