"""The training behind a panel: how a run is made from the form, commanded, and gone on with from its folder."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from so3lab.potential.potential import Potential
from so3lab.training import EpochReport, TrainingPlan, read_curve, read_plan, train_in_folder
from so3lab_widgets.panels.attempt import Attempt, Attempts
from so3lab_widgets.panels.data_part import DataPart
from so3lab_widgets.panels.job_bar import JobBar
from so3lab_widgets.panels.training_form import TrainingForm
from so3lab_widgets.running.jobs import Job
from so3lab_widgets.running.kernel import prepare_kernel


class TrainingRun:
    """A run that can be started, paused, stopped and gone on with; it draws nothing itself.

    Args:
        form: What it is made from.
        data: The set, with its source.
        train: Trains, as :func:`so3lab.training.train` does.
        load: Gives the potential of a name or a file.
        bar: Shows the job.
        name: Of the job.
        on_begin: Called with the epochs that are known already when a run begins.
        on_report: Called in the job's thread with each report.
        on_state: Called when it runs, waits or has ended.

    Attributes:
        folder: Of the newest run; None before the first.
        report: The newest one, None before the first epoch of a run.
    """

    def __init__(
        self,
        form: TrainingForm,
        data: DataPart,
        *,
        train: Callable[..., Iterator[EpochReport]],
        load: Callable[[str], Potential],
        bar: JobBar,
        name: str,
        on_begin: Callable[[pd.DataFrame], None],
        on_report: Callable[[EpochReport], None],
        on_state: Callable[[Job], None],
    ):
        self.form, self.data, self._train, self._load, self._bar = form, data, train, load, bar
        self._on_begin, self._on_report = on_begin, on_report
        self.folder: Path | None = None
        self.report: EpochReport | None = None
        self.attempts = Attempts(
            self._prepare,
            lambda: (*form.values, data.source.value, *data.units().values()),
            bar=bar,
            name=name,
            on_item=self._take,
            on_state=on_state,
            progress=lambda report: report.progress,
            expected=(ValueError, OSError, FloatingPointError),
        )

    @property
    def job(self) -> Job | None:
        """What runs it."""
        return self.attempts.job

    @property
    def words(self) -> str:
        """Which run this is, how far it is, and where it is kept."""
        if self.folder is None or self.job is None:
            return ""
        if self.report is None:
            return f"{self.folder}: {'' if self.job.ended else 'compiling, if its sizes are new'}".rstrip(": ")
        pace = self.report.epoch / self.report.seconds if self.report.seconds else 0.0
        back = self.report.setbacks
        said = f" · {back}× back to the best weights with half the learning rate" if back else ""
        return f"epoch {self.report.epoch} · {pace:.1f} per second{said} · kept in {self.folder}"

    def wait(self, epoch: int = 0) -> None:
        """Return when the run has come so far, waits or has ended; with 0, when the set is there."""
        if self.data.job is not None:
            self.data.job.join()
        while epoch:
            job, report = self.job, self.report
            if job is None or job.ended or job.pausing or (report is not None and report.epoch >= epoch):
                return
            time.sleep(0.01)

    def resume(self, folder: Path) -> None:
        """Go on with the run that a folder holds, from its newest checkpoint.

        Raises:
            FileNotFoundError: If it holds none.
            ValueError: If its plan cannot be read.
        """
        plan = read_plan(folder)
        self.form.take(folder.name, plan)
        self.attempts.begin(lambda attempt: self._go_on(attempt, folder, plan))

    def _prepare(self, attempt: Attempt) -> Iterator[EpochReport]:
        """In the job's thread: what the form says; reports of each epoch, the first after compiling."""
        if self.data.job is not None:
            self.data.job.join()
        self.data.present()
        if self.data.loaded != (self.data.source.value.strip(), self.data.units()):
            raise ValueError("the data must be what their fields say, which was changed since; press Load first")
        plan = self.form.plan(self.data.source.value.strip(), **self.data.units())
        return self._reports(attempt, self.form.new_folder(plan), plan)

    def _go_on(self, attempt: Attempt, folder: Path, plan: TrainingPlan) -> Iterator[EpochReport]:
        units = {"energy_unit": plan.energy_unit, "length_unit": plan.length_unit}
        if plan.keys:
            raise ValueError(
                f"the data of {folder.name} have names of their own ({', '.join(plan.keys.values())}), for which there "
                f"is no field here; go on with: so3lab train --run {folder} --resume"
            )
        if self.data.loaded != (plan.data, units):
            self.data.set_units(**units)
            self.data.load(plan.data)
            assert self.data.job is not None
            self.data.job.join()
            if self.data.loaded != (plan.data, units):
                why = self.data.job.error or "another set was asked for"
                raise ValueError(f"the data of {folder.name} cannot be had: {why}")
            self.form.take(folder.name, plan)  # which the set has changed
        return self._reports(attempt, folder, plan)

    def _reports(self, attempt: Attempt, folder: Path, plan: TrainingPlan) -> Iterator[EpochReport]:
        prepare_kernel()
        start = self._load(plan.start) if plan.start else None
        if not attempt.change(lambda: self._become(folder)):
            return iter(())
        return train_in_folder(folder, plan, data=self.data.present(), start=start, train=self._train)

    def _become(self, folder: Path) -> None:
        self.folder, self.report = folder, None
        self._on_begin(read_curve(folder))
        self._bar.refresh()

    def _take(self, report: Any) -> None:
        self.report = report
        self._on_report(report)
        self._bar.item_made()
