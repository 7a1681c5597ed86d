"""What moves through frames with the clock: a slow page skips frames and keeps the speed."""

import threading
import time
from collections.abc import Callable
from typing import Any

from so3lab_widgets.running.threads import new_thread

_MOST_HZ = 20.0


class Player:
    """Moves the ``frame`` of a viewer while it is ``playing``, in a thread that lives as long.

    Args:
        viewer: Has ``frame``, ``frames``, ``playing``, ``fps`` and ``loop``.
        clock: Gives seconds from any start.
    """

    def __init__(self, viewer: Any, clock: Callable[[], float] = time.monotonic):
        self._viewer, self._clock = viewer, clock
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def follow(self, playing: bool) -> None:
        """Play, if this is wanted and there is something to play; whoever plays sees by himself when to end."""
        alive = self._thread is not None and self._thread.is_alive()
        if playing and self._viewer.frames > 1 and not alive:
            self._thread = new_thread(self._play, "player")
            self._thread.start()

    def close(self) -> None:
        """Play no more."""
        self._closing.set()

    def _play(self) -> None:
        viewer = self._viewer
        place = float(viewer.frame if viewer.frame < viewer.frames - 1 else 0)
        shown, before = viewer.frame, self._clock()
        while viewer.playing and not self._closing.wait(1.0 / min(_MOST_HZ, viewer.fps)):
            now = self._clock()
            if viewer.frame != shown:  # somebody has moved the slider
                place = float(viewer.frame)
            place, before = place + viewer.fps * (now - before), now
            last = viewer.frames - 1
            if place > last and not viewer.loop:
                viewer.frame, viewer.playing = last, False
                return
            shown = viewer.frame = int(place % (last + 1)) if last > 0 else 0
