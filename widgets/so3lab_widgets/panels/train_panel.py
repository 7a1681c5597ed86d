"""Training that somebody watches: choose data and look at them, train, see where the model errs, compare runs."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import ipywidgets as ipw
import pandas as pd
from ase import Atoms

from so3lab import training
from so3lab.datasets import Dataset
from so3lab.potential.potential import Potential
from so3lab.training import EpochReport, Evaluation, read_curve, read_plan
from so3lab.training.recorded import MODEL
from so3lab_widgets.panels.code_line import CodeLine
from so3lab_widgets.panels.data_part import DataPart
from so3lab_widgets.panels.found_part import FoundPart
from so3lab_widgets.panels.job_bar import JobBar
from so3lab_widgets.panels.labelled_view import Arrows, LabelledView
from so3lab_widgets.panels.model_in_hand import ModelInHand
from so3lab_widgets.panels.panel import Runs, close_all
from so3lab_widgets.panels.parity_part import ParityPart
from so3lab_widgets.panels.runs_part import RunsPart
from so3lab_widgets.panels.training_curves import TrainingCurves
from so3lab_widgets.panels.training_form import TrainingForm
from so3lab_widgets.panels.training_results import TrainingResults
from so3lab_widgets.panels.training_run import TrainingRun
from so3lab_widgets.panels.training_saving import TrainingSaving
from so3lab_widgets.running.jobs import Job, stop_all
from so3lab_widgets.session import Session
from so3lab_widgets.viewer.static_preview import SnapshotMixin

PARTS = ("Data", "Train", "Evaluate", "Runs")


class TrainPanel(TrainingResults):
    """Train a model in a notebook, and look at data, curves and errors while it learns.

    A click on a bar of the data, on a point of a parity plot or of the errors by frame shows that structure, with
    reference and predicted forces, or what the model is off, as arrows. A run keeps itself in a folder, so that a
    closed page costs nothing and a dead kernel a few seconds: *Runs* goes on with it. What cannot be done is said in a
    sentence within the panel, and the line below repeats in Python what was clicked.

    Args:
        data: Name of a set (``"ethanol"``, ``"rmd17-aspirin"``), a file, or a :class:`so3lab.datasets.Dataset`.
        preset: Size of the network at first: ``"tiny"``, ``"small"`` or ``"paper"``.
        runs: Folder that keeps runs, each in a folder of its own.
        height: Of the molecule in pixels.
        session: What is shared with other panels: loaded models, picked atoms, and ``session.potential``, which *Use
            this model* sets, and which is taken in hand when somebody else sets it. One of its own unless given.
        train: Trains, with the arguments of :func:`so3lab.training.train`.
        evaluate: Evaluates, with the arguments of :func:`so3lab.training.evaluate`.

    Attributes:
        shared: The session.
        part: The buttons that say which part is in sight: one of ``PARTS``.
        view: The structure, with its arrows.
        data: The set, and what is in it.
        found: Frames of the session that are labelled to become a set.
        form: Fields of a run.
        run: The newest run and its job.
        curves: Its learning curves.
        parity: What an evaluation found.
        runs_part: The runs of the folder.
        hand: The model in hand: the best of the newest run, of one that was opened, or the session's.
        message: What stands against what was clicked.
    """

    def __init__(
        self,
        data: str | Dataset | None = None,
        *,
        preset: str = "small",
        runs: str | Path = "runs",
        height: int = 380,
        session: Session | None = None,
        train: Callable[..., Iterator[EpochReport]] = training.train,
        evaluate: Callable[..., Evaluation] = training.evaluate,
    ):
        self.shared, self._folder = session or Session(), Path(runs)
        self.form = TrainingForm(self._folder, preset)
        self._take_place("training")
        self._follows_run = True  # with the model in hand
        self._make_parts(height, train, evaluate)
        self._lay_out()
        self._stop_sharing = self.shared.share_picks(self.view.viewer)
        self._stop_following = self.shared.follow(self._on_session, "potential")
        assert self._preview is not None
        self.view.viewer.observe(self._preview.schedule, "painted")
        self.code_line.follow(self.view.viewer, "panel.view.viewer", self._show_code)
        given = repr(data) if isinstance(data, str) else "" if data is None else "data"
        options = [f"preset={preset!r}" if preset != "small" else "", f"runs={str(runs)!r}" if runs != "runs" else ""]
        own = train is not training.train or evaluate is not training.evaluate
        options += ["train=train, evaluate=evaluate"] if own else []
        self._show_code(f"panel = so3lab.widgets.TrainPanel({', '.join(filter(None, [given, *options]))})")
        if isinstance(self.shared.potential, Potential):
            self.hand.take(self.shared.potential, "that of the session")
        if data is not None:
            self.data.load(data)

    @property
    def job(self) -> Job | None:
        """What trains."""
        return self.run.job

    @property
    def frames(self) -> tuple[Atoms, ...]:
        """Structures that wait for labels; set them, and *Start* beside *Label with* makes a set of them."""
        return self.found.frames

    @frames.setter
    def frames(self, frames: Sequence[Atoms]) -> None:
        self._check_open()
        self.found.frames = frames
        self.part.value, self._unfolds.selected_index = "Data", 0

    def label(self, found: Sequence[Atoms]) -> None:
        """Take frames found elsewhere, as many as *at most* says, spread evenly, and show what labels them."""
        self._check_open()
        self.found.spread(found)
        self.part.value, self._unfolds.selected_index = "Data", 0

    def load_data(self, source: str | Dataset, energy_unit: str | None = None, length_unit: str | None = None) -> None:
        """Begin to load another set; what is wrong with it is said in the panel.

        Args:
            source: A name, a file, or a set.
            energy_unit, length_unit: Of a file that does not say them.
        """
        self._check_open()
        self.data.set_units(energy_unit, length_unit)
        self.data.load(source)

    def show_frame(self, frame: int, arrows: Arrows | None = None) -> None:
        """Show a frame of the set.

        Args:
            frame: Its number.
            arrows: ``"none"``, ``"reference"``, ``"predicted"``, ``"both"`` or ``"error"``; as before where it is None.

        Raises:
            ValueError: If there is no such frame, or no such kind of arrows.
        """
        self.data.present()
        self.view.show(frame, arrows)

    def start(self) -> None:
        """Train what the form says, go on after a pause, or from the checkpoint of a run that was stopped.

        Raises:
            ValueError: If the panel has ended.
        """
        self._check_open()
        self._show_code("panel.start()")
        self.run.attempts.start()

    def wait(self, epoch: int = 0) -> None:
        """Return when the run has come so far, waits or has ended; with 0, when the set and an evaluation are there."""
        self.run.wait(epoch)
        if not epoch and self.parity.job is not None:
            self.parity.job.join()

    def pause(self) -> None:
        """Wait after the present epoch."""
        self._show_code("panel.pause()")
        self.run.attempts.pause()

    def stop(self, wait: bool = True) -> None:
        """End the run and keep its best weights.

        Args:
            wait: Whether to return only when it has ended.
        """
        self._show_code("panel.stop()")
        self.run.attempts.stop(wait)

    def resume(self, run: str) -> None:
        """Go on with a run of the folder, from its newest checkpoint; its data are loaded where others are there.

        Raises:
            FileNotFoundError: If there is no such run.
            ValueError: If its plan cannot be read.
        """
        self._check_open()
        self._show_code(f"panel.resume({run!r})")
        self.run.resume(self._folder / run)
        self.part.value = "Train"

    def open_run(self, run: str) -> None:
        """Look at a run of the folder: its curves, and its best model in hand.

        Raises:
            FileNotFoundError: If there is no such run, or it has no model yet.
            ValueError: If the file cannot be read.
        """
        folder = self._folder / run
        plan = read_plan(folder)
        model = self.shared.load(folder / MODEL)
        self._follows_run = False
        self.hand.take(model, f"best of {run}")
        self._show_code(f"panel.open_run({run!r})")
        if self.job is None or self.job.ended:
            self.form.take(run, plan)
            self.curves.begin(read_curve(folder))

    def fine_tune(self, model: str | None = None) -> None:
        """Let the next run begin with a model.

        Args:
            model: ``"so3lr"``, a bundled name, a file, or a run of the folder; the model in hand, which is written
                beside the runs, unless given.

        Raises:
            ValueError: If there is no model in hand.
        """
        path = self._folder / (model or "") / MODEL
        self.form.fields["start"].value = (
            str(path) if model and path.is_file() else model or self.hand.keep_in(self._folder)
        )
        self.form.suggest_name()
        self._show_code(f"panel.fine_tune({model!r})" if model else "panel.fine_tune()")
        self.part.value = "Train"

    def evaluate(self, trained_on_too: bool = False, at_most: int = 500) -> None:
        """Begin to evaluate the model in hand on the set; what is wrong is said in the panel.

        Args:
            trained_on_too: Whether frames that had a part in training count.
            at_most: Evaluate no more than so many frames.
        """
        self._check_open()
        self.parity.trained_on_too.value, self.parity.at_most.value = trained_on_too, at_most
        self.parity.start()

    def use_model(self) -> None:
        """Let the model in hand be that of the session, which other panels take.

        Raises:
            ValueError: If there is none.
        """
        potential = self.hand.present()
        self._show_code("panel.use_model()")
        if self.data.dataset is not None:
            self.shared.fill(structure=self.data.dataset[self.view.shown])
        self.shared.potential = potential

    def close(self) -> None:
        """Take the panel away: a run is stopped and kept, threads end, widgets close."""
        if not hasattr(self, "saving"):  # refused before it was made
            return
        self._stop_following()
        self._stop_sharing()
        stop_all(self.give_up())
        for one in (self.saving, self.data, self.found, self.curves, self.parity, self.runs_part, self.view):
            one.close()
        close_all(*(one for part in self._parts.values() for one in part))  # those that are out of sight too
        super().close()

    def _make_parts(self, height: int, train: Callable[..., Any], evaluate: Callable[..., Evaluation]) -> None:
        self.code_line = CodeLine()
        self.bar = JobBar(
            lambda: self.message.try_to(self.start),
            lambda: self.run.words,
            pause=self.pause,
            stop=lambda: self.stop(wait=False),
        )
        self.message = self.bar.message
        self.hand = ModelInHand(
            lambda: self.message.try_to(self.use_model), lambda: self.message.try_to(self.fine_tune)
        )
        self.view = LabelledView(height, lambda frame: self._show_code(f"panel.show_frame({frame})"))
        self.data = DataPart(self._on_data, self._show, self._show_code, name=f"{self._name} data")
        self.found = FoundPart(
            self.shared,
            self._folder,
            self.data.present,
            self._on_labelled,
            self._show_code,
            name=f"{self._name} labels",
        )
        self.curves = TrainingCurves(self.message.warn, self._show_code)
        self.parity = ParityPart(
            evaluate,
            lambda: (self.hand.present(), self.data.present()),
            self.view.set_predictions,
            self._show_error,
            self._show_code,
            name=f"{self._name} evaluation",
        )
        self.runs_part = RunsPart(self._folder, self.open_run, self.resume, self.fine_tune, self._show_code)
        self.run = TrainingRun(
            self.form,
            self.data,
            train=train,
            load=self.shared.load,
            bar=self.bar,
            name=self._name,
            on_begin=self._on_begin,
            on_report=self._on_report,
            on_state=self._on_state,
        )
        for name, field in self.form.fields.items():
            field.observe(self._on_field(name), "value")

    def _lay_out(self) -> None:
        self.part = ipw.ToggleButtons(
            options=PARTS, style={"button_width": "auto"},
            tooltips=["what models learn from", "settings and curves", "where models err", "what was trained before"],
        )  # fmt: skip
        self.part.observe(self._on_part, "value")
        self.saving = TrainingSaving(self, on_line=self._show_code, name=f"{self._name} save")
        self._unfolds = ipw.Accordion([self.found], titles=["Label frames that were found"])
        self._parts: dict[str, tuple[ipw.Widget, ...]] = {
            "Data": (self.data, self._unfolds), "Train": (self.form, self.curves), "Evaluate": (self.parity,),
            "Runs": (self.runs_part,),
        }  # fmt: skip
        self._place = ipw.VBox(self._parts["Data"], layout=ipw.Layout(flex="3 1 480px", min_width="0"))
        body = ipw.HBox([self.view, self._place], layout=ipw.Layout(flex_flow="row wrap", grid_gap="0 12px"))
        super().__init__([self.part, self.bar, body, self.hand, self.saving, self.code_line])

    def _runs(self) -> list[Runs]:
        """What may be busy when the panel goes, and is waited for."""
        return [self.run.attempts, self.saving]

    def _snapshot_parts(self) -> list[SnapshotMixin]:
        """What a picture of the panel shows."""
        figures = [one.figure for one in self._parts[self.part.value] if hasattr(one, "figure")]
        return [self.view.viewer, *(one for one in figures if one is not None)]

    def _on_part(self, change: Any) -> None:
        if change.new == "Runs":
            self.runs_part.refresh()
        self._place.children = self._parts[change.new]
        self._show_code(f"panel.part.value = {change.new!r}")

    def _on_data(self, dataset: Dataset) -> None:
        self.view.set_data(dataset)
        self.parity.forget()
        self.form.set_frames(len(dataset))
        if self.job is not None and self.job.state == "failed":
            self.bar.forget()  # what was missing may be what has come

    def _on_labelled(self, file: str) -> None:
        """In the job's thread: frames were labelled, and are the set to learn from."""
        self.data.set_units(None, None)
        self.data.load(file)

    def _on_begin(self, earlier: pd.DataFrame) -> None:
        """Another run comes, whose best model is in hand until somebody takes another one."""
        self._follows_run = True
        self.curves.begin(earlier)

    def _on_report(self, report: EpochReport) -> None:
        """In the job's thread."""
        self.curves.add(report)
        if self._follows_run and self.run.folder is not None:
            self.hand.take(report.best, f"best of {self.run.folder.name} so far")

    def _on_state(self, job: Job) -> None:
        folder = self.run.folder
        if job.state == "paused" or job.ended:
            self.curves.redraw()
        if not job.ended:
            return
        if self._follows_run and folder is not None and self.run.report is not None:
            self.hand.take(self.run.report.best, f"best of {folder.name}")
        if job.state == "finished":
            if folder is not None and self.run.report is None:
                self.message.warn(f"{folder.name} is complete already; give another name or length to train more")
            self.form.suggest_name()
        self.runs_part.refresh()

    def _on_field(self, name: str) -> Callable[[Any], None]:
        def act(change: Any) -> None:
            if not self.form.filling:
                self._show_code(f"panel.form.fields[{name!r}].value = {change.new!r}")
            self.bar.refresh()

        return act

    def _on_session(self, change: Any) -> None:
        """Somebody else has set another potential."""
        if isinstance(change.new, Potential) and change.new is not self.hand.potential:
            self._follows_run = False
            self.hand.take(change.new, "that of the session")

    def _show(self, frame: int) -> None:
        """A frame that was clicked among the data, with its forces."""
        self.view.show(frame, "reference" if self.view.arrows.value == "none" else None)

    def _show_error(self, frame: int, atom: int | None) -> None:
        """A frame that was clicked among errors: with both forces, unless other arrows are wanted."""
        self.view.show(frame, "both" if self.view.arrows.value in ("none", "reference") else None)
        if atom is not None:
            self.view.viewer.picked = [atom]

    def _show_code(self, line: str) -> None:
        report = self.run.report if "run" in vars(self) else None
        self.code_line.show_code(line, report.epoch if report is not None else None)
