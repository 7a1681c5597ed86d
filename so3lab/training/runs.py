"""What is known of runs that were kept: the learning curve of one, and how those of a folder compare."""

from pathlib import Path
from typing import Any

import pandas as pd

from so3lab.training.plan import PLAN, read_plan

CURVE = "curve.csv"
_ERRORS = ("train_energy_mae_meV", "valid_energy_mae_meV", "train_force_mae_meV_A", "valid_force_mae_meV_A")
_NEEDED = ("epoch", "seconds", "progress", "valid_loss", *_ERRORS)
_COLUMNS = (
    "run", "data", "network", "train", "valid", "epochs", "minutes", "done", "best_epoch", *_ERRORS, "trouble",
)  # fmt: skip


def read_curve(folder: Path | str) -> pd.DataFrame:
    """A row per epoch of the run in a folder, as `EpochReport.row` gives them; empty before the first.

    Raises:
        ValueError: If the file is no learning curve.
    """
    path = Path(folder) / CURVE
    if not path.is_file() or not path.stat().st_size:
        return pd.DataFrame()
    try:
        table = pd.read_csv(path, on_bad_lines="skip")  # the last line of a process that died
    except ValueError as error:  # pandas has several kinds of it
        raise ValueError(f"{path} is damaged ({error}); delete it, and the run begins it anew") from None
    missing = [name for name in _NEEDED if name not in table.columns]
    if missing:
        raise ValueError(f"{path} is no learning curve: it has no column {missing[0]}; delete it, and it begins anew")
    return table[pd.to_numeric(table["epoch"], errors="coerce").notna()].dropna(subset=["valid_loss"])


def runs_table(folder: Path | str) -> pd.DataFrame:
    """The runs in the folders of a folder, one per row, with the errors of their best epoch.

    Columns: ``run`` (its folder's name), ``data``, ``network`` (preset, or the model that it began with), ``train`` and
    ``valid`` (frames), ``epochs``, ``minutes``, ``done`` (share), ``best_epoch``, the mean absolute errors
    ``train_energy_mae_meV``, ``valid_energy_mae_meV``, ``train_force_mae_meV_A``, ``valid_force_mae_meV_A``, and
    ``trouble``: what cannot be read of it, in a sentence, or nothing.
    """
    rows = [_row_of(path.parent) for path in sorted(Path(folder).glob(f"*/{PLAN}"))]
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def _row_of(folder: Path) -> dict[str, Any]:
    row: dict[str, Any] = {"run": folder.name, "trouble": ""}
    try:
        row |= _planned(folder)
        row |= _learned(folder)
    except (ValueError, OSError) as error:
        row["trouble"] = str(error)
    return row


def _planned(folder: Path) -> dict[str, Any]:
    plan = read_plan(folder)
    return {
        "data": plan.data,
        "network": f"from {plan.start}" if plan.start else plan.preset,
        "train": plan.train,
        "valid": plan.valid,
        "epochs": 0,
        "minutes": 0.0,
        "done": 0.0,
    }


def _learned(folder: Path) -> dict[str, Any]:
    curve = read_curve(folder)
    if curve.empty:
        return {}
    best, last = curve.iloc[int(curve["valid_loss"].argmin())], curve.iloc[-1]
    return {
        "epochs": int(last["epoch"]),
        "minutes": float(last["seconds"]) / 60.0,
        "done": float(last["progress"]),
        "best_epoch": int(best["epoch"]),
        **{name: float(best[name]) for name in _ERRORS},
    }
