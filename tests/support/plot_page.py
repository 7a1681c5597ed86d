"""What a browser sends to a figure when somebody points, clicks or drags, for tests without a browser."""

from typing import Any


def from_page(
    figure: Any, kind: str, trace: int, xs: list[float], box: dict | None = None, points: list[int] | None = None
) -> None:
    """Let something happen to a figure as if a page had told it.

    Args:
        figure: A Plotly widget.
        kind: ``"hover"``, ``"click"`` or ``"selected"``.
        trace: Number of the trace.
        xs: Places of the points on the x axis.
        box: Ranges that were dragged over.
        points: Numbers of the points; the first one unless given.
    """
    figure._js2py_pointsCallback = {
        "event_type": f"plotly_{kind}",
        "points": {"trace_indexes": [trace] * len(xs), "point_indexes": points or [0] * len(xs), "xs": xs, "ys": xs},
        "selector": None if box is None else {"type": "box", "selector_state": box},
    }


def dragged(figure: Any, start: float, end: float, y: tuple[float, float] = (0, 1)) -> None:
    """Let somebody drag over a figure, as Plotly 3.7 tells it: with properties that are not defined.

    Args:
        figure: A Plotly widget.
        start, end: Where on the x axis.
        y: Where on the y axis.
    """
    box = {
        "xref": "x",
        "yref": "y",
        "opacity": "_undefined_",
        "type": "rect",
        "x0": start,
        "x1": end,
        "y0": y[0],
        "y1": y[1],
    }
    told = {"relayout_data": {"selections": [box]}, "source_view_id": "page"}
    figure.set_state({"_js2py_relayout": told})
    from_page(figure, "selected", 0, [], {"xrange": [start, end], "yrange": [*y]})
