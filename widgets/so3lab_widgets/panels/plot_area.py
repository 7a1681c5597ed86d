"""The curves and maps of a live simulation below its molecules, and which replica they are of."""

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as ipw
from ase import Atoms

from so3lab.dynamics.live import LiveDynamics
from so3lab_widgets.panels.job_bar import button
from so3lab_widgets.panels.live_plots import FASTEST_HZ, LivePlots
from so3lab_widgets.panels.panel import close_all
from so3lab_widgets.running.sender import LatestValueSender


class PlotArea(ipw.VBox):
    """Figures of one replica, drawn about twice a second in a thread of their own: map and spectrum within this box,
    the curves in another one, which stands beside the molecule.

    Args:
        picked: Gives the atoms whose distance, angle or dihedral is drawn.
        on_draw: Called before each drawing; says whether this simulation is still the one to be drawn.
        on_choice: Called when somebody wants another replica or residue, with the line of Python that says so.
        on_trouble: Told in a sentence what could not be drawn.
        on_time: Called with the moment, in ps, that somebody clicks on a curve.

    Attributes:
        curves_of: The field that says which replica is meant.
        residue: The field that says whose backbone is mapped; None for all residues together.
        beside: The box of the curves.
        plots: The figures, None before there is a structure.
    """

    def __init__(
        self,
        *,
        picked: Callable[[], Sequence[int]],
        on_draw: Callable[[LiveDynamics], bool],
        on_choice: Callable[[str], None],
        on_trouble: Callable[[str], None],
        on_time: Callable[[float], None],
    ):
        self._picked, self._on_draw, self._on_choice, self._on_trouble = picked, on_draw, on_choice, on_trouble
        self._on_time = on_time
        self.plots: LivePlots | None = None
        self.curves_of = ipw.Dropdown(
            options=[0],
            description="Curves, tables and frames of replica",
            layout=ipw.Layout(width="320px"),
            style={"description_width": "initial"},
        )
        self.curves_of.observe(lambda change: on_choice(f"panel.curves_of.value = {change.new}"), "value")
        self.residue = ipw.Dropdown(
            options=[("residue 1", 0)],
            description="Map of",
            layout=ipw.Layout(width="200px"),
            style={"description_width": "60px"},
        )
        self.residue.observe(self._on_residue, "value")
        self.reset_button = button(
            "Count anew", "refresh", "the map counts from now on, not from the last change", self.count_anew
        )
        self._map_head = ipw.HBox([self.residue, self.reset_button])
        self._last_step = 0
        self._live: LiveDynamics | None = None
        self._head = ipw.HBox([self.curves_of], layout=ipw.Layout(display="none"))
        self.beside = ipw.VBox([self._head], layout=ipw.Layout(min_width="0"))
        self._figures = ipw.VBox(layout=ipw.Layout(width="100%"))
        self._updates = LatestValueSender(self._update, FASTEST_HZ, name="live plots")
        super().__init__([self._figures])

    @property
    def number(self) -> int:
        """The replica that is meant."""
        return self.curves_of.value or 0

    def set_structure(self, structure: Atoms, copies: int, thermostat: bool) -> None:
        """Empty figures for so many copies of a structure."""
        self.curves_of.options = list(range(copies))
        self._head.layout.display = "" if copies > 1 else "none"
        before = (*self._figures.children, *self.beside.children[1:])
        self.plots = None  # whoever chooses a residue now means none of the old ones
        plots = LivePlots(structure, thermostat=thermostat, on_time=self._on_time)
        residues = plots.backbone.residues if plots.backbone is not None else 0
        more = [("all residues together", None)] if residues > 1 else []
        self.residue.options = [*((f"residue {number + 1}", number) for number in range(residues or 1)), *more]
        self._map_head.layout.display = "" if residues else "none"
        self._figures.children = (ipw.VBox([self._map_head, plots.maps], layout=ipw.Layout(min_width="0")),)
        self.beside.children = (self._head, ipw.VBox([plots.curves], layout=ipw.Layout(min_width="0")))
        self.plots, self._live = plots, None
        for figure in (plots.curves, plots.maps):
            figure.observe(self._on_sight, "in_sight")
        for box in before:
            box.children = tuple(child for child in box.children if child is not self._map_head)
        close_all(*before)

    def update(self, live: LiveDynamics) -> None:
        """Draw the newest state when it is time; never waits."""
        self._live = live
        self._updates.put((live,))

    def draw(self, live: LiveDynamics) -> None:
        """Draw the newest state now."""
        if self.plots is None or not self._on_draw(live):
            return
        self._last_step = live.replicas.step
        if self.number < len(live.replicas):
            self.plots.update(live, self.number, tuple(self._picked()))
        self._updates.limit(self.plots.rate_hz)
        self._updates.report(1)

    def stand_at(self, time_ps: float | None) -> None:
        """Let a line stand in the curves at the moment that is shown; None for the present."""
        if self.plots is not None:
            self.plots.stand_at(time_ps)

    def count_anew(self) -> None:
        """Let the map of the backbone count from now on."""
        if self.plots is not None and self.plots.backbone is not None:
            self.plots.backbone.from_step = self._last_step
            self._on_choice("panel.plot_area.count_anew()")

    def _on_sight(self, change: Any) -> None:
        """Somebody has come to a figure that was out of sight."""
        if change.new and self._live is not None and self.plots is not None:
            self.plots.forget()
            self.update(self._live)

    def _on_residue(self, change: Any) -> None:
        if self.plots is not None and self.plots.backbone is not None:
            self.plots.backbone.residue = change.new
            self._on_choice(f"panel.plot_area.residue.value = {change.new}")

    def close(self) -> None:
        """Take the figures away; the thread ends."""
        self._updates.close()
        if self.plots is not None:
            self.plots.close()
        close_all(self.beside)
        super().close()

    def _update(self, item: tuple[LiveDynamics]) -> None:
        """In the sender's thread; what fails is said, and the next one may do."""
        try:
            self.draw(*item)
        except Exception as error:
            self._on_trouble(f"the curves could not be drawn: {' '.join(str(error).split())}")
