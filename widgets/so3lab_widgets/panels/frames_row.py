"""Which frames are looked at: a file or what was given, the topology that it needs, and numbers beside it."""

import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import ipywidgets as ipw
import numpy as np
import pandas as pd
from ase import Atoms

from so3lab.frames import OpenedFrames, open_frames, read_columns
from so3lab.trajectory import Trajectory
from so3lab_widgets.confinement import permitted

AnyFrames = Trajectory | OpenedFrames
Source = str | os.PathLike | AnyFrames | Atoms | Sequence[Atoms]


class Loaded(NamedTuple):
    """Frames that were opened."""

    frames: AnyFrames
    columns: pd.DataFrame | None
    """Numbers beside them, one row per frame."""

    @property
    def code(self) -> str:
        """How Python opens the same."""
        if isinstance(self.frames, Trajectory):
            return f"so3lab.trajectory.Trajectory({str(self.frames.path)!r})"
        return self.frames.code if self.frames.path is not None else f"so3lab.frames.open_frames({self.frames.code})"

    def table(self) -> pd.DataFrame:
        """Every number per frame."""
        table = self.frames.table()
        return (
            table if self.columns is None else table.assign(**{str(k): v.to_numpy() for k, v in self.columns.items()})
        )

    @property
    def times_ps(self) -> np.ndarray:
        """Of each frame; all zero where none is known."""
        known = isinstance(self.frames, Trajectory) or self.frames.has_times
        return 0.001 * self.frames.times_fs * known


def load_frames(source: Source, topology: Any = None, columns: Any = None) -> Loaded:
    """Open frames with all that goes with them; what somebody else has opened stays open when these are closed.

    Raises:
        TypeError, ValueError, OSError, ImportError: If they cannot be opened (:func:`so3lab.frames.open_frames`), or
            numbers do not go with them (:func:`so3lab.frames.read_columns`).
    """
    if isinstance(source, str) and not source.strip():
        raise ValueError("the trajectory must be a file such as run.h5; the field is empty")
    opened = open_frames(permitted(source), topology=permitted(topology))
    if not len(opened):
        raise ValueError(f"{opened.path} has no frames yet; open it again when its run has written some")
    return Loaded(opened, None if columns is None else read_columns(permitted(columns), len(opened)))


class FramesRow(ipw.HBox):
    """Fields that say which frames are looked at.

    Args:
        load: Called with a file, a topology and a table of numbers, None where a field is empty.

    Attributes:
        path, topology, columns: The fields.
        open_button: Opens what they say.
    """

    def __init__(self, load: Callable[[str, str | None, str | None], None]):
        tips = {
            "path": "a trajectory of so3lab, or any file that ASE or MDAnalysis reads",
            "topology": "for .xtc, .dcd, .nc and their like: the same atoms with elements (.pdb, .gro, .psf)",
            "columns": "a CSV file with one row per frame",
        }
        made = {name: ipw.Text(tooltip=tip, style={"description_width": "auto"}) for name, tip in tips.items()}
        self.path, self.topology, self.columns = made.values()
        self.path.description, self.path.placeholder, self.path.layout.flex = "Trajectory", "run.h5", "3 1 260px"
        self.topology.description, self.topology.placeholder = "Topology", "only for positions alone"
        self.columns.description, self.columns.placeholder = "Numbers", "CSV, if any"
        for field in (self.topology, self.columns):
            field.layout.flex = "1 1 170px"
        self.open_button = ipw.Button(description="Open", layout=ipw.Layout(width="80px"))
        self.open_button.on_click(lambda _: load(self.path.value, *self._optional()))
        super().__init__([*made.values(), self.open_button], layout=ipw.Layout(flex_flow="row wrap"))

    def says(self, loaded: Loaded, topology: Any, columns: Any) -> None:
        """Let the fields say what was opened."""
        path = loaded.frames.path
        self.path.value = str(path) if path is not None else f"({len(loaded.frames):,} frames in memory)"
        for field, given in ((self.topology, topology), (self.columns, columns)):
            field.value = str(given) if isinstance(given, str | os.PathLike) else "" if given is None else "(given)"

    def _optional(self) -> list[str | None]:
        return [field.value.strip() or None for field in (self.topology, self.columns)]
