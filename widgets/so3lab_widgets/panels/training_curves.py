"""The learning curves of a run while it learns: errors on training and validation frames, drawn twice a second."""

from collections.abc import Callable
from typing import Any

import ipywidgets as ipw
import numpy as np
import pandas as pd
import plotly.graph_objects as go

from so3lab import units
from so3lab.training import EpochReport
from so3lab_widgets.figures.training import QUANTITIES, curves_of, training_curves
from so3lab_widgets.panels.panel import close_all
from so3lab_widgets.plots.downsampling import strided
from so3lab_widgets.plots.linked_figure import LinkedFigure
from so3lab_widgets.running.sender import LatestValueSender

_POINTS = 400
_HZ = 2.0
_FAR_APART = 1.5
"""Validation error over training error beyond which a model knows its training frames by heart."""


class TrainingCurves(ipw.VBox):
    """Curves of one run, which is as long as it gets.

    Args:
        on_trouble: Told in a sentence what could not be drawn.
        on_line: Called with the line of Python for what somebody chose.

    Attributes:
        quantity: The field that says what is drawn.
        logarithmic: The button that says whether the scale is.
        words: How good the best weights are.
        figure: The curves, None before the first epoch.
    """

    def __init__(self, on_trouble: Callable[[str], None], on_line: Callable[[str], None]):
        self._on_trouble = on_trouble
        self._rows: list[dict[Any, Any]] = []
        self.figure: LinkedFigure | None = None
        self.quantity = ipw.Dropdown(
            options=QUANTITIES, description="Errors of", layout=ipw.Layout(width="230px"),
            style={"description_width": "62px"},
        )  # fmt: skip
        self.logarithmic = ipw.ToggleButton(
            True, description="Logarithmic", icon="line-chart", tooltip="scale of the errors",
            layout=ipw.Layout(width="auto"),
        )  # fmt: skip
        self.words = ipw.HTML()
        self._plot = ipw.VBox(layout=ipw.Layout(min_width="0"))
        self._updates = LatestValueSender(self._update, _HZ, name="training curves")
        for name in ("quantity", "logarithmic"):
            getattr(self, name).observe(self._on_choice(f"panel.curves.{name}.value", on_line), "value")
        layout = ipw.Layout(flex_flow="row wrap", align_items="center", grid_gap="0 10px")
        head = ipw.HBox([self.quantity, self.logarithmic, self.words], layout=layout)
        super().__init__([head, self._plot])

    @property
    def table(self) -> pd.DataFrame:
        """All epochs so far, one per row."""
        return pd.DataFrame(list(self._rows))

    def begin(self, earlier: pd.DataFrame) -> None:
        """Another run comes, of which these epochs are known already."""
        self._rows = earlier.to_dict("records")
        self.redraw()

    def add(self, report: EpochReport) -> None:
        """An epoch has ended; drawn when it is time, and never waits."""
        while self._rows and self._rows[-1]["epoch"] >= report.epoch:  # after the checkpoint that a run goes on from
            self._rows.pop()
        self._rows.append(report.row())
        self._updates.put(("update",))

    def redraw(self) -> None:
        """Draw all of it anew."""
        self._updates.put(("redraw",))

    def picture(self) -> go.Figure:
        """The curves as they are drawn, as a plain figure.

        Raises:
            ValueError: If there is no epoch yet.
        """
        return training_curves(self.table, self.quantity.value, self.logarithmic.value)

    def close(self) -> None:
        """Take the curves away; the thread ends."""
        self._updates.close()
        if self.figure is not None:
            self.figure.close()
        super().close()

    def _on_choice(self, name: str, on_line: Callable[[str], None]) -> Callable[[Any], None]:
        def act(change: Any) -> None:
            on_line(f"{name} = {change.new!r}")
            self.redraw()

        return act

    def _update(self, item: tuple[str]) -> None:
        """In the sender's thread; what fails is said, and the next one may do."""
        try:
            rows = list(self._rows)
            places = np.union1d(strided(0, len(rows), _POINTS), np.arange(len(rows))[-1:])
            few = pd.DataFrame([rows[place] for place in places])
            if item[0] == "redraw" or self.figure is None:
                self._make(few)
            elif len(few):
                curves = curves_of(few, self.quantity.value)
                self.figure.stream(few["epoch"], {one.name: few[one.column] for one in curves}, last=True)
            self.words.value = _words(rows)
        except Exception as error:
            self._on_trouble(f"the curves could not be drawn: {' '.join(str(error).split())}")
        self._updates.report(1)

    def _make(self, few: pd.DataFrame) -> None:
        before = self.figure
        if few.empty:
            self.figure, self._plot.children = None, ()
        else:
            self.figure = LinkedFigure(training_curves(few, self.quantity.value, self.logarithmic.value))
            self._plot.children = (self.figure,)
        if before is not None:
            close_all(before)


def _words(rows: list[dict[Any, Any]]) -> str:
    """How good the best weights are, and whether they know training frames better than others."""
    if not rows:
        return ""
    best = min(rows, key=lambda row: row["valid_loss"])
    force = best["valid_force_mae_meV_A"]
    ratio = force / max(best["train_force_mae_meV_A"], 1e-9)
    words = (
        f"best epoch {best['epoch']:.0f} of {rows[-1]['epoch']:.0f}: forces {force:.1f} meV/Å = "
        f"{force * units.kcal_mol_per_meV:.2f} kcal/mol/Å, energies {best['valid_energy_mae_meV']:.1f} meV on "
        f"validation frames, {ratio:.1f} times the error of forces on training frames"
    )
    if ratio > _FAR_APART:
        words += ": it knows those by heart; more frames, or a smaller network, would help"
    return f'<div role="status" style="line-height: 1.4">{words}</div>'
