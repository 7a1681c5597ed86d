"""A panel belongs to the run of a cell that made it, and whoever is closed leaves nothing."""

import ipywidgets as ipw
import pytest
from running_panel import open_widgets
from so3lab_widgets.panels import panel as panels
from so3lab_widgets.panels.panel import Panel, close_all
from so3lab_widgets.running.cell import CellRun


class Small(Panel):
    def __init__(self) -> None:
        self._take_place("small")
        super().__init__([ipw.HBox([ipw.Button(description="a"), ipw.FloatSlider()])])

    @property
    def name(self) -> str:
        return self._name


@pytest.fixture
def in_cell(monkeypatch):
    """Makes a panel as a run of a cell would."""

    def made(cell: str | None, run: str = "") -> Small:
        monkeypatch.setattr(panels, "running_cell", lambda: CellRun(cell, run) if cell else None)
        return Small()

    return made


def test_closing_takes_children_layouts_and_styles_away():
    widgets = open_widgets()
    for make in (Small, lambda: ipw.VBox([ipw.Text(), ipw.HBox([ipw.Dropdown()])])):
        made = make()
        assert open_widgets() > widgets
        close_all(made)
        assert open_widgets() == widgets


def test_only_the_same_cell_run_again_replaces_a_panel_which_says_by_what(in_cell):
    widgets = open_widgets()
    first, beside, elsewhere = in_cell("a", "run 1"), in_cell("a", "run 1"), in_cell("b", "run 2")
    assert not any(panel.ended for panel in (first, beside, elsewhere)), "two of one run, and another cell"
    again = in_cell("a", "run 3")
    assert first.comm is None
    assert beside.comm is None
    assert again.name in first.ended
    assert "cell ran again" in first.ended
    assert not elsewhere.ended
    first.close()  # again, when it is collected
    assert again.name in first.ended
    close_all(again, elsewhere)
    assert open_widgets() == widgets


def test_outside_of_cells_panels_stand_beside_each_other(in_cell):
    made = [in_cell(None), in_cell("a", "run 1"), in_cell(None)]
    assert not any(panel.ended for panel in made)
    assert len({panel.name for panel in made}) == 3
    close_all(*made)


def test_a_panel_that_has_ended_says_so_instead_of_an_empty_box(monkeypatch):
    shown = []
    monkeypatch.setattr(panels, "display", lambda data, raw: shown.append(data["text/plain"]))
    panel = Small()
    panel.close()
    panel._ipython_display_()
    assert shown == ["This panel was closed."]


def test_what_stands_where_no_widget_can_is_a_sentence():
    panel = Small()
    assert repr(panel) == "Small: it lives while its kernel runs; run this cell to see it."
    panel.close()
    assert repr(panel) == "Small: This panel was closed."


def test_marimo_which_draws_no_panels_is_told_where_they_can_be_seen():
    panel = Small()
    kind, words = panel._mime_()
    assert kind == "text/html"
    assert words.startswith("<p>Small has sliders")
    assert "JupyterLab, Notebook 7 or Voilà" in words
    panel.close()
