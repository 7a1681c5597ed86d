"""How a figure grows while a loop runs in a cell: one output, redrawn now and then from a growing table."""

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from IPython.display import clear_output, display


class LiveFigure:
    """A figure of a table that gains rows; use it in a ``with`` block, so that the last row is drawn too.

    It redraws a plain figure instead of feeding a widget, which would bring five megabytes along. Each drawing
    replaces what the cell shows: JupyterLab ignores an update of a Plotly figure that stands already.

    Args:
        draw: Makes the figure, such as :func:`so3lab_widgets.figures.learning_curves`.
        every_seconds: Shortest time between two drawings.
    """

    def __init__(self, draw: Callable[[pd.DataFrame], go.Figure], every_seconds: float = 1.0):
        if every_seconds < 0:
            raise ValueError(f"every_seconds must not be negative, got {every_seconds}")
        self._draw = draw
        self._every_seconds = every_seconds
        self._rows: list[Mapping[str, Any]] = []
        self._drawn_at = -float("inf")

    @property
    def table(self) -> pd.DataFrame:
        """Every row so far."""
        return pd.DataFrame(self._rows)

    def add(self, row: Mapping[str, Any]) -> None:
        """Add a row, and redraw when it is time."""
        self._rows.append(row)
        if time.monotonic() - self._drawn_at >= self._every_seconds:
            self.redraw()

    def redraw(self) -> None:
        """Draw what there is."""
        if not self._rows:
            return
        figure = self._draw(self.table)
        clear_output(wait=True)
        display(figure)
        self._drawn_at = time.monotonic()

    def __enter__(self) -> "LiveFigure":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.redraw()
