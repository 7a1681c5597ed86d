"""What so3lab's pictures look like: colours, the Plotly template, labels with units.

Colours follow Okabe and Ito (2008) and stay apart for colour-blind readers. Backgrounds are transparent and
text is a grey that has the same contrast on white and on JupyterLab's dark background, so one figure serves
both themes.
"""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

BLUE, ORANGE, GREEN, VERMILLION, SKY, PURPLE, GREY = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#56B4E9",
    "#CC79A7",
    "#7A7F87",
)
PALETTE = (BLUE, VERMILLION, GREEN, ORANGE, SKY, PURPLE, GREY)
INK = "#7A7F87"
"""Text and axes: contrast 4:1 on white and 4.5:1 on #111111."""
FAINT = "rgba(128, 134, 142, 0.22)"

DENSITY_SCALE = ((0.0, "#3b528b"), (0.35, "#21918c"), (0.7, "#5ec962"), (1.0, "#d8e219"))
"""Counts: viridis without its darkest end, which would vanish on a dark page."""
SIGNED_SCALE = (
    (0.0, "#B24A00"),
    (0.25, "#E69F00"),
    (0.5, "rgba(128, 134, 142, 0.10)"),
    (0.75, "#56B4E9"),
    (1.0, "#00598C"),
)
"""Signed numbers: orange below zero, almost nothing at zero, blue above."""
SIZE_SCALE = ((0.0, SIGNED_SCALE[2][1]), (0.5, SIGNED_SCALE[3][1]), (1.0, SIGNED_SCALE[4][1]))
"""Numbers that are never negative, beside signed ones: the upper half of their colours."""
SIGNED_COLOURS = ("#B24A00", "#E69F00", "#D5D9DE", "#56B4E9", "#00598C")
"""The same for surfaces, which cannot be transparent."""

_ELEMENT_COLOURS = {"H": SKY, "C": GREY, "N": BLUE, "O": VERMILLION, "S": ORANGE, "P": PURPLE, "F": GREEN, "Cl": GREEN}

_PLAIN_UNITS = {
    "temperature": "K",
    "target_temperature": "K",
    "potential_energy": "eV",
    "kinetic_energy": "eV",
    "total_energy": "eV",
    "conserved_energy": "eV",
    "bias_energy": "eV",
    "pressure": "eV/Å³",
    "volume": "Å³",
}
"""Columns of a trajectory's table."""

_UNITS = {
    "kcal_mol_A": "kcal/mol/Å",
    "kcal_mol": "kcal/mol",
    "meV_A": "meV/Å",
    "eV_A": "eV/Å",
    "meV": "meV",
    "eV": "eV",
    "eV_A3": "eV/Å³",
    "A2_per_ps": "Å²/ps",
    "cm2_per_s": "cm²/s",
    "per_cm": "cm⁻¹",
    "A2": "Å²",
    "GPa": "GPa",
    "deg": "°",
    "ps": "ps",
    "fs": "fs",
    "K": "K",
    "percent": "%",
    "A": "Å",
}

_AXIS = {
    "showline": True, "linecolor": INK, "ticks": "outside", "tickcolor": INK, "ticklen": 4,
    "gridcolor": FAINT, "zeroline": False, "automargin": True, "title": {"standoff": 8},
}  # fmt: skip

TEMPLATE = go.layout.Template(
    layout={
        "colorway": PALETTE,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, -apple-system, 'Segoe UI', sans-serif", "size": 13, "color": INK},
        "title": {
            "x": 0,
            "xref": "paper",
            "xanchor": "left",
            "y": 0.97,
            "yref": "container",
            "yanchor": "top",
            "font": {"size": 16},
            "subtitle": {"font": {"size": 12.5}},
        },
        "margin": {"l": 70, "r": 24, "t": 60, "b": 56},
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": INK, "activecolor": BLUE},
        "hoverlabel": {"font": {"size": 12}, "align": "left"},
        "legend": {"orientation": "h", "x": 1, "xanchor": "right", "y": 1.02, "yanchor": "bottom"},
        "xaxis": _AXIS,
        "yaxis": _AXIS,
    }
)


def styled(figure: go.Figure, title: str = "", subtitle: str = "", height: int = 380) -> go.Figure:
    """Give a figure the house style; its width follows the page."""
    heading = {"text": title, "subtitle": {"text": subtitle}}
    top = 88 if subtitle else 60 if title else 24
    figure.update_layout(template=TEMPLATE, title=heading, height=height, autosize=True, margin_t=top)
    return figure


def log_ticks(values: pd.Series) -> dict[str, Any]:
    """A logarithmic axis with ticks at 1, 2, 5, 10, 20, 50 and so on, written out as plain numbers.

    Where fewer than two of them fall into the range of the values, Plotly chooses.
    """
    positive = values[values > 0]
    if positive.empty:
        return {"type": "log"}
    low, high = (math.floor(math.log10(limit)) for limit in (positive.min(), positive.max()))
    steps = (1, 2, 5) if high - low < 3 else (1,)
    ticks = [step * 10.0**power for power in range(low, high + 1) for step in steps] + [10.0 ** (high + 1)]
    if sum(positive.min() <= tick <= positive.max() for tick in ticks) < 2:
        return {"type": "log"}
    return {"type": "log", "tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks]}


def element_colour(symbol: str) -> str:
    """Colour of a chemical element in plots; elements without their own share the palette."""
    return _ELEMENT_COLOURS.get(symbol, PALETTE[sum(map(ord, symbol)) % len(PALETTE)])


def label(column: str) -> str:
    """Axis title of a column: ``temperature`` and ``temperature_K`` become ``temperature (K)``."""
    if column in _PLAIN_UNITS:
        return f"{column.replace('_', ' ')} ({_PLAIN_UNITS[column]})"
    for suffix, unit in _UNITS.items():
        if column.endswith("_" + suffix):
            return f"{column.removesuffix('_' + suffix).replace('_', ' ')} ({unit})"
    return column.replace("_", " ")


def require(table: pd.DataFrame, columns: Sequence[str]) -> None:
    """Check that a table can be drawn.

    Raises:
        ValueError: If a column is missing or the table has no rows.
    """
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise ValueError(f"the table has no column {missing[0]!r}; it has {', '.join(map(str, table.columns))}")
    if table.empty:
        raise ValueError("the table is empty: there is nothing to draw")


def cycle(count: int) -> list[str]:
    """The first ``count`` colours of the palette, starting again when it ends."""
    return [PALETTE[index % len(PALETTE)] for index in range(count)]
