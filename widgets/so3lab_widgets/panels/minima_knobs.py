"""What acts on minima that are there: a temperature, a training set, and what begins with one of them."""

from collections.abc import Callable

import ipywidgets as ipw

from so3lab_widgets.panels.job_bar import button
from so3lab_widgets.panels.system_form import field

COLDEST_K, HOTTEST_K = 50.0, 1500.0
COLDEST, HOTTEST = 0.01, 1.0
"""In units of ε/k."""


class MinimaKnobs(ipw.HBox):
    """Buttons and fields of a minima panel.

    Args:
        reduced: Whether temperatures are in units of ε/k.
        temperature_K: To begin with.
        on_open: Called when somebody opens the database in its field.
        on_use: Called when somebody wants other panels to begin with the minimum that is looked at.

    Attributes:
        temperature: The slider, whose limits are ``limits``.
        training: Field for the name or file of a training set.
    """

    def __init__(self, *, reduced: bool, temperature_K: float, on_open: Callable[[], None], on_use: Callable[[], None]):
        self.limits = (COLDEST, HOTTEST) if reduced else (COLDEST_K, HOTTEST_K)
        low, high = self.limits
        self.open_button = button("Open", "folder-open", "show what the database in the field holds", on_open)
        self.temperature = ipw.FloatSlider(
            0.1 if reduced else temperature_K, min=low, max=high, step=0.005 if reduced else 1.0,
            description=f"Temperature ({'ε/k' if reduced else 'K'})", readout_format=".3f" if reduced else ".0f",
            layout=ipw.Layout(width="400px"), style={"description_width": "110px"},
        )  # fmt: skip
        self.training = field(ipw.Text, "Trained on", 250, 72, placeholder="data set, such as ala2",
                              continuous_update=False, tooltip="how far each minimum lies beyond this set")  # fmt: skip
        self.use_button = button(
            "Use this minimum", "share", "dynamics and other panels of the session begin with it", on_use
        )
        super().__init__(
            [self.open_button, self.temperature, self.training, self.use_button],
            layout=ipw.Layout(flex_flow="row wrap", align_items="center"),
        )
