"""How a run looks over time, linked to its frames: point at a curve to get a frame, drag over it to choose some."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from so3lab_widgets.plots.downsampling import strided, thinned
from so3lab_widgets.plots.linked_figure import LinkedFigure
from so3lab_widgets.theme import BLUE, ORANGE, label, styled

_HEIGHT = 480
_LOWEST_ROW = 105
_LONGEST_TITLE = 18
_GAP = 0.06
_MARGINS = {"l": 78, "r": 26, "t": 12, "b": 48}
_FEW, _DOT_FEW, _DOT_MANY = 300, 5, 3
"""Angles are drawn as dots, larger ones where they are so few that they would be overlooked."""
_LARGE_OFFSET = 20.0
"""An energy this many times further from zero than its curve is high is drawn relative to its first value."""
_BAND = "rgba(230, 159, 0, 0.20)"
_NO_OUTLINE = {"line": {"color": "rgba(0,0,0,0)"}}


@dataclass(frozen=True)
class Series:
    """A number per frame."""

    column: str
    """Name that ends in its unit, as in a table."""
    values: np.ndarray
    colour: str = BLUE
    circular: bool = False
    """Whether these are degrees from -180 to 180, drawn as dots."""

    @property
    def words(self) -> str:
        """What it is."""
        return label(self.column).partition(" (")[0]

    @property
    def unit(self) -> str:
        """Its unit."""
        return label(self.column).partition(" (")[2].removesuffix(")")

    @property
    def offset(self) -> float:
        """What is taken off before drawing, so that ticks and single precision resolve the curve."""
        finite = self.values[np.isfinite(self.values)]
        if self.unit != "eV" or not len(finite) or abs(finite[0]) < _LARGE_OFFSET * max(np.ptp(finite), 1e-9):
            return 0.0
        return float(finite[0])

    @property
    def title(self) -> str:
        """What stands at the axis; Δ is the change since the first frame."""
        words = f"Δ {self.words}" if self.offset else self.words
        if len(words) <= _LONGEST_TITLE:
            return f"{words}<br>({self.unit})"
        kind, _, rest = words.partition(" ")
        return f"{kind} ({self.unit})<br>{rest}"

    def text(self, frame: int) -> str:
        """Name, value and unit at a frame, with digits that tell frames apart."""
        finite = self.values[np.isfinite(self.values)]
        spread = float(np.ptp(finite)) if len(finite) else 0.0
        decimals = int(np.clip(2 - np.floor(np.log10(spread)), 0, 6)) if spread > 0 else 3
        value = f"{self.values[frame]:,.{decimals}f}".replace("-", "−")
        return f"{self.words} {value}{'' if self.unit in ('', '°') else ' '}{self.unit}"

    def drawn(self, times: np.ndarray, first: int, stop: int) -> dict[str, np.ndarray]:
        """Points of the curve between two frames: few, and true ones."""
        chosen = strided(first, stop) if self.circular else thinned(self.values, first, stop)
        return {"x": times[chosen], "y": (self.values[chosen] - self.offset).astype(np.float32)}


class FramePlot:
    """Curves over one time axis, a line at the shown frame, a band over the chosen ones.

    Curves of many frames are thinned to what a screen shows, and drawn anew from all frames when somebody zooms.

    Args:
        times_ps: Time of each frame; where they do not increase, the axis counts frames instead.
        on_frame: Called with the frame that somebody points at or clicks, and ``"hover"`` or ``"click"``.
        on_choice: Called with the first frame and the one behind the last of those that somebody drags over.

    Attributes:
        figure: What is shown.
        series: What is drawn, from top to bottom, by name.
        times: Where each frame is on the axis, in ``unit``.
        unit: ``"ps"``, or nothing where the axis counts frames.
    """

    def __init__(
        self,
        times_ps: np.ndarray,
        on_frame: Callable[[int, str], None],
        on_choice: Callable[[int, int], None],
    ):
        increasing = len(times_ps) < 2 or bool(np.all(np.diff(times_ps) > 0))
        self.times = np.asarray(times_ps, float) if increasing else np.arange(len(times_ps), dtype=float)
        self.unit = "ps" if increasing else ""
        self._on_frame, self._on_choice = on_frame, on_choice
        self._sight = (-np.inf, np.inf)
        self.series: dict[str, Series] = {}
        self.figure = LinkedFigure(styled(go.Figure(layout=self._start_layout()), height=_HEIGHT))
        self.figure.layout.margin = _MARGINS
        self.figure.layout.on_change(lambda layout, limits: self._on_sight(limits), "xaxis.range")
        self.figure.layout.on_change(lambda layout, automatic: self._on_automatic(automatic), "xaxis.autorange")

    def draw(self, series: dict[str, Series]) -> None:
        """Show these series, one below the other."""
        self.series = dict(series)
        first, stop = self._visible()
        figure, rows = self.figure, max(1, len(series))
        share = (1 - _GAP * (rows - 1)) / rows
        axes, traces = {}, []
        for row, (name, one) in enumerate(series.items()):
            top = 1 - row * (share + _GAP)
            axes[_axis_name("yaxis", row)] = self._axis(one, (max(0.0, top - share), top))
            traces.append(self._trace(name, one, _axis_name("y", row), first, stop))
        with figure.edits:
            figure.data = ()
            with figure.batch_update():
                figure.layout.height = max(_HEIGHT, 70 + _LOWEST_ROW * rows)
                for name, axis in axes.items():
                    figure.layout[name] = axis
            figure.add_traces(traces)
            for trace in figure.data:
                trace.on_click(self._pointed("click"))
                trace.on_hover(self._pointed("hover"))
                trace.on_selection(self._dragged)

    def show_frame(self, frame: int) -> None:
        """Move the line."""
        self.figure.cursor = float(self.times[frame])

    def picture(self) -> go.Figure:
        """The same as a plain figure."""
        plain, at = go.Figure(self.figure), self.figure.cursor
        if at is not None:
            plain.add_shape(type="line", yref="paper", y0=0, y1=1, x0=at, x1=at, line={"color": ORANGE, "width": 2})
        return plain

    def choose(self, first: int, stop: int) -> None:
        """Lay the band over the frames from ``first`` to before ``stop``; over none when they are equal."""
        edges = self.times[[first, stop - 1]] if stop > first else (0.0, 0.0)
        self._relayout(
            {
                "shapes[0].x0": float(edges[0]),
                "shapes[0].x1": float(edges[1]),
                "shapes[0].visible": stop > first,
            }
        )

    def zoom(self, first: int, stop: int) -> None:
        """Show the time from one frame to before another only."""
        if stop - first > 1:
            self._relayout({"xaxis.range": self.times[[first, stop - 1]].tolist()})

    def _on_automatic(self, automatic: bool) -> None:
        if automatic:
            self.zoom_out()

    def zoom_out(self) -> None:
        """Show the whole run."""
        self.zoom(0, len(self.times))

    def close(self) -> None:
        """Take the plot away."""
        self.figure.close()

    def _start_layout(self) -> dict[str, Any]:
        start, end = map(float, self.times[[0, -1]])
        axis: dict[str, Any] = {
            "title": {"text": "time (ps)" if self.unit else "frame"},
            "anchor": "free",
            "position": 0,
        }
        if end > start:  # with an automatic range Plotly would work out all curves anew for the band
            axis |= {"range": [start, end], "minallowed": start, "maxallowed": end}
        return {
            "showlegend": False, "hovermode": "x", "hoverdistance": -1, "dragmode": "select", "selectdirection": "h",
            "newselection": _NO_OUTLINE, "xaxis": axis,
            "shapes": [{
                "type": "rect", "fillcolor": _BAND, "line": {"width": 0}, "layer": "below", "visible": False,
                "yref": "paper", "y0": 0, "y1": 1, "x0": start, "x1": start,
            }],
        }  # fmt: skip

    def _axis(self, one: Series, domain: tuple[float, float]) -> dict[str, Any]:
        axis: dict[str, Any] = {
            "domain": domain,
            "title": {"text": one.title, "font": {"size": 11.5}},
            "nticks": 5,
        }
        if one.circular:
            axis |= {"range": [-190, 190], "tickvals": [-180, -90, 0, 90, 180]}
        return axis

    def _trace(self, name: str, one: Series, axis: str, first: int, stop: int) -> go.Scatter:
        dots = {"size": _DOT_FEW if stop - first < _FEW else _DOT_MANY, "color": one.colour}
        looks = (
            {"mode": "markers", "marker": dots}
            if one.circular
            else {"mode": "lines", "line": {"color": one.colour, "width": 1.2}}
        )
        change = "Δ " if one.offset else ""
        return go.Scatter(
            name=name,
            yaxis=axis,
            xaxis="x",
            **looks,
            **one.drawn(self.times, first, stop),
            hovertemplate=f"%{{x:.7~g}} {self.unit}<br>{change}%{{y:.5~g}} {one.unit}<extra></extra>",
        )

    def _frame_at(self, time: float) -> int:
        """The frame whose time is nearest."""
        behind = int(np.clip(np.searchsorted(self.times, time), 1, max(1, len(self.times) - 1)))
        before = behind - 1
        if behind >= len(self.times) or time - self.times[before] < self.times[behind] - time:
            return before
        return behind

    def _visible(self) -> tuple[int, int]:
        """First frame in sight, and the one behind the last; two more at the edges, where curves run out of sight."""
        low, high = self._sight
        first, stop = np.searchsorted(self.times, low, "left"), np.searchsorted(self.times, high, "right")
        return max(0, int(first) - 1), min(len(self.times), int(stop) + 1)

    def _on_sight(self, limits: Any) -> None:
        """Somebody has zoomed."""
        self._sight = (min(map(float, limits)), max(map(float, limits)))
        first, stop = self._visible()
        with self.figure.edits, self.figure.batch_update():
            for trace, one in zip(self.figure.data, self.series.values(), strict=True):
                points = one.drawn(self.times, first, stop)
                trace.x, trace.y = points["x"], points["y"]

    def _pointed(self, how: str) -> Callable[..., None]:
        def report(trace: Any, points: Any, state: Any) -> None:
            if points.xs:
                self._on_frame(self._frame_at(float(points.xs[0])), how)

        return report

    def _dragged(self, trace: Any, points: Any, selector: Any) -> None:
        """Each trace reports the same box."""
        if selector is None or trace is not self.figure.data[0]:
            return
        low, high = sorted(map(float, selector.xrange))
        first = int(np.searchsorted(self.times, low, "left"))
        stop = int(np.searchsorted(self.times, high, "right"))
        if stop > first:
            self._on_choice(first, stop)

    def _relayout(self, changes: dict[str, Any]) -> None:
        with self.figure.edits:
            self.figure.plotly_relayout(changes)


def _axis_name(kind: str, row: int) -> str:
    """Plotly's name of an axis: the first one has no number."""
    return f"{kind}{row + 1}" if row else kind
