"""Pairs of atoms as points: weight against distance, or attention against what follows when an atom moves."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from so3lab_widgets.plots.linked_figure import LinkedFigure
from so3lab_widgets.theme import BLUE, ORANGE, VERMILLION, styled

_HEIGHT = 460


class PairScatter:
    """Points that are ordered pairs of atoms; pointing at one picks it, and picked ones have a ring.

    Args:
        on_pair: Called with the two atoms of a point, the listener first, and ``"click"`` or ``"hover"``.

    Attributes:
        figure: What is shown.
        pairs: The atoms of each point, listener and speaker.
    """

    def __init__(self, on_pair: Callable[[list[int], str], None]):
        self._on_pair = on_pair
        self.pairs = np.zeros((0, 2), int)
        self._picked: tuple[int, ...] = ()
        points = go.Scattergl(mode="markers", marker={"size": 6, "opacity": 0.7})
        ring = {"size": 14, "color": "rgba(0,0,0,0)", "line": {"color": ORANGE, "width": 2.5}}
        rings = go.Scattergl(mode="markers", marker=ring, hoverinfo="skip")
        figure = styled(go.Figure([points, rings]), " ", height=_HEIGHT)
        self.figure = LinkedFigure(figure.update_layout(showlegend=False, margin={"l": 80, "r": 20, "t": 60, "b": 60}))
        self.figure.data[0].on_click(self._pointed("click"))
        self.figure.data[0].on_hover(self._pointed("hover"))

    def draw_points(
        self,
        pairs: np.ndarray,
        x: np.ndarray,
        y: np.ndarray,
        names: Sequence[str],
        *,
        titles: tuple[str, str],
        heading: tuple[str, str] = ("", ""),
        logarithmic: bool = False,
    ) -> None:
        """Show these points.

        Args:
            pairs: Listener and speaker of each.
            x, y: Where they are.
            names: Of the atoms.
            titles: Of the axes, with units.
            heading: Title and subtitle.
            logarithmic: Whether both axes are; then only positive numbers are drawn.
        """
        if logarithmic:
            kept = (x > 0) & (y > 0)
            pairs, x, y = pairs[kept], x[kept], y[kept]
        self.pairs = np.asarray(pairs, int).reshape(-1, 2)
        figure, kind = self.figure, {"type": "log", "dtick": 1} if logarithmic else {"type": "linear", "dtick": None}
        words = [f"{names[one]} listens to {names[other]}" for one, other in self.pairs]
        with figure.edits, figure.batch_update():
            points = figure.data[0]
            points.x, points.y, points.text = x.astype(np.float32), y.astype(np.float32), words
            points.marker.color = np.where(y < 0, VERMILLION, BLUE).tolist()
            points.hovertemplate = f"%{{text}}<br>{titles[0]}: %{{x:.4g}}<br>{titles[1]}: %{{y:.4g}}<extra></extra>"
            figure.layout.xaxis.update(title={"text": titles[0]}, **kind)
            figure.layout.yaxis.update(title={"text": titles[1]}, **kind)
            figure.layout.title.text, figure.layout.title.subtitle.text = heading
        self.mark(self._picked)

    def mark(self, picked: Sequence[int]) -> None:
        """Put rings around the points of a picked atom, as listener and as speaker, or of a picked pair."""
        self._picked = tuple(picked)
        chosen = set(self._picked)
        rows: np.ndarray
        if not chosen:
            rows = np.zeros(0, int)
        elif len(chosen) == 1:
            rows = np.flatnonzero((self.pairs == self._picked[0]).any(axis=1))
        else:
            rows = np.flatnonzero([set(pair) <= chosen for pair in self.pairs.tolist()])
        figure = self.figure
        with figure.edits, figure.batch_update():
            points, rings = figure.data
            rings.x = np.asarray(points.x if points.x is not None else [])[rows]
            rings.y = np.asarray(points.y if points.y is not None else [])[rows]

    def picture(self) -> go.Figure:
        """The same as a plain figure."""
        return go.Figure(self.figure)

    def close(self) -> None:
        """Take the figure away."""
        self.figure.close()

    def _pointed(self, how: str) -> Callable[..., None]:
        def report(trace: Any, points: Any, state: Any) -> None:
            if points.point_inds and points.point_inds[0] < len(self.pairs):
                self._on_pair(self.pairs[points.point_inds[0]].tolist(), how)

        return report
