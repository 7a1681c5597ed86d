"""How does one property of frames, minima or atoms go with another? A map of a table with axes from menus."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ipywidgets as ipw
import numpy as np
import pandas as pd
import plotly.graph_objects as go

from so3lab_widgets.plots.columns import axis_of, colours_of, line_about, numbers_of, scale_of
from so3lab_widgets.plots.downsampling import scattered
from so3lab_widgets.plots.linked_figure import LinkedFigure
from so3lab_widgets.running.not_in_marimo import NotInMarimo
from so3lab_widgets.theme import BLUE, ORANGE, PURPLE, label, styled
from so3lab_widgets.viewer.static_preview import LIVES

MOST_POINTS = 10_000
"""Drawn at a time; of more, those that fill the same places, and all of them when somebody zooms. A page takes some
milliseconds for the colours of every thousand."""
_MOST_SHAPES = 3000
"""Points that are drawn one by one; more are drawn by the graphics card."""
_SIZES = ((300, 9), (3000, 6), (MOST_POINTS, 5))
_MARGINS = {"l": 64, "r": 12, "t": 14, "b": 50}
_PLAIN = "one colour"
_AXES = ("x", "y", "colour")


class PropertyMap(NotInMarimo, ipw.VBox):
    """Any number of a table against any other, coloured by a third; each row is a point.

    Args:
        noun: What a row is, such as ``"frame"`` or ``"minimum"``.
        on_point: Called with the row that somebody points at or clicks, and ``"hover"`` or ``"click"``.
        on_choice: Called with the rows that somebody drags over, ascending; None when all are chosen again.
        on_axes: Called with ``"x"``, ``"y"`` or ``"colour"`` and the column that somebody has chosen for it.
        prefer: Columns of the axes and of the colour to begin with; of each, the first that a table has is taken.
        height: Of the figure in pixels.

    Attributes:
        table: What is drawn.
        prefer: Columns to begin with, by ``"x"``, ``"y"`` and ``"colour"``; they may be set before a table is shown.
        x, y, colour: The menus; their values are columns, and None is no colour.
        figure: What is shown.
        box: Columns and ranges of what somebody has dragged over last; empty when all are chosen again.
    """

    def __init__(
        self,
        noun: str,
        *,
        on_point: Callable[[int, str], None] = lambda row, how: None,
        on_choice: Callable[[np.ndarray | None], None] = lambda rows: None,
        on_axes: Callable[[str, str | None], None] = lambda axis, column: None,
        prefer: tuple[Sequence[str], Sequence[str], Sequence[str]] = ((), (), ()),
        height: int = 400,
    ):
        self.table = pd.DataFrame()
        self.box: dict[str, tuple[float, float]] = {}
        self._noun = noun
        self.prefer: dict[str, Sequence[str]] = dict(zip(_AXES, prefer, strict=True))
        self._on_point, self._on_choice, self._on_axes = on_point, on_choice, on_axes
        self._drawn = np.zeros(0, int)
        self._drawn_of: tuple[Any, ...] = ()  # what these are points of
        self._chosen: np.ndarray | None = None
        self._marked: tuple[int | None, tuple[int, ...]] = (None, ())
        self._sight: dict[str, tuple[float, float]] = {}
        self._quiet_in: int | None = None  # the thread that changes menus and axes; what others change is a choice
        self.x, self.y, self.colour = (self._menu(axis) for axis in _AXES)
        self.words = ipw.HTML()
        self.figure = LinkedFigure(styled(go.Figure(), height=height))
        self.figure.update_layout(
            showlegend=False, hovermode="closest", dragmode="select", margin=_MARGINS,
            newselection={"line": {"color": "rgba(128, 134, 142, 0.6)", "width": 1}},
        )  # fmt: skip
        for axis in ("xaxis", "yaxis"):
            self.figure.layout.on_change(lambda layout, limits, axis=axis: self._on_zoom(axis, limits), f"{axis}.range")
            self.figure.layout.on_change(
                lambda layout, automatic, axis=axis: self._on_zoom(axis, None), f"{axis}.autorange"
            )
        menus = ipw.HBox([self.x, self.y, self.colour], layout=ipw.Layout(flex_flow="row wrap"))
        super().__init__([menus, self.figure, self.words])

    def show(self, table: pd.DataFrame) -> None:
        """Draw another table; axes that it has as well stay as they were chosen.

        Raises:
            ValueError: If the table has no two columns of numbers.
        """
        numbers = numbers_of(table)
        if len(numbers) < 2:
            raise ValueError(f"a map needs two columns of numbers, and there are {', '.join(numbers) or 'none'}")
        fewer, self.table = len(table) < len(self.table), table
        if fewer:
            self._chosen, self._marked = None, (None, ())
        with self._quietly():
            for number, axis in enumerate(_AXES):
                self._offer(axis, numbers if axis != "colour" else colours_of(table), number)
        self._draw()

    def mark(self, current: int | None, selected: Sequence[int] = ()) -> None:
        """Put a ring around the row that is looked at, and smaller ones around those that are selected."""
        self._marked = (current, tuple(selected))
        if not len(self.table.columns):
            return
        x, y = (self.table[menu.value].to_numpy(float) for menu in (self.x, self.y))
        rows = [(row, "selected") for row in selected] + ([] if current is None else [(current, "current")])
        self.figure.marks = [
            [float(x[row]), float(y[row]), kind] for row, kind in rows if np.isfinite(x[row]) and np.isfinite(y[row])
        ]

    def choose(self, rows: np.ndarray | None) -> None:
        """Let these rows stand out, and the others fade; None for all."""
        self._chosen = rows
        with self.figure.edits:
            if self.figure.data:
                self.figure.data[0].selectedpoints = self._chosen_points()
            if rows is None and self.figure.layout.selections:
                self.figure.plotly_relayout({"selections": []})

    def picture(self) -> go.Figure:
        """The same as a plain figure, rings included."""
        plain = go.Figure(self.figure)
        for kind, colour, size in (("selected", PURPLE, 11), ("current", ORANGE, 16)):
            points = [(x, y) for x, y, of_kind in self.figure.marks if of_kind == kind]
            if points:
                ring = {"symbol": "circle-open", "size": size, "color": colour, "line": {"width": 2}}
                x, y = zip(*points, strict=True)
                plain.add_scatter(x=x, y=y, mode="markers", marker=ring, hoverinfo="skip", name=kind)
        return plain

    def __repr__(self) -> str:
        return f"{type(self).__name__}: {LIVES}"

    def close(self) -> None:
        """Take the map away."""
        self.figure.close()
        super().close()

    def _menu(self, axis: str) -> ipw.Dropdown:
        words = {"x": "x axis", "y": "y axis", "colour": "Colour"}[axis]
        menu = ipw.Dropdown(
            description=words, layout=ipw.Layout(width="236px"), style={"description_width": "46px"},
            tooltip=f"what the {words.lower()} shows",
        )  # fmt: skip
        menu.observe(lambda change: self._on_menu(axis, change.new), "value")
        return menu

    def _offer(self, axis: str, columns: Sequence[str], number: int) -> None:
        """Put columns into a menu; the one that was chosen stays, or else a preferred one is taken."""
        menu, none = getattr(self, axis), [(_PLAIN, None)] if axis == "colour" else []
        options = none + [(label(column), column) for column in columns]
        if tuple(options) == tuple(menu.options):
            return
        preferred = [column for column in self.prefer[axis] if column in columns]
        rest = [None] if none else [columns[min(number, len(columns) - 1)]]
        before = menu.value
        menu.options = options
        menu.value = before if before in columns else (preferred + rest)[0]

    def _draw(self) -> None:
        """All of it anew: the points in sight, thinned out, and the axes."""
        self._thin_out()
        kind = go.Scatter if len(self._drawn) <= _MOST_SHAPES else go.Scattergl
        figure, properties = self.figure, self._properties()
        with figure.edits, self._quietly():
            if not figure.data or not isinstance(figure.data[0], kind):
                figure.data = ()
                figure.add_trace(kind(properties))
                self._listen(figure.data[0])
            with figure.batch_update():
                figure.data[0].update(properties)
                for axis, menu in (("xaxis", self.x), ("yaxis", self.y)):
                    if axis not in self._sight:
                        figure.layout[axis].update(axis_of(menu.value, self.table[menu.value]))
                    figure.layout[axis].title.text = label(menu.value)
        hidden = len(self.table) - len(self._drawn)
        all_in_sight = f"{len(self._drawn):,} of {len(self.table):,} points drawn; zoom in to see the others"
        self.words.value = f"<small>{all_in_sight}</small>" if hidden and not self._sight else ""
        self.mark(*self._marked)

    def _thin_out(self) -> None:
        """Choose the points to be drawn, unless they are known: another colour has the same ones."""
        sight = dict(self._sight) if len(self.table) > MOST_POINTS else {}
        of = (self.table, self.x.value, self.y.value, sight)
        if self._drawn_of and self._drawn_of[0] is self.table and self._drawn_of[1:] == of[1:]:
            return
        x, y = (
            _within(self._numbers(menu.value), *sight.get(axis, (-np.inf, np.inf)))
            for axis, menu in (("xaxis", self.x), ("yaxis", self.y))
        )
        self._drawn, self._drawn_of = scattered(x, y, MOST_POINTS), of

    def _numbers(self, column: str) -> np.ndarray:
        return self.table[column].to_numpy(float)

    def _properties(self) -> dict[str, Any]:
        """What the trace is made of."""
        drawn, colour = self._drawn, self.colour.value
        x, y = (self._numbers(menu.value)[drawn] for menu in (self.x, self.y))
        size = next((size for most, size in _SIZES if len(drawn) <= most), _SIZES[-1][1])
        marker: dict[str, Any] = {"size": size, "color": BLUE, "showscale": False}
        lines = [f"{self._noun} %{{customdata}}", *(line_about(letter, getattr(self, letter).value) for letter in "xy")]
        texts = None
        if colour is not None:
            marker |= scale_of(colour, self.table[colour], drawn)
            if pd.api.types.is_numeric_dtype(self.table[colour]):
                lines.append(line_about("marker.color", colour))
            else:
                texts = self.table[colour].iloc[drawn].astype(str).tolist()
                lines.append(f"{label(colour)}: %{{text}}")
        return {
            "x": x, "y": y, "mode": "markers", "marker": marker, "text": texts,
            "customdata": drawn.astype(np.int32),  # longer ones would travel as text
            "meta": "range", "hovertemplate": "<br>".join(lines) + "<extra></extra>",
            "selectedpoints": self._chosen_points(), "unselected": {"marker": {"opacity": 0.12}},
        }  # fmt: skip

    def _chosen_points(self) -> list[int] | None:
        return None if self._chosen is None else np.flatnonzero(np.isin(self._drawn, self._chosen)).tolist()

    def _listen(self, trace: Any) -> None:
        trace.on_click(lambda trace, points, state: self._pointed(points, "click"))
        trace.on_hover(lambda trace, points, state: self._pointed(points, "hover"))
        trace.on_selection(lambda trace, points, selector: self._dragged(selector))
        trace.on_deselect(lambda trace, points: self._freed())

    def _pointed(self, points: Any, how: str) -> None:
        if points.point_inds and points.point_inds[0] < len(self._drawn):
            self._on_point(int(self._drawn[points.point_inds[0]]), how)

    def _dragged(self, selector: Any) -> None:
        """All rows within a box, drawn or not."""
        if selector is None:
            return
        inside, box = np.ones(len(self.table), bool), {}
        for menu, limits in ((self.x, selector.xrange), (self.y, selector.yrange)):
            low, high = sorted(map(float, limits))
            values = self.table[menu.value].to_numpy(float)
            inside &= (values >= low) & (values <= high)
            box[menu.value] = (low, high)
        if inside.any():
            self._chosen, self.box = np.flatnonzero(inside), box
            self._on_choice(self._chosen)

    def _freed(self) -> None:
        self.box = {}
        self._on_choice(None)

    def _on_menu(self, axis: str, column: str | None) -> None:
        if self._quiet_in == threading.get_ident():
            return
        self._sight.pop(f"{axis}axis", None)
        self._draw()
        self._on_axes(axis, column)

    def _on_zoom(self, axis: str, limits: Sequence[float] | None) -> None:
        """Somebody has zoomed in or out: of many points, others are to be drawn."""
        if self._quiet_in == threading.get_ident():
            return
        if limits is None:
            self._sight.pop(axis, None)
        else:
            low, high = sorted(map(float, limits))
            self._sight[axis] = (low, high)
        if len(self.table) > MOST_POINTS:
            self._draw()

    @contextlib.contextmanager
    def _quietly(self) -> Iterator[None]:
        """While menus and axes are changed by Python, nobody has chosen anything."""
        before, self._quiet_in = self._quiet_in, threading.get_ident()
        try:
            yield
        finally:
            self._quiet_in = before


def _within(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Values from ``low`` to ``high``, and not a number in place of others."""
    return np.where((values >= low) & (values <= high), values, np.nan)
