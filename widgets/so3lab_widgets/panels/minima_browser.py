"""Minima that somebody browses: views, figures, a comparison and a path, each of which moves the others."""

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as ipw
import pandas as pd

from so3lab.landscape import Landscape
from so3lab.minima import Comparison, DuplicateRule, Minimum, compare
from so3lab_widgets.panels.message_line import MessageLine
from so3lab_widgets.panels.minima_comparison import MinimaComparison
from so3lab_widgets.panels.minima_figures import MinimaFigures, drawings_of
from so3lab_widgets.panels.minima_path import MinimaPath
from so3lab_widgets.panels.minima_table import MinimaTable
from so3lab_widgets.panels.minima_views import MinimaViews, side_by_side


class MinimaBrowser(ipw.VBox):
    """Whatever is pointed at in one of its parts is shown by the others.

    Args:
        rows: Tables of minima.
        temperature: Of populations at first, K or ε/k.
        limits: Temperatures over which they are drawn.
        height: Of the molecule in pixels.
        message: Says what stands against what was clicked.
        found: Gives how the number of minima grew in a search.
        on_path: Called with two numbers when somebody wants a path between them.
        on_rule: Called with a rule by which all minima are to be gathered anew.
        on_line: Called with a line of Python that does what somebody has just done.

    Attributes:
        views: The molecule, the map and the table.
        figures: Ladder, tree, path, populations and progress.
        comparison: The rule for duplicates, and two minima side by side.
        paths: The path between two minima.
        readout: What there is to say of the minimum that is looked at.
    """

    def __init__(
        self,
        rows: MinimaTable,
        *,
        temperature: float,
        limits: tuple[float, float],
        height: int,
        message: MessageLine,
        found: Callable[[], pd.DataFrame],
        on_path: Callable[[int, int], None],
        on_rule: Callable[[DuplicateRule], None],
        on_line: Callable[[str], None],
    ):
        self._rows, self._message, self._temperature, self._on_path = rows, message, temperature, on_path
        self.views = MinimaViews(
            height=height, reduced=rows.reduced, on_look=lambda row: self.describe(), on_select=self._on_selected,
            on_line=on_line,
        )  # fmt: skip
        self.readout = ipw.HTML()
        self.paths = MinimaPath(rows.unit, self._on_find, self.views.show_structure)
        drawings = drawings_of(
            lambda: self.views.minima, rows, lambda: self.views.table.table, found, limits, self.paths.drawn
        )
        self.figures = MinimaFigures(drawings, on_point=self.on_point, on_line=on_line, height=height)
        self.comparison = MinimaComparison(DuplicateRule(), on_rule, message)
        below = side_by_side(self.figures, self.views.table)
        super().__init__([self.views, self.readout, below, self.comparison, self.paths, self.comparison.words])

    def take(self, landscape: Landscape) -> None:
        """Show other minima, and what joins them."""
        self._rows.landscape = landscape
        self.paths.forget()
        self.draw(landscape.minima)

    def forget(self) -> None:
        """Know no longer what joins minima."""
        self._rows.landscape = None
        self.paths.forget()

    def draw(self, minima: Sequence[Minimum]) -> None:
        """Show minima, in place of those before or as more of them; where there are none, what is shown stays."""
        if minima:
            self.views.show(minima, self._rows.rows(minima, self._temperature))
            self.figures.refresh()
            self.describe()

    def describe(self) -> None:
        """Say what there is to say of the minimum that is looked at, and mark it in the figures."""
        row, table = self.views.current, self.views.table.table
        self.figures.mark(row)
        if row is not None and row < len(table):
            self.readout.value = self._rows.sentence(table.iloc[row], self.views.words_about(row))

    def at_temperature(self, temperature: float) -> None:
        """Have populations of another temperature: the figure shows it now, tables when they are drawn next."""
        self._temperature = temperature
        self.figures.show_temperature(temperature)

    def compare(self, first: int, second: int) -> Comparison:
        """Two minima side by side, by the rule in the fields."""
        return compare(self.views.minima[first], self.views.minima[second], self.comparison.rule)

    def on_point(self, what: Any, how: str) -> None:
        """Somebody points at a minimum in a figure, at an image of the path, or at a saddle."""
        if not isinstance(what, str):
            self.views.on_point(int(what), how)
        elif what.startswith("image "):
            self.paths.place.value = int(what.removeprefix("image "))
        elif self._rows.landscape is not None:
            saddles = self._rows.landscape.transition_states
            self.views.show_saddle(saddles[int(what.removeprefix("saddle "))])

    def close(self) -> None:
        """Take the views and figures away."""
        self.views.close()
        self.figures.close()
        super().close()

    def _on_find(self) -> None:
        two = self.views.selected
        if len(two) != 2:
            self._message.warn("a path leads from one minimum to another: select two of them")
            return
        self._on_path(*two)

    def _on_selected(self, rows: Sequence[int]) -> None:
        self._message.try_to(lambda: self._show_last_two([row for row in rows if row < len(self.views.minima)]))

    def _show_last_two(self, rows: Sequence[int]) -> None:
        self.comparison.show(self.compare(*rows[-2:]) if len(rows) > 1 else None)
