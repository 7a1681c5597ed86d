"""How a model learns and how far it is from its reference."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from so3lab import units
from so3lab_widgets.theme import (
    BLUE,
    DENSITY_SCALE,
    GREEN,
    INK,
    ORANGE,
    SKY,
    VERMILLION,
    element_colour,
    log_ticks,
    require,
    styled,
)

_SCATTER_LIMIT = 4000
_PARITY = {"energy": ("eV", "meV", "kcal/mol"), "force": ("eV/Å", "meV/Å", "kcal/mol/Å")}


def learning_curves(table: pd.DataFrame) -> go.Figure:
    """Draw how training went: validation errors, training loss and learning rate against epochs.

    Args:
        table: One row per epoch: ``epoch``, ``seconds``, ``train_loss``, ``valid_energy_mae_meV``,
            ``valid_force_mae_meV_A``, ``learning_rate``. The best force error is marked.
    """
    force, energy = "valid_force_mae_meV_A", "valid_energy_mae_meV"
    require(table, ["epoch", "seconds", "train_loss", energy, force, "learning_rate"])
    figure = make_subplots(
        rows=1,
        cols=3,
        horizontal_spacing=0.11,
        subplot_titles=("Validation forces", "Validation energies", "Training"),
        specs=[[{}, {}, {"secondary_y": True}]],
    )
    extra = np.column_stack(
        [table["seconds"], table[force] * units.kcal_mol_per_meV, table[energy] * units.kcal_mol_per_meV]
    )
    for column, name, colour, place, title, told in (
        (force, "force error", BLUE, {"col": 1}, "force MAE (meV/Å)",
         "%{y:.2f} meV/Å = %{customdata[1]:.3f} kcal/mol/Å"),
        (energy, "energy error", VERMILLION, {"col": 2}, "energy MAE (meV)",
         "%{y:.2f} meV = %{customdata[2]:.3f} kcal/mol"),
        ("train_loss", "training loss", GREEN, {"col": 3, "secondary_y": False}, "loss", "loss %{y:.3g}"),
        ("learning_rate", "learning rate", ORANGE, {"col": 3, "secondary_y": True}, "learning rate",
         "learning rate %{y:.2g}"),
    ):  # fmt: skip
        rates = column == "learning_rate"
        figure.add_scatter(
            x=table["epoch"],
            y=table[column],
            customdata=extra,
            mode="lines" if rates else "lines+markers",
            marker={"size": 4},
            line={"color": colour, "dash": "dot" if rates else "solid"},
            name=name,
            hovertemplate=f"epoch %{{x}}<br>{told}<br>after %{{customdata[0]:.1f}} s<extra></extra>",
            row=1,
            **place,
        )
        figure.update_yaxes(title_text=title, row=1, **place, **log_ticks(table[column]))
    best = table.iloc[int(np.argmin(table[force].fillna(np.inf)))]
    figure.add_scatter(
        x=[best["epoch"]],
        y=[best[force]],
        mode="markers",
        hoverinfo="skip",
        name="best",
        row=1,
        col=1,
        marker={"symbol": "star", "size": 13, "color": ORANGE, "line": {"color": INK, "width": 1}},
    )
    figure.update_xaxes(title_text="epoch", **log_ticks(table["epoch"]))
    figure.update_yaxes(showgrid=False, secondary_y=True)
    subtitle = (
        f"best epoch {best['epoch']:.0f}: forces {best[force]:.1f} meV/Å"
        f" = {best[force] * units.kcal_mol_per_meV:.2f} kcal/mol/Å, energies {best[energy]:.1f} meV"
    )
    styled(figure, "Learning curves", subtitle, 390)
    return figure.update_layout(margin_t=104, showlegend=False)


def parity(table: pd.DataFrame, quantity: str) -> go.Figure:
    """Compare predictions with references: every pair beside the diagonal, and how the errors spread.

    Many points are drawn as a map of counts, few as dots coloured by element.

    Args:
        table: ``reference`` and ``predicted`` in eV or eV/Å, optionally ``element``; rows with another
            ``kind`` than the quantity are left out.
        quantity: ``"energy"`` (drawn relative to the mean reference) or ``"force"``.
    """
    if quantity not in _PARITY:
        raise ValueError(f"quantity must be 'energy' or 'force', got {quantity!r}")
    table = _of_kind(table, quantity)
    require(table, ["reference", "predicted"])
    unit, small_unit, kcal_unit = _PARITY[quantity]
    noun = quantity
    origin = table["reference"].mean() if quantity == "energy" else 0.0
    reference = table["reference"].to_numpy(float) - origin
    predicted = table["predicted"].to_numpy(float) - origin
    errors = 1000 * (predicted - reference)
    mae, rmse = float(np.abs(errors).mean()), float(np.sqrt((errors**2).mean()))
    figure = make_subplots(rows=1, cols=2, column_widths=[0.58, 0.42], horizontal_spacing=0.14)
    low, high = min(reference.min(), predicted.min()), max(reference.max(), predicted.max())
    margin = 0.03 * (high - low) or 1.0
    span = [low - margin, high + margin]
    if len(table) > _SCATTER_LIMIT:
        figure.add_trace(_density(reference, predicted, span, noun, unit), row=1, col=1)
    else:
        _add_dots(figure, reference, predicted, table.get("element"), unit)
    figure.add_scatter(
        x=span,
        y=span,
        mode="lines",
        line={"color": INK, "width": 1, "dash": "dash"},
        hoverinfo="skip",
        showlegend=False,
        row=1,
        col=1,
    )
    _add_spread(figure, errors, small_unit)
    suffix = " − mean" if quantity == "energy" else ""
    figure.update_xaxes(title_text=f"reference {noun}{suffix} ({unit})", range=span, row=1, col=1)
    figure.update_yaxes(title_text=f"predicted {noun}{suffix} ({unit})", range=span, row=1, col=1)
    figure.update_xaxes(title_text=f"error ({small_unit})", row=1, col=2)
    figure.update_yaxes(title_text="values", row=1, col=2)
    subtitle = (
        f"MAE {mae:.1f} {small_unit} = {mae * units.kcal_mol_per_meV:.3f} {kcal_unit}"
        f" · RMSE {rmse:.1f} {small_unit} · {len(table):,} values"
    )
    return styled(figure, f"{noun.capitalize()} parity", subtitle, 430).update_layout(bargap=0)


def _of_kind(table: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Rows about energies or about forces, when the table holds both."""
    return table[table["kind"] == kind] if "kind" in table.columns else table


def _add_dots(
    figure: go.Figure, reference: np.ndarray, predicted: np.ndarray, elements: pd.Series | None, unit: str
) -> None:
    """One dot per value, coloured and named by element where elements are known."""
    kinds = np.full(len(reference), "") if elements is None else elements.to_numpy(str)
    for kind in np.unique(kinds):
        chosen = kinds == kind
        figure.add_scatter(
            x=reference[chosen],
            y=predicted[chosen],
            mode="markers",
            name=kind,
            showlegend=bool(kind),
            marker={"size": 5, "opacity": 0.55, "color": element_colour(kind) if kind else BLUE},
            hovertemplate=f"{kind}<br>reference %{{x:.4f}} {unit}<br>predicted %{{y:.4f}} {unit}<extra></extra>",
            row=1,
            col=1,
        )


def _add_spread(figure: go.Figure, errors: np.ndarray, unit: str) -> None:
    """How often errors of each size occur."""
    bins = int(np.clip(2 * np.sqrt(len(errors)), 11, 61))
    counts, edges = np.histogram(errors, bins=bins, range=_error_range(errors))
    figure.add_bar(
        x=0.5 * (edges[1:] + edges[:-1]),
        y=counts,
        marker_color=SKY,
        showlegend=False,
        row=1,
        col=2,
        hovertemplate=f"error %{{x:.1f}} {unit}<br>%{{y}} values<extra></extra>",
    )


def _density(x: np.ndarray, y: np.ndarray, span: Sequence[float], noun: str, unit: str) -> go.Heatmap:
    """Counts on a grid, logarithmic in colour, empty where nothing is."""
    counts, edges, _ = np.histogram2d(x, y, bins=140, range=[span, span])
    centres = 0.5 * (edges[1:] + edges[:-1])
    with np.errstate(divide="ignore"):
        shade = np.where(counts > 0, np.log10(counts), np.nan).T
    ticks = list(range(math.ceil(np.nanmax(shade)) + 1))
    return go.Heatmap(
        x=centres.astype(np.float32), y=centres.astype(np.float32), z=shade.astype(np.float32),
        customdata=counts.T.astype(np.int32), colorscale=DENSITY_SCALE, hoverongaps=False, name=noun,
        colorbar={
            "title": {"text": "values", "side": "top"}, "orientation": "h", "x": 0.36, "y": 0.1, "len": 0.2,
            "thickness": 8,
            "tickvals": ticks, "ticktext": [f"{10**tick:,}" for tick in ticks],
        },
        hovertemplate=f"reference %{{x:.3f}} {unit}<br>predicted %{{y:.3f}} {unit}"
        "<br>%{customdata:,} values<extra></extra>",
    )  # fmt: skip


def _error_range(errors: np.ndarray) -> tuple[float, float]:
    """Symmetric range that holds 99.5 % of the errors, so that one outlier does not flatten the histogram."""
    width = float(np.quantile(np.abs(errors), 0.995)) or 1.0
    return -width, width


def force_error_by_element(table: pd.DataFrame) -> go.Figure:
    """Show which elements the model finds hard: force MAE and RMSE per element.

    Args:
        table: ``element``, ``reference`` and ``predicted`` force components in eV/Å.
    """
    table = _of_kind(table, "force")
    require(table, ["element", "reference", "predicted"])
    errors = 1000 * (table["predicted"] - table["reference"])
    grouped = pd.DataFrame({"element": table["element"], "absolute": errors.abs(), "square": errors**2})
    summary = grouped.groupby("element").agg(mae=("absolute", "mean"), mse=("square", "mean"), n=("square", "size"))
    rmse = np.sqrt(summary["mse"])
    names = [str(name) for name in summary.index]
    extra = np.column_stack([summary["mae"] * units.kcal_mol_per_meV, rmse * units.kcal_mol_per_meV, summary["n"]])
    figure = go.Figure()
    figure.add_bar(
        x=names,
        y=summary["mae"],
        name="MAE",
        customdata=extra,
        width=0.5,
        marker_color=[element_colour(name) for name in names],
        hovertemplate="%{x}: MAE %{y:.1f} meV/Å = %{customdata[0]:.3f} kcal/mol/Å"
        "<br>%{customdata[2]:,} components<extra></extra>",
    )
    figure.add_scatter(
        x=names,
        y=rmse,
        name="RMSE",
        mode="markers",
        customdata=extra,
        marker={"symbol": "line-ew", "size": 30, "line": {"width": 3, "color": INK}},
        hovertemplate="%{x}: RMSE %{y:.1f} meV/Å = %{customdata[1]:.3f} kcal/mol/Å<extra></extra>",
    )
    figure.update_xaxes(title_text="element")
    figure.update_yaxes(title_text="force error (meV/Å)", rangemode="tozero")
    styled(figure, "Force error by element", "bars: mean absolute error, lines: root mean square error")
    return figure.update_layout(showlegend=False)


def force_error_by_frame(table: pd.DataFrame) -> go.Figure:
    """Show which frames the model finds hard: the force MAE of each, coloured by its energy error.

    Args:
        table: ``frame``, ``energy_error_meV``, ``force_mae_meV_A`` and ``largest_force_error_meV_A``, a row per frame.
    """
    require(table, ["frame", "energy_error_meV", "force_mae_meV_A", "largest_force_error_meV_A"])
    figure = go.Figure()
    figure.add_scatter(
        x=table["frame"],
        y=table["force_mae_meV_A"],
        mode="markers",
        customdata=np.column_stack([table["energy_error_meV"], table["largest_force_error_meV_A"]]),
        marker={
            "size": 6,
            "color": table["energy_error_meV"].abs(),
            "colorscale": DENSITY_SCALE,
            "colorbar": {"title": {"text": "|energy error|<br>(meV)"}, "thickness": 10},
        },
        hovertemplate="frame %{x}<br>force MAE %{y:.1f} meV/Å, at most %{customdata[1]:.0f} meV/Å"
        "<br>energy error %{customdata[0]:+.1f} meV<extra></extra>",
    )
    figure.update_xaxes(title_text="frame")
    figure.update_yaxes(title_text="force MAE (meV/Å)", rangemode="tozero")
    return styled(figure, "Errors by frame", "coloured by the error of the energy")
