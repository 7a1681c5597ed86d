"""Where a model errs: predictions beside references, errors by element and by frame; points open their structures."""

import html
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import ipywidgets as ipw
import numpy as np
import pandas as pd
import plotly.graph_objects as go

from so3lab.datasets import Dataset, LabelWarning
from so3lab.potential.potential import Potential
from so3lab.training import Evaluation, TrainedOnWarning
from so3lab_widgets.figures import force_error_by_element, force_error_by_frame, parity
from so3lab_widgets.panels.attempt import Attempt, Newest
from so3lab_widgets.panels.job_bar import button
from so3lab_widgets.panels.message_line import MessageLine
from so3lab_widgets.panels.panel import close_all
from so3lab_widgets.plots.linked_figure import LinkedFigure
from so3lab_widgets.running.jobs import Job
from so3lab_widgets.running.kernel import prepare_kernel

PICTURES = ("forces", "energies", "frames", "elements")
_USUAL_MOST = 500


class ParityPart(ipw.VBox):
    """Evaluates a model on a set, and draws what came of it.

    Args:
        evaluate: Evaluates, as :func:`so3lab.training.evaluate` does.
        given: Gives the model and the set.
        on_evaluation: Called when there is one.
        on_point: Called with the frame and the atom, or None, of a point that was clicked.
        on_line: Called with the line of Python for what somebody did.
        name: Of the job that evaluates.

    Attributes:
        trained_on_too: The field that says whether frames of training count.
        at_most: The field that says how many frames are evaluated at most.
        picture: The field that says what is drawn: one of ``PICTURES``.
        found: The newest evaluation, None before the first.
        message: What goes on, and what is wrong.
        job: What evaluates.
    """

    def __init__(
        self,
        evaluate: Callable[..., Evaluation],
        given: Callable[[], tuple[Potential, Dataset]],
        on_evaluation: Callable[[Evaluation], None],
        on_point: Callable[[int, int | None], None],
        on_line: Callable[[str], None],
        *,
        name: str,
    ):
        self._evaluate, self._given, self._on_evaluation = evaluate, given, on_evaluation
        self._on_point, self._on_line, self._name = on_point, on_line, name
        self.found: Evaluation | None = None
        self.job: Job | None = None
        self._newest = Newest()
        self.figure: LinkedFigure | None = None
        self.message = MessageLine()
        self.trained_on_too = ipw.Dropdown(
            options=[("that had no part in training", False), ("all", True)],
            description="Frames",
            tooltip="frames that the model was trained on say little about it",
            layout=ipw.Layout(width="280px"),
            style={"description_width": "52px"},
        )
        self.at_most = ipw.BoundedIntText(
            _USUAL_MOST, min=1, max=10**6, description="at most", tooltip="spread evenly over the set",
            layout=ipw.Layout(width="150px"), style={"description_width": "52px"},
        )  # fmt: skip
        self.evaluate_button = button("Evaluate model", "check", "errors of the model on these frames", self._on_button)
        self.picture = ipw.ToggleButtons(
            options=[one.capitalize() for one in PICTURES], tooltips=["forces", "energies", "by frame", "by element"],
            style={"button_width": "auto"},
        )  # fmt: skip
        self.picture.observe(self._on_picture, "value")
        self.about, self._plot = ipw.HTML(), ipw.VBox(layout=ipw.Layout(min_width="0"))
        layout = ipw.Layout(flex_flow="row wrap", align_items="center")
        row = ipw.HBox([self.trained_on_too, self.at_most, self.evaluate_button], layout=layout)
        self._rest = ipw.VBox([self.about, self.picture, self._plot], layout=ipw.Layout(display="none"))
        super().__init__([row, self.message, self._rest])

    def start(self) -> None:
        """Begin to evaluate, in a thread.

        Raises:
            ValueError: If there is no model or no set.
        """
        potential, dataset = self._given()
        options = {"trained_on_too": self.trained_on_too.value, "at_most": self.at_most.value}
        attempt = self._newest.begin()
        self.message.say("evaluating …")
        self.job = Job(
            lambda: self._evaluated(attempt, potential, dataset, options),
            name=self._name,
            expected=(ValueError, OSError),
        )
        self.job.subscribe(lambda job: self._on_end(job, attempt))
        self.job.start()

    def forget(self) -> None:
        """Another set has come: what was found, or is being computed, is of frames that are no more."""
        self._newest.give_up(self._hide)
        if self.job is not None:
            self.job.stop(wait=False)

    def drawn(self) -> go.Figure:
        """What is drawn, as a plain figure.

        Raises:
            ValueError: If nothing has been evaluated.
        """
        found, kind = self.evaluation(), self.picture.value.lower()
        if kind == "frames":
            return force_error_by_frame(found.structures)
        if kind == "elements":
            return force_error_by_element(found.forces)
        return parity(found.parity(), "force" if kind == "forces" else "energy")

    def evaluation(self) -> Evaluation:
        """The newest evaluation.

        Raises:
            ValueError: If there is none.
        """
        if self.found is None:
            raise ValueError("nothing has been evaluated yet; press Evaluate model, or call panel.evaluate()")
        return self.found

    def close(self) -> None:
        """Take the part away; nobody waits for an evaluation."""
        self.forget()
        if self.figure is not None:
            self.figure.close()
        super().close()

    def _hide(self) -> None:
        self.found = None
        self._rest.layout.display = "none"
        self.message.clear()

    def _evaluated(
        self, attempt: Attempt, potential: Potential, dataset: Dataset, options: dict[str, Any]
    ) -> Iterator[Evaluation]:
        prepare_kernel()
        with warnings.catch_warnings():
            for kind in (TrainedOnWarning, LabelWarning):  # said by the part itself
                warnings.simplefilter("ignore", kind)
            found = self._evaluate(potential, dataset, **options)
        attempt.change(lambda: self._take(found))
        yield found

    def _on_end(self, job: Job, attempt: Attempt) -> None:
        if job.state == "failed":
            attempt.change(lambda: self.message.warn(job.error or ""))

    def _take(self, found: Evaluation) -> None:
        self.found = found
        self.about.value = _summary(found)
        self._draw()
        self._rest.layout.display = ""
        self._on_evaluation(found)
        self.message.clear()

    def _draw(self) -> None:
        before, self.figure = self.figure, LinkedFigure(self.drawn())
        for trace in self.figure.data:
            trace.on_click(self._on_click)
        self._plot.children = (self.figure,)
        if before is not None:
            close_all(before)

    def _on_button(self) -> None:
        self._on_line(f"panel.evaluate(trained_on_too={self.trained_on_too.value}, at_most={self.at_most.value})")
        self.message.try_to(self.start)

    def _on_picture(self, change: Any) -> None:
        if self.found is not None:
            self._on_line(f"panel.parity.picture.value = {change.new!r}")
            self._draw()

    def _on_click(self, trace: Any, points: Any, state: Any) -> None:
        if not points.xs or self.found is None:
            return
        x, y = points.xs[0], points.ys[0]
        kind = self.picture.value.lower()
        if kind == "frames":
            self._on_point(round(float(x)), None)
            return
        table = self.found.structures if kind == "energies" else self.found.forces
        if kind == "energies":
            table = table.rename(columns={"reference_energy": "reference", "predicted_energy": "predicted"})
        row = _row_at(table, kind, x, y, by_error=trace.type == "bar")
        self._on_point(int(row["frame"]), None if kind == "energies" else int(row["atom"]))


def _row_at(table: pd.DataFrame, kind: str, x: Any, y: Any, by_error: bool) -> pd.Series:
    """The row that was clicked: nearest in the plane of the picture, or by its error; for an element the worst."""
    reference, predicted = table["reference"].to_numpy(float), table["predicted"].to_numpy(float)
    errors = predicted - reference
    if kind == "elements":
        mine = (table["element"] == str(x)).to_numpy()
        return table.iloc[int(np.argmax(np.where(mine, np.abs(errors), -1.0)))]
    if by_error:
        return table.iloc[int(np.argmin(np.abs(1000.0 * errors - float(x))))]
    origin = reference.mean() if kind == "energies" else 0.0
    away = (reference - origin - float(x)) ** 2 + (predicted - origin - float(y)) ** 2
    return table.iloc[int(np.argmin(away))]


def _summary(found: Evaluation) -> str:
    """Errors in words, with what is to be known about the frames."""
    rows = found.summary.set_index("quantity")
    parts = [
        f"<b>{name}</b> {row['mae_meV']:.2f} {unit} = {row['mae_kcal_mol']:.3f} {kcal} (RMSE {row['rmse_meV']:.2f})"
        for name, (_, row), unit, kcal in zip(
            ("energies", "per atom", "forces"), rows.iterrows(), ("meV", "meV", "meV/Å"),
            ("kcal/mol", "kcal/mol", "kcal/mol/Å"), strict=True,
        )
    ]  # fmt: skip
    counted = found.structures["part"].value_counts()
    frames = ", ".join(f"{count} {part}" for part, count in counted.items())
    note = f"<br>{html.escape(found.note)}" if found.note else ""
    words = f"Mean absolute errors on {len(found.structures)} frames ({frames}):<br>{'<br>'.join(parts)}{note}"
    return f'<div role="status" style="line-height: 1.4">{words}</div>'
