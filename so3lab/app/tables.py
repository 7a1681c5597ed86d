"""How people read tables: names of rows kept, headings with units instead of names of columns, one unit of energy.

CSV and JSON, which machines read, have the names that the library gives, and all units.
"""

import argparse
from typing import TYPE_CHECKING, Any, Literal

from so3lab import units

if TYPE_CHECKING:
    import pandas

EnergyUnit = Literal["meV", "kcal/mol"]
ENERGY_UNITS: tuple[EnergyUnit, ...] = ("meV", "kcal/mol")
_UNITS = {
    "kcal_mol_A": "kcal/mol/Å", "kcal_mol": "kcal/mol", "meV_A": "meV/Å", "meV": "meV", "eV_per_ps": "eV/ps",
    "eV_A": "eV/Å", "eV": "eV", "g_cm3": "g/cm³", "GPa": "GPa", "ps": "ps", "fs": "fs", "MB": "MB", "ms": "ms",
    "K": "K", "A": "Å", "s": "s",
}  # fmt: skip
"""Ends of names of columns, and the units they stand for; longer ones first."""
_WORDS = {"mae": "MAE", "rmse": "RMSE", "rms": "RMS", "temperature": "T"}


def for_people(table: "pandas.DataFrame", unit: EnergyUnit = "meV") -> "pandas.DataFrame":
    """The table as it is shown: an index with names as first column, headings, and energies in one unit.

    Args:
        table: Columns named by the library's rule, a quantity and its unit, such as ``force_mae_meV_A``; a heading
            for people stays as it is.
        unit: In which columns in meV or kcal/mol are shown; where a table has both, the other one is left out.
    """
    import pandas as pd

    if not isinstance(table.index, pd.RangeIndex):
        table = table.rename_axis(index=str(table.index.name or "")).reset_index()
    shown: dict[str, Any] = {}
    for name in map(str, table.columns):
        column = table[name]
        stem, end = _split(name)
        milli, kcal = end.startswith("meV"), end.startswith("kcal_mol")
        if milli or kcal:
            there, factor = _in_unit(end, unit)
            if there != end and f"{stem}_{there}" in table:
                continue
            column, end = column * factor, there
        shown[_heading(stem, end)] = column
    return pd.DataFrame(shown)


def add_unit_argument(parser: argparse.ArgumentParser) -> None:
    """The option that says in which unit tables show energies."""
    parser.add_argument(
        "--unit", choices=ENERGY_UNITS, default="meV", help="of energies and forces in tables; CSV and JSON have both"
    )


def heading(name: str) -> str:
    """What people read for the name of a column: ``mean_temperature_K`` is ``mean T (K)``."""
    return _heading(*_split(name))


def force_error(meV_A: float, unit: EnergyUnit) -> str:
    """An error of forces with its unit."""
    if unit == "meV":
        return f"{meV_A:.1f} meV/Å"
    return f"{meV_A * units.kcal_mol_per_meV:.3f} kcal/mol/Å"


def number(value: Any) -> str:
    """A cell: four digits are enough for people, and nothing is shown for nothing."""
    import numpy as np

    if isinstance(value, float | np.floating):
        real = float(value)
        return "" if np.isnan(real) else f"{real:.4g}" if abs(real) < 1e4 else f"{real:.1f}"
    return "" if value is None or str(value) == "<NA>" else str(value)


def _split(name: str) -> tuple[str, str]:
    """A name of a column as its quantity and the end that is a unit; without one, the end is empty."""
    for end in _UNITS:
        if name.endswith(f"_{end}"):
            return name.removesuffix(f"_{end}"), end
    return name, ""


def _heading(stem: str, end: str) -> str:
    words = [_WORDS.get(word, word) for word in stem.split("_")] if "_" in stem or end or stem in _WORDS else [stem]
    return " ".join(words) + (f" ({_UNITS[end]})" if end else "")


def _in_unit(end: str, unit: EnergyUnit) -> tuple[str, float]:
    """The end of a name in the wanted unit, and what its numbers are multiplied with."""
    per_length = "_A" if end.endswith("_A") else ""
    there = ("meV" if unit == "meV" else "kcal_mol") + per_length
    to_kcal = units.kcal_mol_per_meV
    return there, 1.0 if there == end else to_kcal if unit == "kcal/mol" else 1.0 / to_kcal
