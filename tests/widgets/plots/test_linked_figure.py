"""Figures that talk with Python: small on the wire, up to date for every page, streamed at a bounded rate."""

from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest
from plot_page import dragged
from plotly.basewidget import BaseFigureWidget
from so3lab_widgets.packed_script import PackedScript
from so3lab_widgets.plots import linked_figure
from so3lab_widgets.plots.linked_figure import LinkedFigure
from so3lab_widgets.theme import TEMPLATE


@pytest.fixture
def figure():
    made = LinkedFigure([go.Scatter(x=[0.0, 1.0], y=[2.0, 3.0], name="here"), go.Scatter(name="there")])
    yield made
    made.close()


@pytest.fixture
def sent(figure, monkeypatch):
    """What of the traces goes to the page with each update."""
    updates: list[dict] = []
    monkeypatch.setattr(figure, "_send_update_msg", lambda restyle_data, **others: updates.append(restyle_data))
    return updates


def size(widget) -> int:
    """Bytes of a widget's text on the way to the page."""
    return sum(len(value) for value in widget.get_state().values() if isinstance(value, str | bytes | memoryview))


def source_of(figure: LinkedFigure) -> str:
    """Where a page finds Plotly for a figure."""
    return figure.get_state("_source")["_source"]


def test_a_figure_is_a_plotly_widget_of_few_kilobytes(figure):
    assert isinstance(figure, go.FigureWidget)
    assert size(figure) < 16_000
    assert size(go.FigureWidget()) > 4_000_000


def test_all_figures_share_one_source(figure):
    other = LinkedFigure()
    assert source_of(other) == source_of(figure)
    held = {one.model_id: one for one in PackedScript._held.values()}
    assert 500_000 < size(held[source_of(other)]) < 2_000_000


def test_the_loader_knows_every_order_that_plotly_sends():
    names = {name for name in BaseFigureWidget.class_trait_names() if name.startswith("_py2js_")}
    assert names == {f"_py2js_{word}" for word in names_in_loader()}


def names_in_loader() -> list[str]:
    loader = Path(linked_figure.__file__).with_name("linked.js").read_text("utf-8")
    listed = loader.split("ORDERS = [")[1].split("]")[0]
    return [word.strip(' "\n') for word in listed.split(",") if word.strip()]


def test_a_page_that_comes_later_gets_the_figure_as_it_is(figure):
    figure.stream([0.0, 1.0, 2.0], {"there": [5.0, 6.0, 7.0]})
    figure.update_layout(title_text="changed")
    state = figure.get_state()
    there = state["_widget_data"][1]
    assert np.frombuffer(there["y"]["buffer"], there["y"]["dtype"]).tolist() == [5.0, 6.0, 7.0]
    assert state["_widget_layout"]["title"]["text"] == "changed"


def test_traces_get_the_house_style_and_figures_keep_theirs(figure):
    assert figure.layout.template == TEMPLATE
    assert LinkedFigure(go.Figure(layout={"template": "plotly_dark"})).layout.template != TEMPLATE
    assert LinkedFigure(go.Scatter(), {"title": "mine"}).layout.title.text == "mine"


def test_streaming_sends_little_and_seldom(figure, sent):
    x = np.linspace(0.0, 1.0, 1000)
    assert figure.stream(x, {"here": x, "there": x})
    assert not figure.stream(x, {"here": x + 1})
    assert figure.stream(x, {"here": x + 2}, every_seconds=0)
    assert figure.stream(x, {"here": x + 3}, last=True)
    first, second, third = sent
    assert set(first) == {"x", "y"}
    assert set(second) == set(third) == {"y"}
    assert all(values.dtype == np.float32 for update in sent for values in update["y"])


def test_curves_that_cannot_be_drawn_are_refused(figure):
    with pytest.raises(ValueError, match=r"must name traces of the figure \(here, there\), got 'nowhere'"):
        figure.stream([0.0], {"nowhere": [1.0]})
    with pytest.raises(ValueError, match="'here' must have one value per x, got 2 for 1"):
        figure.stream([0.0], {"here": [1.0, 2.0]})


def test_what_somebody_dragged_over_is_part_of_a_figure_that_can_be_copied(figure):
    dragged(figure, 0.2, 0.8)
    copied = go.Figure(figure).layout.selections[0]
    assert (copied.x0, copied.x1, copied.opacity) == (0.2, 0.8, None)
