"""What a browser sends to a figure when somebody points, clicks or drags, for tests without a browser."""

from typing import Any


def from_page(figure: Any, kind: str, trace: int, xs: list[float], box: dict | None = None) -> None:
    """Let something happen to a figure as if a page had told it.

    Args:
        figure: A Plotly widget.
        kind: ``"hover"``, ``"click"`` or ``"selected"``.
        trace: Number of the trace.
        xs: Places of the points on the x axis.
        box: Ranges that were dragged over.
    """
    figure._js2py_pointsCallback = {
        "event_type": f"plotly_{kind}",
        "points": {"trace_indexes": [trace] * len(xs), "point_indexes": [0] * len(xs), "xs": xs, "ys": xs},
        "selector": None if box is None else {"type": "box", "selector_state": box},
    }
