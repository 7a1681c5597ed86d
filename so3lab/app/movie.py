"""The movie of a report: a run, thinned to as many frames as a page should carry."""

from pathlib import Path
from typing import TYPE_CHECKING

from so3lab.trajectory import Trajectory

if TYPE_CHECKING:
    from so3lab_widgets.report import Movie

ENOUGH_FRAMES = 300
"""A movie of a longer run has at least so many, and fewer than twice as many."""


def movie_of(path: Path, caption: str) -> "Movie":
    """Frames of a trajectory file at even distances, with their times."""
    import so3lab

    with Trajectory(path) as trajectory:
        thinned = trajectory[:: max(1, len(trajectory) // ENOUGH_FRAMES)]
        return so3lab.widgets.report.Movie(list(thinned), thinned.times_fs / 1000.0, caption)
