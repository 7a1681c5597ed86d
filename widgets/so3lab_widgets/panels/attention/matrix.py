"""Who listens to whom: a heat map linked to the molecule, by atoms, groups or elements."""

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as ipw
import numpy as np
import plotly.graph_objects as go

from so3lab.attention import grouped_matrix
from so3lab_widgets.panels.attention.shown import Shown
from so3lab_widgets.panels.panel import close_all
from so3lab_widgets.plots.linked_figure import LinkedFigure
from so3lab_widgets.theme import ORANGE, SIGNED_SCALE, SIZE_SCALE, styled

ROWS = ("atoms", "groups", "elements")
"""``groups`` are heavy atoms with their hydrogens."""
_HEIGHT = 460


class MatrixView(ipw.VBox):
    """The matrix of the chosen attention; rows listen, columns are listened to.

    Args:
        on_pair: Called with the two atoms of a cell, the listener first, and ``"click"`` or ``"hover"``.

    Attributes:
        rows: Menu: by what rows and columns are.
        figure: The heat map.
    """

    def __init__(self, on_pair: Callable[[list[int], str], None]):
        self._on_pair = on_pair
        self._shown: Shown | None = None
        self._picked: tuple[int, ...] = ()
        self._labels = np.zeros(0, int)  # row of each atom
        self.rows = ipw.Dropdown(options=ROWS, description="Rows", layout=ipw.Layout(width="180px"))
        self.rows.style.description_width = "auto"
        self.rows.observe(lambda _: self._redraw(), "value")
        self.figure = LinkedFigure(_heat_map())
        trace = self.figure.data[0]
        trace.on_click(self._pointed("click"))
        trace.on_hover(self._pointed("hover"))
        super().__init__([self.rows, self.figure])

    def draw(self, shown: Shown) -> None:
        """Show this."""
        self._shown = shown
        self._labels, names = self._by(shown)
        matrix = grouped_matrix(shown.matrix, self._labels) if self.rows.value != "atoms" else shown.matrix
        seen = np.where(matrix == 0.0, np.nan, matrix) if self.rows.value == "atoms" else matrix
        largest = float(np.abs(matrix).max(initial=0.0)) or 1.0
        figure = self.figure
        with figure.edits, figure.batch_update():
            heat = figure.data[0]
            signed = bool((matrix < 0.0).any())
            heat.x, heat.y, heat.z = names, names, seen.astype(np.float32)
            heat.zmin, heat.zmax, heat.colorscale = -largest * signed, largest, SIGNED_SCALE if signed else SIZE_SCALE
            heat.hovertemplate = f"%{{y}} listens to %{{x}}<br>{shown.words}: %{{z:.4f}}, no unit<extra></extra>"
            figure.layout.title.text, figure.layout.title.subtitle.text = shown.words, shown.compared
        self.mark(self._picked)

    def mark(self, picked: Sequence[int]) -> None:
        """Mark the row of a picked atom, and the cell of a picked pair."""
        self._picked = tuple(picked)
        rows = [int(self._labels[atom]) for atom in self._picked if atom < len(self._labels)]
        with self.figure.edits, self.figure.batch_update():
            self.figure.layout.shapes = _marks(rows)

    @property
    def marked_row(self) -> int | None:
        """The row that is marked."""
        shapes = self.figure.layout.shapes
        return round(shapes[0].y0 + 0.5) if shapes else None

    def picture(self) -> go.Figure:
        """The same as a plain figure."""
        return go.Figure(self.figure)

    def close(self) -> None:
        """Take the view away."""
        close_all(self.rows, self.figure)
        super().close()

    def _by(self, shown: Shown) -> tuple[np.ndarray, list[str]]:
        """Row of each atom, and names of the rows."""
        if self.rows.value == "atoms":
            return np.arange(len(shown.names)), shown.names
        if self.rows.value == "groups":
            return shown.groups, [self._group_name(shown, number) for number in range(shown.groups.max() + 1)]
        symbols, labels = np.unique(shown.atoms.get_chemical_symbols(), return_inverse=True)
        return labels, symbols.tolist()

    @staticmethod
    def _group_name(shown: Shown, number: int) -> str:
        """Its heavy atom, with how many hydrogens."""
        members = np.flatnonzero(shown.groups == number)
        heavy = [atom for atom in members if shown.atoms.numbers[atom] > 1] or [members[0]]
        hydrogens = len(members) - len(heavy)
        return f"{shown.names[heavy[0]]}{f' H{hydrogens}' if hydrogens > 1 else ' H' if hydrogens else ''}"

    def _redraw(self) -> None:
        if self._shown is not None:
            self.draw(self._shown)

    def _pointed(self, how: str) -> Callable[..., None]:
        def report(trace: Any, points: Any, state: Any) -> None:
            names = list(trace.x or ())
            if points.xs and points.xs[0] in names and points.ys[0] in names:
                listener, speaker = names.index(points.ys[0]), names.index(points.xs[0])
                chosen = [int(np.flatnonzero(self._labels == row)[0]) for row in (listener, speaker)]
                self._on_pair(chosen if chosen[0] != chosen[1] else chosen[:1], how)

        return report


def _marks(rows: list[int]) -> list[dict[str, Any]]:
    """A frame around a row and, of a pair, around its two cells."""
    line = {"color": ORANGE, "width": 2}
    frames = [{"xref": "paper", "x0": 0, "x1": 1, "y0": row - 0.5, "y1": row + 0.5} for row in rows[:1]]
    if len(rows) == 2:
        both = ((rows[0], rows[1]), (rows[1], rows[0]))
        frames += [{"x0": x - 0.5, "x1": x + 0.5, "y0": y - 0.5, "y1": y + 0.5} for y, x in both]
    return [{"type": "rect", "line": line} | frame for frame in frames]


def _heat_map() -> go.Figure:
    bar = {"title": {"text": "no unit", "side": "right"}, "thickness": 12}
    figure = go.Figure(go.Heatmap(colorscale=SIGNED_SCALE, colorbar=bar, hoverongaps=False))
    axis = {"showgrid": False, "ticks": "", "type": "category"}
    figure.update_xaxes(title_text="sender (who is listened to)", **axis)
    figure.update_yaxes(title_text="receiver (who listens)", autorange="reversed", **axis)
    return styled(figure, " ", height=_HEIGHT).update_layout(margin={"l": 80, "r": 20, "t": 60, "b": 60})
