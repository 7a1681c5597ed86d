"""What a notebook shows where there is no kernel: a picture beside the widget, hidden as long as the widget lives.

Pages draw widgets from the kernel's memory; in a saved notebook, in an export and after a restart nothing of them
would be left. So each widget that is shown on its own has a second output, an image that its page sends now and then.
"""

import base64
import html
import itertools
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from io import BytesIO
from typing import Any

from IPython.display import DisplayHandle

from so3lab_widgets.running.threads import new_thread

QUIET_S = 3.0
"""A picture is taken when nothing has moved for so long."""
LONGEST_S = 30.0
"""And so long after the last one where things never stand still; then after twice as long each time, for a picture
costs a page, and whoever computes beside it, a second."""
LIVES = "it lives while its kernel runs; run this cell to see it."
"""What a widget says of itself where only text can be shown."""
_ANSWER_S = 20.0
_WIDTH, _HEIGHT = 960, 360


class SnapshotMixin:
    """A widget whose page can send a PNG of it; ``send`` and ``on_msg`` are those of any widget."""

    _numbers = itertools.count()

    def __init__(self, *args: Any, **kwargs: Any):
        self._pictures: dict[int, Future[bytes]] = {}
        super().__init__(*args, **kwargs)
        self.on_msg(self._receive_picture)  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        return f"{type(self).__name__}: {LIVES}"

    def take_picture(self) -> "Future[bytes]":
        """A PNG of the widget as it stands, from a page that shows it; the result comes when the page answers.

        Do not wait for it in a cell: the answer would wait for the cell. Add a callback, or wait in a thread.
        """
        number, future = next(self._numbers), Future[bytes]()
        self._pictures[number] = future
        self.send({"kind": "picture", "number": number})  # type: ignore[attr-defined]
        return future

    def _receive_picture(self, _: Any, content: dict[str, Any], buffers: Sequence[Any]) -> None:
        if content["kind"] == "picture" and (future := self._pictures.pop(content["number"], None)):
            future.set_result(bytes(buffers[0]))


class StaticPreview:
    """Shows a widget with a picture beside it, and renews the picture.

    Args:
        widget: What is shown; it must hold a viewer, by which a page knows that it lives.
        parts: The widgets whose pictures make up the picture.
    """

    def __init__(self, widget: Any, parts: Callable[[], Sequence[SnapshotMixin]]):
        self._widget, self._parts = widget, parts
        self._handle, self._live = DisplayHandle(), DisplayHandle()
        self._changed = threading.Condition()
        self._moved_at = self._taken_at = time.monotonic()
        self._longest_s = LONGEST_S
        self._waiting = self._closed = self._shown = False
        self._holder: StaticPreview | None = None

    def show(self) -> None:
        """Put both into the output of the cell that runs."""
        found = self._widget._repr_mimebundle_()
        data, metadata = found if isinstance(found, tuple) else (found, {})
        self._live.display(data, metadata=metadata, raw=True)
        self._handle.display(_output(None, ""), raw=True)
        self._shown = True

    def pass_on_to(self, holder: "StaticPreview") -> None:
        """Let the preview of what holds the widget know what moves; this one is left out unless it is shown itself."""
        self._holder = holder

    def schedule(self, *_: Any) -> None:
        """Something has moved: take a picture when it has come to rest; any thread may call."""
        if self._holder is not None:
            self._holder.schedule()
            if not self._shown:
                return
        with self._changed:
            self._moved_at = time.monotonic()
            if not (self._waiting or self._closed):
                self._waiting = True
                new_thread(self._wait_and_take, "preview").start()

    def close(self, sentence: str = "") -> None:
        """Take no more pictures; the sentence, if there is one, stands where the widget was, above its last picture."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if sentence and self._shown:
            self._live.update({"text/html": f"<p>{html.escape(sentence)}</p>", "text/plain": sentence}, raw=True)

    def _wait_and_take(self) -> None:
        due = self._due()
        while (left := due - time.monotonic()) > 0 and not self._rest(left):
            due = self._due()
        started = time.monotonic()
        pictures = [part.take_picture() for part in self._parts()] if not self._closed else []
        deadline = time.monotonic() + _ANSWER_S
        while not all(one.done() for one in pictures) and time.monotonic() < deadline and not self._rest(0.1):
            pass
        with self._changed:
            self._longest_s = 2 * self._longest_s if self._moved_at > started - QUIET_S else LONGEST_S
            self._waiting, self._taken_at = False, time.monotonic()
        if pictures and not self._closed and all(one.done() for one in pictures):
            self._handle.update(_output(side_by_side([one.result() for one in pictures]), repr(self._widget)), raw=True)

    def _due(self) -> float:
        return min(self._moved_at + QUIET_S, self._taken_at + self._longest_s)

    def _rest(self, seconds: float) -> bool:
        """Whether this is closed before so many seconds have passed."""
        with self._changed:
            return self._closed or (self._changed.wait(seconds) and self._closed)


def side_by_side(pictures: Sequence[bytes]) -> bytes:
    """PNGs in a row, on white."""
    from PIL import Image

    opened = [Image.open(BytesIO(one)).convert("RGBA") for one in pictures]
    height = min(_HEIGHT, int(_WIDTH / sum(one.width / one.height for one in opened)))
    scaled = [one.resize((round(one.width * height / one.height), height)) for one in opened]
    sheet = Image.new("RGBA", (sum(one.width for one in scaled), height), "white")
    left = 0
    for one in scaled:
        sheet.alpha_composite(one, (left, 0))
        left += one.width
    written = BytesIO()
    sheet.convert("RGB").save(written, "PNG", optimize=True)
    return written.getvalue()


def _output(picture: bytes | None, words: str) -> dict[str, str]:
    """Output of a cell; HTML is what JupyterLab shows, and the name by which a page finds and hides it."""
    if picture is None:
        return {"text/html": '<span class="so3-still"></span>', "text/plain": ""}
    coded = base64.b64encode(picture).decode()
    image = f'<img class="so3-still" alt="{html.escape(words)}" src="data:image/png;base64,{coded}">'
    return {"text/html": image, "image/png": coded, "text/plain": words}
