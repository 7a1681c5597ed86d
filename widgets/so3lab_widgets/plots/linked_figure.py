"""How a figure of a panel talks with Python, clicks up and curves down, without five megabytes for each figure."""

import threading
import time
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import plotly
import plotly.graph_objects as go
import traitlets
from plotly.basedatatypes import Undefined
from plotly.serializers import custom_serializers

from so3lab_widgets.packed_script import PackedScript, with_libraries
from so3lab_widgets.plots.quick_import import plotly_widgets
from so3lab_widgets.theme import TEMPLATE
from so3lab_widgets.viewer.static_preview import SnapshotMixin

_BUNDLE = Path(str(plotly_widgets().__file__)).with_name("package_data") / "widgetbundle.js"
_LOADER = resources.files("so3lab_widgets") / "plots" / "linked.js"
_LIBRARY = f"plotly {plotly.__version__}"


def _defined(value: Any) -> Any:
    """What a page says of a layout, without properties that it knows nothing of: no figure could be made of those."""
    if isinstance(value, dict):
        return {name: _defined(one) for name, one in value.items() if one is not Undefined}
    return [_defined(one) for one in value] if isinstance(value, list) else value


class LinkedFigure(SnapshotMixin, go.FigureWidget):
    """A ``plotly.graph_objects.FigureWidget`` that a page gets for a few kilobytes.

    Plotly's own widget brings five megabytes of JavaScript each time; here the kernel sends them once and all
    figures share them. ``on_click``, ``on_hover``, ``on_selection``, ``on_change`` and ``batch_update`` work as ever,
    and a page that is loaded again shows the figure as it is now. Unlike in Plotly's widget, defaults that the
    browser chose, such as ranges of axes, do not come back to Python, and nothing is ever uploaded.

    Args:
        data: A figure, or traces; traces get the house style.
        layout: Settings of the layout, for traces.

    Traits: ``cursor``, where a vertical line stands on the x axis, ``cursor_follows``, whether that line goes with the
    pointer from point to point, at once and without Python, and ``marks``, rings around points of the first pair
    of axes, each ``[x, y, "current"]`` or ``[x, y, "selected"]``; moving these costs a page next to nothing.
    ``draw_ms``, how long a page was busy with the newest change of the figure, and ``in_sight``, whether the last page
    to say so has it within its window, as all have that nobody has spoken of. Selections of a trace whose ``meta`` is
    ``"range"`` tell the range alone, without its points.
    """

    _esm = with_libraries(_LOADER.read_text("utf-8"))

    cursor = traitlets.Float(None, allow_none=True).tag(sync=True)
    cursor_follows = traitlets.Bool(False).tag(sync=True)
    marks = traitlets.List(traitlets.List()).tag(sync=True)
    draw_ms = traitlets.Float(0.0).tag(sync=True)
    in_sight = traitlets.Bool(True).tag(sync=True)
    _source = traitlets.Unicode().tag(sync=True)
    _library = traitlets.Unicode(_LIBRARY).tag(sync=True)

    def __init__(self, data: Any = None, layout: Any = None, **options: Any):
        self._edits = threading.RLock()
        self._streamed_at = -float("inf")
        if not isinstance(data, go.Figure):
            data = go.Figure(data, layout if isinstance(layout, go.Layout) else {"template": TEMPLATE} | (layout or {}))
            layout = None
        super().__init__(data, layout, **options)
        self._view_count = None  # a page that counts views reports to a figure that was just closed, and fails
        self._config = {
            "responsive": True,
            "displaylogo": False,
            "showSendToCloud": False,
            "modeBarButtonsToRemove": ["lasso2d"],
        }

    @traitlets.default("_source")
    def _source_of_this_kernel(self) -> str:
        return PackedScript.of(_LIBRARY, _BUNDLE.read_bytes).model_id

    @property
    def edits(self) -> threading.RLock:
        """Lock to hold while the figure is changed, where several threads do."""
        return self._edits

    def get_state(self, key: Any = None, drop_defaults: bool = False) -> dict[str, Any]:
        """What a page gets: traces and layout as they are now, not as they were when the figure was made."""
        state = super().get_state(key, drop_defaults)
        for name, now in (("_widget_data", "_data"), ("_widget_layout", "_layout")):
            if name in state and hasattr(self, now):
                state[name] = custom_serializers["to_json"](getattr(self, now), self)
        return state

    def plotly_relayout(self, relayout_data: dict[str, Any], **others: Any) -> None:
        """Change the layout, as Plotly's own does, by what is defined of these settings."""
        super().plotly_relayout(_defined(relayout_data), **others)

    def stream(
        self,
        x: Any,
        curves: Mapping[str, Any],
        *,
        every_seconds: float = 0.5,
        last: bool = False,
    ) -> bool:
        """Draw the newest values of some traces, unless the last drawing was a moment ago; any thread may call.

        Values travel as float32, so take a large offset off energies first. What did not change is not sent again.

        Args:
            x: Where the values are, the same for all curves.
            curves: Values by name of the trace.
            every_seconds: Shortest time between two drawings.
            last: Whether to draw in any case, at the end of a run.

        Returns:
            Whether the values were drawn.

        Raises:
            ValueError: If no trace has such a name, or a curve has not as many values as ``x``.
        """
        place = np.asarray(x, np.float32)
        values = {name: np.asarray(curve, np.float32) for name, curve in curves.items()}
        traces = {trace.name: trace for trace in self.data}
        for name, curve in values.items():
            if name not in traces:
                raise ValueError(f"curves must name traces of the figure ({', '.join(map(str, traces))}), got {name!r}")
            if curve.shape != place.shape:
                raise ValueError(f"curve {name!r} must have one value per x, got {len(curve)} for {len(place)}")
        with self._edits:
            if not last and time.monotonic() - self._streamed_at < every_seconds:
                return False
            with self.batch_update():
                for name, curve in values.items():
                    traces[name].x, traces[name].y = place, curve
            self._streamed_at = time.monotonic()
        return True
