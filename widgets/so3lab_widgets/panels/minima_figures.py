"""What minima look like together: ladder, tree, populations and the progress of a search, one figure at a time."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets as ipw
import numpy as np
import pandas as pd
import plotly.graph_objects as go

from so3lab.landscape import disconnectivity_tree
from so3lab.minima import Minimum
from so3lab_widgets import figures
from so3lab_widgets.panels.minima_table import MinimaTable
from so3lab_widgets.plots.linked_figure import LinkedFigure
from so3lab_widgets.theme import styled

Draw = Callable[[], go.Figure]
_TEMPERATURES = 30
"""At which populations are drawn."""
_POPULATIONS = "Populations"
PATH = "Path"


class MinimaFigures(ipw.VBox):
    """A figure that is chosen by its name; its points are minima and saddles.

    Args:
        draw: Functions that make figures, by name. Points of minima carry their number, those of saddles
            ``"saddle N"``, as ``customdata[0]``. A ``ValueError`` says in a sentence why there is nothing to draw.
        on_point: Called with the number or the words of what somebody points at or clicks, and ``"hover"`` or
            ``"click"``.
        on_line: Called with a line of Python that does what somebody has just done.
        height: In pixels.

    Attributes:
        choice: The name.
        figure: What is shown.
    """

    def __init__(
        self,
        draw: Mapping[str, Draw],
        *,
        on_point: Callable[[Any, str], None],
        on_line: Callable[[str], None],
        height: int,
    ):
        self._draw, self._on_point, self._height = dict(draw), on_point, height
        self._drawing = threading.RLock()  # a search and a click may want it at once: the last draws what is chosen
        self._marked: int | None = None
        self._temperature: float | None = None
        self.choice = ipw.ToggleButtons(options=[*draw], style={"button_width": "auto"}, tooltips=[*draw])
        self.figure = LinkedFigure(styled(go.Figure(), height=height))
        self.words = ipw.HTML()
        super().__init__([self.choice, self.words, self.figure])
        self.choice.observe(lambda change: self.refresh(), "value")
        self.choice.observe(lambda change: on_line(f"panel.figures.choice.value = {change.new!r}"), "value")

    def refresh(self) -> None:
        """Draw the chosen figure anew."""
        with self._drawing:
            self._draw_chosen()

    def _draw_chosen(self) -> None:
        try:
            made, trouble = self._draw[self.choice.value](), ""
        except ValueError as error:
            made, trouble = styled(go.Figure(), height=self._height), str(error)
            made.update_layout(
                xaxis={"visible": False}, yaxis={"visible": False}
            )  # a page keeps those before, unless told
        made.update_layout(height=self._height)
        self.words.value = f'<span role="status">{trouble}</span>'
        with self.figure.edits:
            self.figure.data = ()
            self.figure.layout = made.layout
            self.figure.add_traces(made.data)
            for trace in self.figure.data:
                trace.on_click(lambda trace, points, state: self._pointed(trace, points, "click"))
                trace.on_hover(lambda trace, points, state: self._pointed(trace, points, "hover"))
        self.mark(self._marked)
        self._draw_temperature()

    def show(self, name: str) -> None:
        """Draw the figure of this name, anew where it is shown already."""
        if self.choice.value == name:
            self.refresh()
        else:
            self.choice.value = name

    def mark(self, number: int | None) -> None:
        """Put a ring around a minimum, where the figure has a point of it."""
        self._marked = number
        self.figure.marks = [] if number is None or self.choice.value == _POPULATIONS else self._places_of(number)[:1]

    def show_temperature(self, temperature: float) -> None:
        """Let a line stand at a temperature, where the figure has an axis of temperatures."""
        self._temperature = temperature
        self._draw_temperature()

    def close(self) -> None:
        """Take the figure away."""
        self.figure.close()
        super().close()

    def _draw_temperature(self) -> None:
        self.figure.cursor = self._temperature if self.choice.value == _POPULATIONS else None

    def _places_of(self, number: int) -> list[list[Any]]:
        return [
            [float(x), float(y), "current"]
            for trace in self.figure.data
            if trace.customdata is not None
            for x, y, told in zip(trace.x, trace.y, trace.customdata, strict=True)
            if told[0] == number
        ]

    def _pointed(self, trace: Any, points: Any, how: str) -> None:
        if points.point_inds and trace.customdata is not None:
            self._on_point(trace.customdata[points.point_inds[0]][0], how)


def drawings_of(
    minima: Callable[[], Sequence[Minimum]],
    rows: MinimaTable,
    table: Callable[[], pd.DataFrame],
    found: Callable[[], pd.DataFrame],
    temperatures: tuple[float, float],
    path: Draw,
) -> dict[str, Draw]:
    """Functions that make figures of minima, by name.

    Args:
        minima, table: Give the minima as they are, and their table.
        rows: What else is known of them.
        found: Gives how the number of minima grew in a search.
        temperatures: The coldest and the hottest.
        path: Draws the path between two of them.
    """

    def drawable() -> pd.DataFrame:
        if not minima():
            raise ValueError("There are no minima yet: press Start, or open a database.")
        return table().rename(columns={"energy": "energy_eV"})

    def tree() -> go.Figure:
        known = rows.landscape
        if known is None or not known.transition_states:
            raise ValueError("No transition states are known; so3lab minima landscape finds them.")
        saddles = [(*state.minima, state.energy) for state in known.transition_states]
        joined = disconnectivity_tree([one.energy for one in known.minima], saddles)
        return figures.disconnectivity(joined.table(), drawable(), unit=rows.unit)

    def populations() -> go.Figure:
        drawable()
        shares = rows.populations(minima(), np.linspace(*temperatures, _TEMPERATURES))
        return figures.populations(shares, unit="ε/k" if rows.reduced else "K")

    def progress() -> go.Figure:
        grown = found()
        if grown.empty:
            raise ValueError("Nothing was searched for here: progress is known of a search of this panel alone.")
        return figures.saturation_curve(grown)

    return {
        "Energy ladder": lambda: figures.energy_ladder(drawable(), unit=rows.unit),
        "Tree": tree, PATH: path, _POPULATIONS: populations, "Progress": progress,
    }  # fmt: skip
