"""Training runs that keep themselves in a folder: how one begins, and goes on after a crash.

A folder ``RUN`` holds ``plan.json`` (what was asked for), ``checkpoints`` (to go on from), ``curve.csv`` (a row per
epoch), ``model.so3.safetensors`` (the best weights so far) and ``running.lock`` (held by whoever trains there).
"""

import contextlib
import csv
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from so3lab.datasets import Dataset
from so3lab.machine.files import atomic_write, check_folder, lock_at_once
from so3lab.potential.model_file import SUFFIX
from so3lab.potential.potential import Potential
from so3lab.training.loop import SECONDS_BETWEEN_CHECKPOINTS, EpochReport, train
from so3lab.training.plan import TrainingPlan, agreed_plan
from so3lab.training.runs import CURVE, read_curve

_CHECKPOINTS, _LOCK = "checkpoints", "running.lock"
MODEL = f"model{SUFFIX}"

Train = Callable[..., Iterator[EpochReport]]
"""Called as :func:`so3lab.training.train` is."""


def train_in_folder(
    folder: Path | str,
    plan: TrainingPlan | None = None,
    *,
    data: Dataset | None = None,
    start: Potential | None = None,
    train: Train = train,
) -> Generator[EpochReport]:
    """Begin a run in a folder, or go on with the one that it holds, from its newest checkpoint.

    Whenever it ends, also by ``close()`` or an error, the folder holds the best weights; when the process dies, a
    checkpoint of a few seconds before. ``so3lab train`` and the training panel keep their runs in such folders.

    Args:
        folder: Of this run alone; made where there is none.
        plan: What to train; None for what the folder says.
        data: The set of the plan, where it has been loaded already.
        start: The model that the plan begins with, where it has been loaded already.
        train: What trains.

    Raises:
        ValueError: If somebody else trains in the folder at the moment, it holds another run, or no run where there is
            no plan.
        OSError: If the folder cannot be made.
    """
    folder = Path(folder)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_alone_in(folder, plan))
        plan = agreed_plan(folder, plan)
        data = plan.load_data() if data is None else data
        if start is None and plan.start is not None:
            raise ValueError(f"the run in {folder} begins with {plan.start!r}; pass start=so3lab.load({plan.start!r})")
        split, told = plan.split(data)
        reports = train(
            plan.training_frames(data, split),
            data.select(split.valid),
            plan.network() if start is None else start.settings,
            plan.settings,
            start=start,
            checkpoint=folder / _CHECKPOINTS,
            dtype=plan.dtype,
        )
        if isinstance(reports, Generator):
            stack.enter_context(contextlib.closing(reports))
        yield from _kept(folder, reports, told)


@contextlib.contextmanager
def _alone_in(folder: Path, plan: TrainingPlan | None) -> Iterator[None]:
    """Nobody else trains in the folder meanwhile, be it in this process or another one, which may die."""
    if plan is None and not folder.is_dir():
        raise ValueError(f"{folder} holds no run to go on with; say what to train")
    check_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with lock_at_once(folder / _LOCK) as free:
        if not free:
            raise ValueError(
                f"somebody else trains in {folder} at the moment, in another panel, notebook or program; "
                "stop that run or wait for its end, or give this one another name"
            )
        yield


def _kept(folder: Path, reports: Iterator[EpochReport], told: dict[str, Any]) -> Generator[EpochReport]:
    """Pass reports on; write their rows at once, and the best weights now and then and at the end."""
    newest: EpochReport | None = None
    saved_epoch, saved_at = -1, time.monotonic()

    def save() -> None:
        nonlocal saved_epoch, saved_at
        if newest is not None and newest.best.metadata["epoch"] != saved_epoch:
            newest.best.save(folder / MODEL)
            saved_epoch, saved_at = newest.best.metadata["epoch"], time.monotonic()

    with contextlib.ExitStack() as stack:
        stack.callback(save)
        rows = None
        for report in reports:
            newest = report._replace(best=replace(report.best, metadata={**report.best.metadata, "split": told}))
            if rows is None:
                rows = _Rows(folder / CURVE, newest)
                stack.callback(rows.close)
            rows.write(newest.row())
            if time.monotonic() - saved_at > SECONDS_BETWEEN_CHECKPOINTS:
                save()
            yield newest


class _Rows:
    """A table on disk that grows by a row per epoch; those from the first one on are written anew."""

    def __init__(self, path: Path, first: EpochReport):
        earlier = read_curve(path.parent)
        columns = list(first.row())
        kept = earlier[earlier["epoch"] < first.epoch].reindex(columns=columns) if len(earlier) else earlier
        with atomic_write(path) as file:
            (kept if len(kept) else pd.DataFrame(columns=columns)).to_csv(file, index=False)
        self._file = path.open("a", newline="", encoding="utf-8")
        self._writer = csv.DictWriter(self._file, columns)

    def write(self, row: dict[str, Any]) -> None:
        self._writer.writerow(row)
        self._file.flush()

    def close(self) -> None:
        self._file.close()
