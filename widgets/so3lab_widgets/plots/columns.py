"""What a column of a table can be on a map: an axis, a colour with its legend, a line of words beside a point."""

from typing import Any

import numpy as np
import pandas as pd

from so3lab_widgets.theme import DENSITY_SCALE, PALETTE, label

_CIRCLE = ((0.0, "#3b528b"), (0.25, "#56B4E9"), (0.5, "#d8e219"), (0.75, "#D55E00"), (1.0, "#3b528b"))
"""Angles: what comes round meets itself."""


def numbers_of(table: pd.DataFrame) -> list[str]:
    """Columns that can be an axis."""
    return [str(name) for name in table.columns if pd.api.types.is_numeric_dtype(table[name])]


def colours_of(table: pd.DataFrame) -> list[str]:
    """Columns that can be a colour: numbers, and words where there are few."""
    numbers = set(numbers_of(table))
    return [str(one) for one in table.columns if one in numbers or table[one].nunique() <= len(PALETTE)]


def is_circular(column: str, values: pd.Series) -> bool:
    """Whether these are degrees from -180 to 180."""
    return column.endswith("_deg") and bool((values < 0).any())


def axis_of(column: str, values: pd.Series) -> dict[str, Any]:
    """Range and ticks: the whole turn for angles, or what there is."""
    if is_circular(column, values):
        return {"range": [-185, 185], "autorange": False, "tickvals": [-180, -120, -60, 0, 60, 120, 180]}
    return {"range": None, "autorange": True, "tickvals": None}


def scale_of(column: str, values: pd.Series, drawn: np.ndarray) -> dict[str, Any]:
    """How points are coloured by a column, with its legend."""
    bar: dict[str, Any] = {"title": {"text": label(column), "side": "right"}, "thickness": 12, "outlinewidth": 0}
    if not pd.api.types.is_numeric_dtype(values):
        codes, names = pd.factorize(values)
        count = max(1, len(names))
        steps = [
            (edge / count, PALETTE[number % len(PALETTE)]) for number in range(count) for edge in (number, number + 1)
        ]
        bar |= {"tickvals": list(range(count)), "ticktext": [str(name) for name in names]}
        limits = {"cmin": -0.5, "cmax": count - 0.5}
        return {"color": codes[drawn], "colorscale": steps, "showscale": True, "colorbar": bar, **limits}
    circular = is_circular(column, values)
    finite = values[np.isfinite(values.astype(float))]
    low, high = (-180.0, 180.0) if circular else (finite.min(), finite.max()) if len(finite) else (0.0, 1.0)
    return {
        "color": values.to_numpy(float)[drawn], "colorscale": _CIRCLE if circular else DENSITY_SCALE,
        "cmin": float(low), "cmax": float(high), "showscale": True, "colorbar": bar,
    }  # fmt: skip


def line_about(of_point: str, column: str) -> str:
    """A line of what stands beside a point."""
    words, _, unit = label(column).partition(" (")
    space = "" if unit == "°)" else " "
    return f"{words}: %{{{of_point}:.5~g}}{space}{unit.removesuffix(')')}".rstrip()
