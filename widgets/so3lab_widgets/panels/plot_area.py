"""The curves and maps of a live simulation below its molecules, and which replica they are of."""

from collections.abc import Callable, Sequence

import ipywidgets as ipw
from ase import Atoms

from so3lab.dynamics.live import LiveDynamics
from so3lab_widgets.panels.live_plots import FASTEST_HZ, LivePlots
from so3lab_widgets.panels.panel import close_all
from so3lab_widgets.running.sender import LatestValueSender


class PlotArea(ipw.VBox):
    """Figures of one replica, drawn about twice a second in a thread of their own.

    Args:
        picked: Gives the atoms whose distance, angle or dihedral is drawn.
        on_draw: Called before each drawing; says whether this simulation is still the one to be drawn.
        on_replica: Called when somebody wants the curves of another replica.
        on_trouble: Told in a sentence what could not be drawn.

    Attributes:
        curves_of: The field that says which replica is meant.
        plots: The figures, None before there is a structure.
    """

    def __init__(
        self,
        *,
        picked: Callable[[], Sequence[int]],
        on_draw: Callable[[LiveDynamics], bool],
        on_replica: Callable[[], None],
        on_trouble: Callable[[str], None],
    ):
        self._picked, self._on_draw, self._on_trouble = picked, on_draw, on_trouble
        self.plots: LivePlots | None = None
        self.curves_of = ipw.Dropdown(
            options=[0],
            description="Curves, tables and frames of replica",
            layout=ipw.Layout(width="320px"),
            style={"description_width": "initial"},
        )
        self.curves_of.observe(lambda change: on_replica(), "value")
        self._head = ipw.HBox([self.curves_of], layout=ipw.Layout(display="none"))
        self._figures = ipw.HBox(layout=ipw.Layout(width="100%", flex_flow="row wrap"))
        self._updates = LatestValueSender(self._update, FASTEST_HZ, name="live plots")
        super().__init__([self._head, self._figures])

    @property
    def number(self) -> int:
        """The replica that is meant."""
        return self.curves_of.value or 0

    def set_structure(self, structure: Atoms, copies: int, thermostat: bool) -> None:
        """Empty figures for so many copies of a structure."""
        self.curves_of.options = list(range(copies))
        self._head.layout.display = "" if copies > 1 else "none"
        before = self._figures.children
        self.plots = LivePlots(structure, thermostat=thermostat)
        self._figures.children = tuple(
            ipw.VBox([figure], layout=ipw.Layout(flex=flex, min_width="0"))
            for figure, flex in ((self.plots.curves, "3 1 420px"), (self.plots.maps, "2 1 320px"))
        )
        close_all(*before)

    def update(self, live: LiveDynamics) -> None:
        """Draw the newest state when it is time; never waits."""
        self._updates.put((live,))

    def draw(self, live: LiveDynamics) -> None:
        """Draw the newest state now."""
        if self.plots is None or not self._on_draw(live):
            return
        if self.number < len(live.replicas):
            self.plots.update(live, self.number, tuple(self._picked()))
        self._updates.limit(self.plots.rate_hz)
        self._updates.report(1)

    def close(self) -> None:
        """Take the figures away; the thread ends."""
        self._updates.close()
        if self.plots is not None:
            self.plots.close()
        super().close()

    def _update(self, item: tuple[LiveDynamics]) -> None:
        """In the sender's thread; what fails is said, and the next one may do."""
        try:
            self.draw(*item)
        except Exception as error:
            self._on_trouble(f"the curves could not be drawn: {' '.join(str(error).split())}")
