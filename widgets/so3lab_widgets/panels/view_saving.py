"""What is saved of a molecule as it stands on the page: its picture, its atoms, and a movie of its frames."""

import math
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import ipywidgets as ipw

from so3lab_widgets.panels.save_menu import Saveable, Writing, check_new
from so3lab_widgets.viewer.movie_encoder import MOST_FRAMES, WIDTH
from so3lab_widgets.viewer.viewer import Viewer

PICTURE = Saveable("the molecule as it is drawn", (".png",))
STRUCTURE = Saveable("the atoms that are shown", (".extxyz", ".xyz", ".pdb"))
MOVIE = Saveable("frames as they are drawn, evenly spread from the first to the last", (".mp4", ".gif"))
OF_VIEW = {"picture": PICTURE, "structure": STRUCTURE}
"""What every viewer has; where there are frames, ``"movie"`` goes with them."""
_LOOK_S, _PICTURE_S = 0.2, 20.0


class MovieFields:
    """How wide a movie is to be, and of how many frames."""

    def __init__(self) -> None:
        style, layout = {"description_width": "initial"}, {"width": "150px"}
        self.width = ipw.BoundedIntText(
            WIDTH, min=160, max=1920, step=80, description="width (pixels)", style=style, layout=layout
        )
        self.frames = ipw.BoundedIntText(
            MOST_FRAMES, min=2, max=1000, description="frames", style=style, layout={"width": "110px"}
        )

    @property
    def all(self) -> tuple[ipw.Widget, ...]:
        """Both fields."""
        return self.width, self.frames


def writing_of_view(
    viewer: Viewer, name: str, what: str, target: Path, closing: threading.Event, movie: MovieFields | None = None
) -> Writing:
    """How a viewer's ``"picture"``, ``"structure"`` or ``"movie"`` is written.

    Args:
        viewer: What is looked at.
        name: Of the viewer in Python.
        what: One of the three.
        target: A file that must not exist yet.
        closing: Set when nobody wants it any more.
        movie: How it is to be.
    """
    check_new(target)
    file = repr(str(target))
    if what == "structure":
        return Writing(lambda: _write_structure(viewer, target), f"{name}.atoms.write({file})")
    if what == "movie" and movie is not None:
        frames, width, fps = movie.frames.value, movie.width.value, viewer.fps
        line = f"{name}.save_movie({file}, frames={frames}, fps={fps:g}, width={width})"
        return Writing(lambda: _write_movie(viewer.save_movie(target, frames, fps, width), target, closing), line)
    return Writing(lambda: _write_picture(viewer, target, closing), f"{name}.save_picture({file})")


def _write_structure(viewer: Viewer, target: Path) -> str:
    atoms = viewer.atoms
    if atoms is None:
        raise ValueError("there is no molecule yet; show one first")
    atoms.write(target)
    return f"Wrote {target}."


def _write_picture(viewer: Viewer, target: Path, closing: threading.Event) -> str:
    target.write_bytes(_drawn(viewer.take_picture(), closing, _PICTURE_S))
    return f"Wrote {target}."


def _write_movie(written: "Future[Path]", target: Path, closing: threading.Event) -> str:
    _drawn(written, closing, math.inf)  # who makes movies waits for pages long enough
    return f"Wrote {target}."


def _drawn(future: "Future[Any]", closing: threading.Event, most_s: float) -> Any:
    """What a page draws; pages that show nothing, and panels that go, are not waited for."""
    waited_s = 0.0
    while not closing.is_set() and waited_s < most_s:
        try:
            return future.result(timeout=_LOOK_S)
        except TimeoutError:
            if future.done():
                raise
            waited_s += _LOOK_S
    raise TimeoutError("no page has drawn the molecule; is the view in sight of a browser?")
