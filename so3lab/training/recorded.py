"""Training runs that keep themselves in a folder: how one begins, goes on after a crash, and is compared with others.

A folder ``RUN`` holds ``plan.json`` (what was asked for), ``checkpoints`` (to go on from), ``curve.csv`` (a row per
epoch) and ``model.so3.safetensors`` (the best weights so far).
"""

import contextlib
import csv
import json
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from so3lab import datasets
from so3lab.datasets import Dataset
from so3lab.machine.files import atomic_write, check_folder
from so3lab.network.settings import preset
from so3lab.potential.model_file import SUFFIX
from so3lab.potential.potential import Potential
from so3lab.training.loop import SECONDS_BETWEEN_CHECKPOINTS, EpochReport, train
from so3lab.training.settings import TrainingSettings

_PLAN, _CURVE, _CHECKPOINTS = "plan.json", "curve.csv", "checkpoints"
MODEL = f"model{SUFFIX}"

Train = Callable[..., Iterator[EpochReport]]
"""Called as :func:`so3lab.training.train` is."""


@dataclass(frozen=True)
class TrainingPlan:
    """What a run is made from, in plain values that a file can hold."""

    data: str
    """Name of a set, or a file, as `so3lab.datasets.load` takes it."""
    train: int
    """Frames to learn from."""
    valid: int
    """Frames that decide which weights are best."""
    settings: TrainingSettings
    preset: str = "small"
    """Size of the network; not used where the run begins with another model."""
    start: str | None = None
    """The model that the run begins with, by name or file; None for random weights."""
    split_seed: int = 0
    """Of the choice of frames."""
    energy_unit: str | None = None
    length_unit: str | None = None

    def __post_init__(self) -> None:
        preset(self.preset)  # refuses what there is not

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TrainingPlan":
        """Inverse of :meth:`to_dict`.

        Raises:
            ValueError: If something is missing or unknown.
        """
        try:
            return cls(**{**values, "settings": TrainingSettings(**values["settings"])})
        except (KeyError, TypeError) as error:
            raise ValueError(f"a plan of a training run lacks something, or has something unknown: {error}") from None


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
    checkpoint of a few seconds before.

    Args:
        folder: Of this run alone; made where there is none.
        plan: What to train; None for what the folder says.
        data: The set of the plan, where it has been loaded already.
        start: The model that the plan begins with, where it has been loaded already.
        train: What trains.

    Raises:
        ValueError: If the folder holds another run, or no run where there is no plan.
        OSError: If the folder cannot be made.
    """
    folder = Path(folder)
    plan = _agreed(folder, plan)
    if data is None:
        data = datasets.load(plan.data, energy_unit=plan.energy_unit, length_unit=plan.length_unit)
    if start is None and plan.start is not None:
        raise ValueError(f"the run in {folder} begins with {plan.start!r}; pass start=so3lab.load({plan.start!r})")
    split = datasets.split(data, plan.train, plan.valid, seed=plan.split_seed)
    model = preset(plan.preset) if start is None else start.settings
    reports = train(
        data.select(split.train),
        data.select(split.valid),
        model,
        plan.settings,
        start=start,
        checkpoint=folder / _CHECKPOINTS,
    )
    how: dict[str, Any] = {"train": plan.train, "valid": plan.valid, "test": None, "seed": plan.split_seed}
    how |= {"groups": None, "test_frames": sorted(split.test.tolist())}
    with contextlib.ExitStack() as stack:
        if isinstance(reports, Generator):
            stack.enter_context(contextlib.closing(reports))
        yield from _kept(folder, reports, how)


def read_plan(folder: Path | str) -> TrainingPlan:
    """What the run in a folder is made from.

    Raises:
        FileNotFoundError: If there is no run.
        ValueError: If its plan cannot be read.
    """
    path = Path(folder) / _PLAN
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no training run: it has no {_PLAN}")
    try:
        return TrainingPlan.from_dict(json.loads(path.read_text("utf-8")))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is damaged ({error}); begin another run") from None


def read_curve(folder: Path | str) -> pd.DataFrame:
    """A row per epoch of the run in a folder, as `EpochReport.row` gives them; empty before the first."""
    path = Path(folder) / _CURVE
    if not path.is_file() or not path.stat().st_size:
        return pd.DataFrame()
    table = pd.read_csv(path, on_bad_lines="skip")  # the last line of a process that died
    return table[pd.to_numeric(table["epoch"], errors="coerce").notna()].dropna(subset=["valid_loss"])


def runs_table(folder: Path | str) -> pd.DataFrame:
    """The runs in the folders of a folder, one per row, with the errors of their best epoch.

    Columns: ``run`` (its folder's name), ``data``, ``network`` (preset, or the model that it began with), ``train`` and
    ``valid`` (frames), ``epochs``, ``minutes``, ``done`` (share), ``best_epoch``, and the mean absolute errors
    ``train_energy_mae_meV``, ``valid_energy_mae_meV``, ``train_force_mae_meV_A``, ``valid_force_mae_meV_A``.
    """
    rows = [_row_of(path.parent) for path in sorted(Path(folder).glob(f"*/{_PLAN}"))]
    columns = ["run", "data", "network", "train", "valid", "epochs", "minutes", "done", "best_epoch", *_ERRORS]
    return pd.DataFrame(rows, columns=columns)


_ERRORS = ("train_energy_mae_meV", "valid_energy_mae_meV", "train_force_mae_meV_A", "valid_force_mae_meV_A")


def _row_of(folder: Path) -> dict[str, Any]:
    plan, curve = read_plan(folder), read_curve(folder)
    row: dict[str, Any] = {
        "run": folder.name,
        "data": plan.data,
        "network": f"from {plan.start}" if plan.start else plan.preset,
        "train": plan.train,
        "valid": plan.valid,
        "epochs": 0,
        "minutes": 0.0,
        "done": 0.0,
    }
    if curve.empty:
        return row
    best = curve.iloc[int(curve["valid_loss"].argmin())]
    last = curve.iloc[-1]
    row |= {"epochs": int(last["epoch"]), "minutes": float(last["seconds"]) / 60.0, "done": float(last["progress"])}
    return row | {"best_epoch": int(best["epoch"]), **{name: float(best[name]) for name in _ERRORS}}


def _agreed(folder: Path, plan: TrainingPlan | None) -> TrainingPlan:
    """The plan of the folder, written down where it is new."""
    if (folder / _PLAN).is_file():
        known = read_plan(folder)
        if plan is not None and plan != known:
            raise ValueError(f"{folder} holds another run; choose another name, or go on with that one as it is")
        return known
    if plan is None:
        raise ValueError(f"{folder} holds no run to go on with; say what to train")
    check_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / _PLAN) as file:
        file.write_text(json.dumps(plan.to_dict(), indent=1), encoding="utf-8")
    return plan


def _kept(folder: Path, reports: Iterator[EpochReport], how: dict[str, Any]) -> Generator[EpochReport]:
    """Pass reports on; write their rows at once, and the best weights now and then and at the end."""
    newest: EpochReport | None = None
    saved_epoch, saved_at = -1, time.monotonic()

    def save() -> None:
        nonlocal saved_epoch, saved_at
        if newest is not None and newest.best.metadata["epoch"] != saved_epoch:
            best = newest.best
            replace(best, metadata={**best.metadata, "split": how}).save(folder / MODEL)
            saved_epoch, saved_at = best.metadata["epoch"], time.monotonic()

    with contextlib.ExitStack() as stack:
        stack.callback(save)
        rows = None
        for newest in reports:
            if rows is None:
                rows = _Rows(folder / _CURVE, newest)
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
