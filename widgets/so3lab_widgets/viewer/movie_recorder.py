"""Movies of a trajectory in a viewer: a page draws one frame after the other, and a thread gathers the pictures."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from so3lab_widgets.running.threads import new_thread
from so3lab_widgets.viewer import movie_encoder

_PICTURE_S = 20.0
"""How long a movie waits for a page to draw one of its pictures."""


class MovieRecorder:
    """Makes movies of what a viewer shows.

    Args:
        viewer: Has ``frames``, ``playing``, ``fps``, ``notice`` and ``send``.
        draw: Shows a frame and asks the page for its picture.
        rest: Shows the frame again that was shown before.
    """

    def __init__(self, viewer: Any, draw: Callable[[int], "Future[bytes]"], rest: Callable[[], None]):
        self._viewer, self._draw, self._rest = viewer, draw, rest

    def save(self, path: str | Path, frames: Sequence[int] | int | None, fps: float, width: int) -> "Future[Path]":
        """Write a movie in a thread.

        Raises:
            ValueError: If the ending of the path is wrong, nothing moves, or a frame does not exist.
        """
        ending, chosen = movie_encoder.ending_of(path), self._chosen(frames)
        movie_encoder.check_width(width)
        done: Future[Path] = Future()

        def write() -> None:
            try:
                Path(path).write_bytes(movie_encoder.encode(self._pictures_of(chosen), ending, fps, width))
                done.set_result(Path(path))
            except Exception as error:
                done.set_exception(error)

        new_thread(write, "film").start()
        return done

    def send(self, name: str, count: int, width: int) -> None:
        """Send a movie of so many frames to whoever has asked for one in a page; the name's ending says which kind."""
        viewer = self._viewer

        def work() -> None:
            try:
                frames, ending = self._chosen(count), movie_encoder.ending_of(name)
                movie = movie_encoder.encode(self._pictures_of(frames), ending, viewer.fps, width)
                viewer.send({"kind": "download", "name": name}, [movie])
            except Exception as error:
                viewer.notice = " ".join(str(error).split())

        new_thread(work, "film").start()

    def _chosen(self, frames: Sequence[int] | int | None) -> list[int]:
        there = self._viewer.frames
        if there < 2:
            raise ValueError("a movie needs a trajectory; show one first, or press Record for what moves")
        wanted = movie_encoder.MOST_FRAMES if frames is None else frames
        chosen = movie_encoder.spread(there, wanted) if isinstance(wanted, int) else [int(frame) for frame in wanted]
        if not chosen or any(not 0 <= frame < there for frame in chosen):
            raise ValueError(f"frames must be 0 to {there - 1}, at least one, got {chosen}")
        return chosen

    def _pictures_of(self, frames: Sequence[int]) -> Iterator[bytes]:
        """Frames one after the other as a page draws them; the one that is shown comes back at the end."""
        viewer = self._viewer
        viewer.playing = False
        try:
            for number, frame in enumerate(frames):
                try:
                    yield self._draw(frame).result(timeout=_PICTURE_S)
                except TimeoutError as error:
                    raise TimeoutError("no page has drawn the movie; is the view in sight of a browser?") from error
                if number % 10 == 0:
                    viewer.notice = f"filming: {number + 1} of {len(frames)} frames"
        finally:
            viewer.notice = ""
            self._rest()
