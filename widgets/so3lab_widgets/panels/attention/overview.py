"""All layers with all heads and degrees at a glance: a small matrix for each, which a click opens."""

from collections.abc import Callable
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from so3lab.attention import Channel, attention_matrix, channels, grouped_matrix
from so3lab.network.settings import ModelSettings
from so3lab_widgets.panels.attention.shown import Shown
from so3lab_widgets.plots.linked_figure import LinkedFigure
from so3lab_widgets.theme import SIGNED_SCALE, styled

MOST_ROWS = 60
"""A thumbnail has no more pixels: larger molecules are shown by heavy atoms with their hydrogens."""
_HEIGHT = 130


class Overview:
    """A thumbnail of the matrix of every head and degree in every layer; below each stands how far its colours go.

    Args:
        on_channel: Called with the channel that somebody has clicked.

    Attributes:
        figure: What is shown; None before something was drawn.
    """

    def __init__(self, on_channel: Callable[[Channel], None]):
        self._on_channel = on_channel
        self._settings: ModelSettings | None = None
        self.figure: LinkedFigure | None = None

    def draw(self, shown: Shown) -> None:
        """Show these."""
        settings = shown.inside.settings
        if self.figure is None or settings != self._settings:
            self.close()
            self._settings, self.figure = settings, LinkedFigure(_thumbnails(settings))
            for trace, channel in zip(self.figure.data, channels(settings), strict=True):
                trace.on_click(self._clicked(channel))
        matrices = [_small(shown, channel) for channel in channels(settings)]
        with self.figure.edits, self.figure.batch_update():
            for number, (trace, matrix) in enumerate(zip(self.figure.data, matrices, strict=True)):
                largest = float(np.abs(matrix).max(initial=0.0))
                trace.z = matrix / (largest or 1.0)
                self.figure.layout[f"xaxis{number + 1 if number else ''}"].title.text = f"±{largest:.2g}"
            self.figure.layout.coloraxis.colorbar.title.text = _bar_title(shown.compared)

    def picture(self) -> go.Figure:
        """The same as a plain figure."""
        return go.Figure(self.figure)

    def close(self) -> None:
        """Take the figure away."""
        if self.figure is not None:
            self.figure.close()

    def _clicked(self, channel: Channel) -> Callable[..., None]:
        def report(trace: Any, points: Any, state: Any) -> None:
            if points.point_inds:
                self._on_channel(channel)

        return report


def _small(shown: Shown, channel: Channel) -> np.ndarray:
    matrix = attention_matrix(shown.inside, channel)
    if shown.other is not None:
        matrix = attention_matrix(shown.other, channel) - matrix
    if len(matrix) > MOST_ROWS:
        matrix = grouped_matrix(matrix, shown.groups)
    return matrix.astype(np.float32)


def _thumbnails(settings: ModelSettings) -> go.Figure:
    members = channels(settings)
    columns = len(members) // settings.num_layers
    titles = [one.words.partition(", ")[2].replace(" ", "<br>") for one in members[:columns]]  # as narrow as columns
    figure = make_subplots(
        rows=settings.num_layers,
        cols=columns,
        column_titles=titles,
        row_titles=[f"layer {layer + 1}" for layer in range(settings.num_layers)],
        horizontal_spacing=0.012,
        vertical_spacing=0.11,
    )
    for number, one in enumerate(members):
        figure.add_heatmap(
            coloraxis="coloraxis",
            name=one.words,
            hovertemplate=f"{one.words}: click to open<extra></extra>",
            row=number // columns + 1,
            col=number % columns + 1,
        )
    figure.update_xaxes(showticklabels=False, ticks="", showgrid=False, showline=True, mirror=True)
    figure.update_xaxes(title={"text": " ", "font": {"size": 10.5}, "standoff": 2})
    figure.update_yaxes(
        showticklabels=False, ticks="", showgrid=False, showline=True, mirror=True, autorange="reversed"
    )
    styled(figure, height=90 + _HEIGHT * settings.num_layers)
    figure.update_annotations(font_size=11)
    bar = {"title": {"text": _bar_title(""), "side": "right"}, "thickness": 10}
    axis = {"colorscale": SIGNED_SCALE, "colorbar": bar, "cmin": -1, "cmax": 1}
    return figure.update_layout(coloraxis=axis, margin={"l": 16, "r": 30, "t": 44, "b": 24})


def _bar_title(compared: str) -> str:
    what = f"Δα, {compared}" if compared else "α"
    return f"{what}, share of each one's largest (±, no unit)"
