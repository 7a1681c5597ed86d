"""Of panels of a name one is open, and whoever is closed leaves nothing."""

import ipywidgets as ipw
from running_panel import open_widgets
from so3lab_widgets.panels.panel import Panel, close_all


class Small(Panel):
    def __init__(self, name: str = "small"):
        self._take_name(name)
        super().__init__([ipw.HBox([ipw.Button(description="a"), ipw.FloatSlider()])])


def test_closing_takes_children_layouts_and_styles_away():
    widgets = open_widgets()
    for make in (Small, lambda: ipw.VBox([ipw.Text(), ipw.HBox([ipw.Dropdown()])])):
        made = make()
        assert open_widgets() > widgets
        close_all(made)
        assert open_widgets() == widgets


def test_a_panel_of_the_same_name_replaces_the_one_before_and_others_stay():
    widgets = open_widgets()
    first, other = Small(), Small("other")
    second = Small()
    assert first.comm is None
    assert other.comm is not None
    first.close()  # again, when it is collected
    third = Small()
    assert second.comm is None, "what was closed twice has not set the name free"
    close_all(other, third)
    assert open_widgets() == widgets
