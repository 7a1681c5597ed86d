"""The past of a live simulation as a slider, and buttons that go on from where it stands."""

from collections.abc import Callable

import ipywidgets as ipw

from so3lab_widgets.panels.job_bar import button


class HistorySlider(ipw.HBox):
    """A slider over what is remembered; only while nothing runs.

    Args:
        on_look: Called with a share of the past, 0 to 1, when somebody moves the slider.
        on_again: Called with the share where it stands: go on from there, as it went then.
        on_anew: The same with new velocities.
    """

    def __init__(
        self,
        on_look: Callable[[float], None],
        on_again: Callable[[float], None],
        on_anew: Callable[[float], None],
    ):
        self._on_look, self._stands_at = on_look, 1.0
        self.slider = ipw.FloatSlider(  # of constant range: pages answer a change of it with a value of their own
            1.0,
            min=0.0,
            max=1.0,
            step=0.001,
            readout=False,
            description="Past",
            layout=ipw.Layout(flex="1 1 300px"),
            style={"description_width": "40px"},
        )
        self.words = ipw.Label(layout=ipw.Layout(min_width="220px"))
        self.again_button = button(
            "Go on from here",
            "play",
            "as it went then; later frames are forgotten",
            lambda: on_again(self.slider.value),
        )
        self.anew_button = button(
            "New velocities", "refresh", "another future from this frame", lambda: on_anew(self.slider.value)
        )
        self.slider.observe(self._on_slider, "value")
        super().__init__(
            [self.slider, self.words, ipw.HBox([self.again_button, self.anew_button])],
            layout=ipw.Layout(display="none", flex_flow="row wrap", align_items="center"),
        )

    def reset(self, running: bool) -> None:
        """Stand at the present; while the run goes on nobody may move the slider or go on from elsewhere."""
        self.slider.disabled = self.again_button.disabled = running
        self._stands_at = self.slider.value = 1.0
        self.words.value = ""

    def show_position(self, frame: int, frames: int, time_ps: float) -> None:
        """Say which frame is shown; the slider comes along, unless it is somebody's who has moved it there."""
        share = frame / max(frames - 1, 1)
        if round(self.slider.value * (frames - 1)) != frame:
            self._stands_at = self.slider.value = share
        self.words.value = f"frame {frame:,} of {frames - 1:,}, {time_ps:.3f} ps"

    def _on_slider(self, change: dict) -> None:
        if change["new"] != self._stands_at and not self.slider.disabled:
            self._stands_at = change["new"]
            self._on_look(change["new"])
