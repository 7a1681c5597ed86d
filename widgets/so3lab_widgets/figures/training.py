"""How models learn: errors on training and validation frames against epochs, of one run or of several."""

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd
import plotly.graph_objects as go

from so3lab_widgets.theme import BLUE, VERMILLION, cycle, element_colour, label, require, styled

_COLUMNS = {"forces": "force_mae_meV_A", "energies": "energy_mae_meV", "loss": "loss"}
QUANTITIES = ("forces", "energies", "loss", "forces by element")
"""What can be drawn of a run."""


class Curve(NamedTuple):
    """One line of learning curves."""

    column: str
    """Of the table."""
    name: str
    colour: str
    dash: str


def curves_of(table: pd.DataFrame, quantity: str) -> list[Curve]:
    """The lines that show a quantity.

    Raises:
        ValueError: If there is no such quantity, or the table has no such column.
    """
    if quantity not in QUANTITIES:
        raise ValueError(f"quantity must be one of {', '.join(QUANTITIES)}, got {quantity!r}")
    if quantity == "forces by element":
        ending = "_force_mae_meV_A"
        symbols = [
            name.removeprefix("valid_").removesuffix(ending)
            for name in table.columns
            if name.startswith("valid_") and name.endswith(ending) and name != f"valid{ending}"
        ]
        return [
            Curve(f"{part}_{symbol}{ending}", f"{symbol} {words}", element_colour(symbol), dash)
            for symbol in symbols
            for part, words, dash in (("train", "training", "dot"), ("valid", "validation", "solid"))
        ]
    column = _COLUMNS[quantity]
    require(table, ["epoch", f"train_{column}", f"valid_{column}"])
    return [
        Curve(f"train_{column}", "training", BLUE, "dot"),
        Curve(f"valid_{column}", "validation", VERMILLION, "solid"),
    ]


def training_curves(table: pd.DataFrame, quantity: str = "forces", logarithmic: bool = True) -> go.Figure:
    """Draw errors on training and on validation frames against epochs.

    Args:
        table: A row per epoch, as :meth:`so3lab.training.EpochReport.row` gives them.
        quantity: ``"forces"``, ``"energies"``, ``"loss"`` or ``"forces by element"``.
        logarithmic: Whether the scale of errors is.
    """
    curves = curves_of(table, quantity)
    figure = go.Figure()
    for one in curves:
        line = {"color": one.colour, "dash": one.dash, "width": 1.8}
        hover = f"epoch %{{x}}<br>{one.name} %{{y:.4~g}}<extra></extra>"
        figure.add_scatter(
            x=table["epoch"], y=table[one.column], name=one.name, mode="lines", line=line, hovertemplate=hover
        )
    return _axes(figure, quantity, logarithmic)


def compared_runs(tables: Mapping[str, pd.DataFrame], quantity: str = "forces", logarithmic: bool = True) -> go.Figure:
    """Draw errors of several runs on their validation frames against minutes.

    Args:
        tables: By the name of the run: a row per epoch, as :meth:`so3lab.training.EpochReport.row` gives them.
        quantity: ``"forces"``, ``"energies"`` or ``"loss"``.
        logarithmic: Whether the scale of errors is.

    Raises:
        ValueError: If there is no run, or no such quantity.
    """
    if not tables:
        raise ValueError("tables must hold at least one run, got none")
    if quantity not in _COLUMNS:
        raise ValueError(f"quantity must be one of {', '.join(_COLUMNS)}, got {quantity!r}")
    column, figure = f"valid_{_COLUMNS[quantity]}", go.Figure()
    for colour, (name, table) in zip(cycle(len(tables)), tables.items(), strict=True):
        require(table, ["seconds", column])
        hover = f"{name}<br>after %{{x:.2f}} min<br>%{{y:.4~g}}<extra></extra>"
        figure.add_scatter(
            x=table["seconds"] / 60.0, y=table[column], name=name, mode="lines", line={"color": colour, "width": 1.8},
            hovertemplate=hover, showlegend=True,
        )  # fmt: skip
    _axes(figure, quantity, logarithmic)
    return figure.update_xaxes(title_text="minutes of training").update_yaxes(
        title_text=f"validation: {_title(quantity)}"
    )


def _title(quantity: str) -> str:
    return "loss" if quantity == "loss" else label(_COLUMNS[quantity.split()[0]]).replace("mae", "MAE")


def _axes(figure: go.Figure, quantity: str, logarithmic: bool) -> go.Figure:
    styled(figure, height=300)
    figure.update_xaxes(title_text="epoch")
    scale = {"type": "log", "dtick": "D2", "tickformat": "~g"} if logarithmic else {"rangemode": "tozero"}
    figure.update_yaxes(title_text=_title(quantity), **scale)
    return figure.update_layout(margin={"t": 34, "l": 66, "r": 12}, hovermode="x", uirevision=quantity)
