"""What is saved of frames that somebody looks through: chosen ones, their numbers, the curves, all that was clicked."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from so3lab.counting import counted
from so3lab.frames import open_frames
from so3lab.trajectory import Trajectory, export
from so3lab_widgets.panels.frames_row import AnyFrames
from so3lab_widgets.panels.save_menu import Saveable, SaveMenu, Writing, check_new, save_text
from so3lab_widgets.panels.view_saving import MOVIE, OF_VIEW, MovieFields, writing_of_view

_THINGS = {
    "frames": Saveable("the chosen frames", (".extxyz", ".xyz", ".pdb", ".dcd", ".traj", ".h5")),
    "table": Saveable("all series of the chosen frames as CSV", (".csv",)),
    "figure": Saveable("the curves as a page that opens without a network", (".html",)),
    "movie": MOVIE,
    **OF_VIEW,
    "session": Saveable("all that was clicked as a Python script", (".py",)),
}
_MOST_LISTED = 30


class FramesSaving(SaveMenu):
    """The saving row of a panel of frames.

    Args:
        panel: Has ``trajectory``, ``opened_as``, ``choice``, ``table``, ``figure``, ``viewer`` and ``session``.
        on_line: Called with a line of Python that does what somebody has just done.
        name: Of the job that writes.

    Attributes:
        movie: Fields that say what a movie is like.
    """

    def __init__(self, panel: Any, *, on_line: Callable[[str], None], name: str):
        self._panel, self.movie = panel, MovieFields()
        fields = {"movie": self.movie.all}
        super().__init__(_THINGS, self._begin_saving, path="frames", name=name, on_line=on_line, fields=fields)

    def _begin_saving(self, what: str, target: Path) -> Writing:
        panel, name = self._panel, repr(str(target))
        if what == "frames":
            return self._frames(target)
        if what == "movie" or what in OF_VIEW:
            return writing_of_view(panel.viewer, "panel.viewer", what, target, self.closing, self.movie)
        if what == "table":
            return Writing(lambda: save_text(target, panel.table().to_csv()), f"panel.table().to_csv({name})")
        if what == "figure":
            line = f"panel.figure().write_html({name})"
            return Writing(lambda: save_text(target, panel.figure().to_html()), line)
        line = f"print(panel.session(), file=open({name}, 'w'))"
        return Writing(lambda: save_text(target, panel.session()), line)

    def _frames(self, target: Path) -> Writing:
        panel, name = self._panel, repr(str(target))
        opened, chosen, only = panel.trajectory, panel.choice.chosen, panel.choice.only
        source = panel.opened_as
        if only is not None:
            some = f"so3lab.frames.open_frames([{source}[k] for k in {listed(only)}])"
            line = f"so3lab.trajectory.export({some}, {name})"
            return Writing(lambda: _write(open_frames(_Some(opened, only)), target, slice(None)), line)
        if isinstance(opened, Trajectory):
            source, chosen_there = repr(str(opened.path)), _of_file(opened, chosen)
        else:
            chosen_there = chosen
        line = f"so3lab.trajectory.export({source}, {name}, {chosen_there})"
        return Writing(lambda: _write(opened, target, chosen), line)


class _Some(Sequence[Atoms]):
    """Frames by their numbers, read when they are looked at."""

    def __init__(self, frames: AnyFrames, numbers: np.ndarray):
        self._frames, self._numbers = frames, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: Any) -> Any:
        return self._frames[int(self._numbers[index])]


def listed(frames: np.ndarray) -> str:
    """Numbers of frames as Python says them; of many, where they are found."""
    return str(frames.tolist()) if len(frames) <= _MOST_LISTED else "panel.choice.only"


def _of_file(trajectory: Trajectory, chosen: slice) -> slice:
    """The chosen frames as the file counts them: a slice of a trajectory starts elsewhere."""
    frames = trajectory.frames[chosen]
    return slice(frames.start, frames.stop if frames.stop >= 0 else None, frames.step)


def _write(frames: AnyFrames, target: Path, chosen: slice) -> str:
    """Write frames to a file that must not exist yet; returns a sentence about it."""
    check_new(target)
    return f"Wrote {counted(export(frames, target, chosen), 'frame')} to {target}."
