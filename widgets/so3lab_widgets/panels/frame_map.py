"""How does one number of the frames go with another? A map of them that unfolds when it is wanted."""

from collections.abc import Callable, Mapping

import ipywidgets as ipw
import numpy as np
import pandas as pd

from so3lab_widgets.panels.frame_plot import Series
from so3lab_widgets.panels.panel import close_all
from so3lab_widgets.plots.property_map import PropertyMap

_PREFER = (["RMSD_A", "time_ps"], ["potential_energy", "temperature"], ["time_ps"])
_HEIGHT = 360


class FrameMap(ipw.VBox):
    """A property map of the frames with a button that unfolds it; nothing is drawn before.

    Args:
        on_point: Called with the frame that somebody points at or clicks, and ``"hover"`` or ``"click"``.
        on_choice: Called with the frames that somebody drags over, ascending; None when all are chosen again.
        on_axes: Called with a line of Python when somebody has chosen another axis or colour.
        on_trouble: Told in a sentence why nothing can be drawn.

    Attributes:
        button: Unfolds the map, or folds it away.
        map: The map, None before it was unfolded for the first time.
    """

    def __init__(
        self,
        *,
        on_point: Callable[[int, str], None],
        on_choice: Callable[[np.ndarray | None], None],
        on_axes: Callable[[str], None],
        on_trouble: Callable[[BaseException], None],
    ):
        self._on_point, self._on_choice, self._on_axes, self._on_trouble = on_point, on_choice, on_axes, on_trouble
        self.map: PropertyMap | None = None
        self._table = pd.DataFrame()
        self._frame = 0
        self.button = ipw.ToggleButton(
            False, description="Map", icon="th", layout=ipw.Layout(width="auto"),
            tooltip="draw any number of the frames against any other, coloured by a third",
        )  # fmt: skip
        self.button.observe(lambda change: self._fold(), "value")
        super().__init__(layout=ipw.Layout(display="none"))

    @property
    def shown(self) -> bool:
        """Whether the map is unfolded."""
        return self.button.value

    def load(self, times_ps: np.ndarray, series: Mapping[str, Series]) -> None:
        """Draw other frames, or more numbers of the same; time is a number as well, where it is known.

        Args:
            times_ps: Of each frame, all zero where none is known.
            series: Numbers per frame by column.
        """
        place = {"time_ps": times_ps} if np.any(times_ps) else {"frame": np.arange(len(times_ps))}
        self._table = pd.DataFrame({**place, **{name: one.values for name, one in series.items()}})
        if self.shown:
            self._draw()

    def show_frame(self, frame: int) -> None:
        """Move the ring to a frame."""
        self._frame = frame
        if self.shown and self.map is not None and frame < len(self.map.table):
            self.map.mark(frame)

    def choose(self, frames: np.ndarray | None) -> None:
        """Let these frames stand out; None for all."""
        if self.map is not None:
            self.map.choose(frames)

    def close(self) -> None:
        """Take the map away."""
        if self.map is not None:
            self.map.close()
        close_all(self.button)
        super().close()

    def _fold(self) -> None:
        self.layout.display = "" if self.shown else "none"
        if self.shown:
            self._draw()

    def _draw(self) -> None:
        if self.map is None:
            self.map = PropertyMap(
                "frame", on_point=self._on_point, on_choice=self._on_choice, on_axes=self._chosen, prefer=_PREFER,
                height=_HEIGHT,
            )  # fmt: skip
            self.children = [self.map]
        try:
            self.map.show(self._table)
        except ValueError as error:
            self._on_trouble(error)
            return
        self.show_frame(self._frame)

    def _chosen(self, axis: str, column: str | None) -> None:
        self._on_axes(f"panel.map.map.{axis}.value = {column!r}")
