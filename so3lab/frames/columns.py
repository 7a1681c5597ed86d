"""Which numbers do frames carry: of their comments, their calculators, or a table that somebody has beside them?"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ase import Atoms

_NAMES = {"energy": "potential_energy", "temperature_K": "temperature"}
"""As columns of a trajectory are called (:meth:`so3lab.trajectory.Trajectory.table`)."""
_TIMES_FS = {"time_fs": 1.0, "time_ps": 1000.0}
_SAME_AS_ENERGY = "free_energy"


def named(key: str) -> str:
    """The column of an entry."""
    return _NAMES.get(key, key)


def numbers_of(atoms: Atoms) -> dict[str, float]:
    """Single numbers of a frame: of ``atoms.info`` and of its calculator's results."""
    entries = {**atoms.info, **getattr(atoms.calc, "results", {})}
    return {named(str(key)): float(value) for key, value in entries.items() if _is_number(value)}


def numbers_in(frames: Iterable[Atoms]) -> dict[str, np.ndarray]:
    """Numbers of all frames by column, NaN where a frame has none."""
    return columns_of([numbers_of(atoms) for atoms in frames])


def columns_of(rows: list[Mapping[str, float]] | list[dict[str, float]]) -> dict[str, np.ndarray]:
    """Rows as columns; an energy that is said twice is there once."""
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: np.array([row.get(name, np.nan) for row in rows], float) for name in names}
    energy, again = columns.get("potential_energy"), columns.get(_SAME_AS_ENERGY)
    if energy is not None and again is not None and np.array_equal(energy, again, equal_nan=True):
        del columns[_SAME_AS_ENERGY]
    return columns


def times_in(columns: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Times of frames in fs, where columns say them for all."""
    for name, factor in _TIMES_FS.items():
        if name in columns and np.isfinite(columns[name]).all():
            return factor * columns[name]
    return None


def read_columns(source: str | os.PathLike | pd.DataFrame, frames: int) -> pd.DataFrame:
    """Numbers that go with frames, one row per frame, from a CSV file or a table.

    Args:
        source: A CSV file with a line of names, or a table; columns of words are left out.
        frames: How many rows there must be.

    Raises:
        ValueError: If there are other numbers of rows, or no column of numbers.
        FileNotFoundError: If there is no such file.
    """
    where = "the table" if isinstance(source, pd.DataFrame) else str(source)
    try:
        table = source if isinstance(source, pd.DataFrame) else pd.read_csv(Path(source).expanduser())
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"{where} must be a CSV file with a line of names: {' '.join(str(error).split())}") from None
    if len(table) != frames:
        raise ValueError(f"{where} must have one row for each of the {frames:,} frames, got {len(table):,}")
    kept = [name for name in table.columns if pd.api.types.is_numeric_dtype(table[name]) and not _counts(name)]
    if not kept:
        raise ValueError(f"{where} must have columns of numbers, got {', '.join(map(str, table.columns)) or 'none'}")
    return table[kept].rename(columns=lambda name: named(str(name))).reset_index(drop=True)


def _counts(name: Any) -> bool:
    """Whether a column only counts rows."""
    return str(name) in ("frame", "step") or str(name) in _TIMES_FS or str(name).startswith("Unnamed")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool | np.bool_)
