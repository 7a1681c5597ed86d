"""What the attention panel can open: a structure, several of them, or a trajectory."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from so3lab.structures.reading import read_structure
from so3lab.trajectory import Trajectory
from so3lab_widgets.confinement import permitted


def opened(thing: Any) -> Sequence[Atoms]:
    """Frames of whatever somebody gives.

    Args:
        thing: ``Atoms``, a sequence of them, an open trajectory (which stays open: this is a reader of its own), a file
            of a trajectory or a structure, a bundled name, or ``smiles:`` and a SMILES.

    Raises:
        TypeError: If it is something else.
        ValueError: If it cannot be read, or holds nothing.
        OSError: If there is no such file.
    """
    if isinstance(thing, Atoms):
        return [thing]
    if isinstance(thing, Trajectory):
        return _with_frames(thing[:])
    if isinstance(thing, str | os.PathLike):
        if not str(thing).strip():
            raise ValueError("the molecule must be a bundled name (ethanol), a file, or smiles:CCO; the field is empty")
        permitted(thing)
        if Path(thing).suffix in (".h5", ".h5md"):
            return _with_frames(Trajectory(thing))
        return [read_structure(thing if isinstance(thing, str) else Path(thing))]
    if isinstance(thing, Sequence) and len(thing) and isinstance(thing[0], Atoms):
        return thing
    raise TypeError(f"structure must be Atoms, a sequence of them, a trajectory, a name or a file, got {thing!r}"[:200])


def times_ps(frames: Sequence[Atoms]) -> np.ndarray | None:
    """Time of each frame, where the frames know it."""
    return 0.001 * np.asarray(frames.times_fs) if isinstance(frames, Trajectory) else None


def in_python(frames: Sequence[Atoms]) -> str:
    """The frames as somebody would write them in Python; what was given as objects stands by the name ``frames``."""
    return f"so3lab.trajectory.Trajectory({str(frames.path)!r})" if isinstance(frames, Trajectory) else "frames"


def let_go(frames: Sequence[Atoms]) -> None:
    """Close the file, where there is one."""
    if isinstance(frames, Trajectory):
        frames.close()


def _with_frames(trajectory: Trajectory) -> Trajectory:
    if not len(trajectory):
        raise ValueError(f"{trajectory.path} has no frames yet; open it again when its run has written some")
    return trajectory
