"""Which frames somebody has chosen: numbers to be typed, or filled by dragging over a plot; single ones by a map."""

from collections.abc import Callable

import ipywidgets as ipw
import numpy as np


class FrameChoice(ipw.HBox):
    """Fields for the first frame, the last one and the step, and buttons that zoom to these frames.

    Args:
        on_change: Called when other frames are chosen.
        on_zoom: Called with True to zoom to the chosen frames, with False to see all.

    Attributes:
        only: Frames that were chosen one by one, ascending; None where the fields say which.
    """

    def __init__(self, on_change: Callable[[], None], on_zoom: Callable[[bool], None]):
        self._on_change, self._quiet = on_change, False
        self.only: np.ndarray | None = None
        narrow = {"layout": ipw.Layout(width="150px"), "style": {"description_width": "50px"}}
        self.first = ipw.BoundedIntText(0, min=0, max=0, description="Frames", continuous_update=False, **narrow)
        self.last = ipw.BoundedIntText(0, min=0, max=0, description="to", continuous_update=False, **narrow)
        self.every = ipw.BoundedIntText(1, min=1, max=1, description="every", continuous_update=False, **narrow)
        self.count = ipw.Label()
        closer = ipw.Button(description="Zoom to these", layout=ipw.Layout(width="120px"))
        whole = ipw.Button(description="Whole run", layout=ipw.Layout(width="100px"))
        closer.on_click(lambda _: on_zoom(True))
        whole.on_click(lambda _: on_zoom(False))
        self.zoom_in, self.zoom_out = closer, whole
        super().__init__(
            [self.first, self.last, self.every, closer, whole, self.count],
            layout=ipw.Layout(flex_flow="row wrap", align_items="center"),
        )
        for field in (self.first, self.last, self.every):
            field.observe(self._on_field, "value")

    @property
    def chosen(self) -> slice:
        """First frame, the one behind the last, and the step."""
        return slice(self.first.value, self.last.value + 1, self.every.value)

    @property
    def frames(self) -> np.ndarray:
        """Numbers of the chosen frames."""
        return np.arange(self.last.value + 1)[self.chosen] if self.only is None else self.only

    def choose_only(self, frames: np.ndarray | None) -> None:
        """Choose single frames until others are chosen; None for all frames."""
        self._fill(0, self.last.max + 1, 1)
        self.only = None if frames is None else np.asarray(frames, int)
        self._tell()

    def reset(self, frames: int) -> None:
        """There are so many frames; choose all of them."""
        self._quiet = True
        for field in (self.first, self.last, self.every):
            field.max = max(1, frames - 1)
        self._quiet = False
        self.choose(0, frames)

    def choose(self, first: int, stop: int, every: int = 1) -> None:
        """Choose the frames from ``first`` to before ``stop``."""
        self._fill(first, stop, every)
        self._on_field(None)

    def _fill(self, first: int, stop: int, every: int) -> None:
        self._quiet = True
        self.first.value, self.last.value, self.every.value = first, stop - 1, every
        self._quiet = False

    def _on_field(self, _: object) -> None:
        if self._quiet:
            return
        self.only = None
        self._tell()

    def _tell(self) -> None:
        count, where = len(self.frames), "" if self.only is None else " on the map"
        self.count.value = (
            f"{count:,} frame{'' if count == 1 else 's'} chosen{where}" if count else "no frame is chosen"
        )
        self._on_change()
