"""A live figure draws now and then while rows arrive, and the last row in any case."""

import pandas as pd
import plotly.graph_objects as go
import pytest
from so3lab_widgets import LiveFigure
from so3lab_widgets.plots import live_figure


@pytest.fixture
def drawn(monkeypatch):
    """Lengths of the tables that were drawn."""
    lengths: list[int] = []
    monkeypatch.setattr(live_figure, "clear_output", lambda wait: None)
    monkeypatch.setattr(live_figure, "display", lambda figure: lengths.append(len(figure.data[0].y)))
    return lengths


def draw(table: pd.DataFrame) -> go.Figure:
    return go.Figure(go.Scatter(y=table["y"]))


def test_the_last_row_is_drawn_even_when_rows_come_fast(drawn):
    with LiveFigure(draw, every_seconds=3600) as figure:
        for number in range(10):
            figure.add({"y": number})
    assert drawn == [1, 10]
    assert list(figure.table["y"]) == list(range(10))


def test_slow_rows_are_drawn_one_by_one(drawn):
    with LiveFigure(draw, every_seconds=0) as figure:
        for number in range(3):
            figure.add({"y": number})
    assert drawn == [1, 2, 3, 3]


def test_what_was_learned_is_drawn_when_the_loop_fails(drawn):
    def learn() -> None:
        with LiveFigure(draw, every_seconds=3600) as figure:
            figure.add({"y": 1})
            figure.add({"y": 2})
            raise FloatingPointError("the loss is not a number")

    with pytest.raises(FloatingPointError):
        learn()
    assert drawn == [1, 2]


def test_nothing_is_drawn_without_rows(drawn):
    with LiveFigure(draw):
        pass
    assert drawn == []


def test_negative_pause_is_refused():
    with pytest.raises(ValueError, match="every_seconds must not be negative"):
        LiveFigure(draw, every_seconds=-1)
