"""How a table becomes a picture: pure functions from DataFrame to Plotly figure.

Tables carry eV, eV/Å, Å and K unless a column name says otherwise (``time_fs``, ``..._meV``).
"""

import math
from collections.abc import Mapping, Sequence

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
    PALETTE,
    SIGNED_SCALE,
    SKY,
    VERMILLION,
    element_colour,
    label,
    log_ticks,
    require,
    styled,
)

_KCAL_PER_MEV = 0.001 / units.kcal_per_mol
_SCATTER_LIMIT = 4000
_MODES = {
    "compat": ("compat: no self term, as published", VERMILLION, "square"),
    "wolf": ("wolf: with self term", BLUE, "circle"),
}
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
        rows=1, cols=3, horizontal_spacing=0.11,
        subplot_titles=("Validation forces", "Validation energies", "Training"),
        specs=[[{}, {}, {"secondary_y": True}]],
    )  # fmt: skip
    extra = np.column_stack([table["seconds"], table[force] * _KCAL_PER_MEV, table[energy] * _KCAL_PER_MEV])
    common = {"x": table["epoch"], "customdata": extra, "mode": "lines+markers", "marker": {"size": 4}}
    head, after = "epoch %{x}<br>", "<br>after %{customdata[0]:.1f} s<extra></extra>"
    figure.add_scatter(
        y=table[force], line_color=BLUE, name="force error", row=1, col=1, **common,
        hovertemplate=head + "%{y:.2f} meV/Å = %{customdata[1]:.3f} kcal/mol/Å" + after,
    )  # fmt: skip
    figure.add_scatter(
        y=table[energy], line_color=VERMILLION, name="energy error", row=1, col=2, **common,
        hovertemplate=head + "%{y:.2f} meV = %{customdata[2]:.3f} kcal/mol" + after,
    )  # fmt: skip
    figure.add_scatter(
        y=table["train_loss"], line_color=GREEN, name="training loss", row=1, col=3, **common,
        hovertemplate=head + "loss %{y:.3g}" + after,
    )  # fmt: skip
    figure.add_scatter(
        y=table["learning_rate"], line={"color": ORANGE, "dash": "dot"}, name="learning rate", row=1, col=3,
        secondary_y=True, **(common | {"mode": "lines"}),
        hovertemplate=head + "learning rate %{y:.2g}" + after,
    )  # fmt: skip
    best = table.iloc[int(np.argmin(table[force].fillna(np.inf)))]
    figure.add_scatter(
        x=[best["epoch"]], y=[best[force]], mode="markers", hoverinfo="skip", name="best", row=1, col=1,
        marker={"symbol": "star", "size": 13, "color": ORANGE, "line": {"color": INK, "width": 1}},
    )  # fmt: skip
    figure.update_xaxes(title_text="epoch", **log_ticks(table["epoch"]))
    for column, name, place in (
        (force, "force MAE (meV/Å)", {"col": 1}),
        (energy, "energy MAE (meV)", {"col": 2}),
        ("train_loss", "loss", {"col": 3, "secondary_y": False}),
        ("learning_rate", "learning rate", {"col": 3, "secondary_y": True}),
    ):
        figure.update_yaxes(title_text=name, row=1, **place, **log_ticks(table[column]))
    figure.update_yaxes(showgrid=False, secondary_y=True)
    subtitle = (
        f"best epoch {best['epoch']:.0f}: forces {best[force]:.1f} meV/Å"
        f" = {best[force] * _KCAL_PER_MEV:.2f} kcal/mol/Å, energies {best[energy]:.1f} meV"
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
        x=span, y=span, mode="lines", line={"color": INK, "width": 1, "dash": "dash"}, hoverinfo="skip",
        showlegend=False, row=1, col=1,
    )  # fmt: skip
    bins = int(np.clip(2 * np.sqrt(len(errors)), 11, 61))
    counts, edges = np.histogram(errors, bins=bins, range=_error_range(errors))
    figure.add_bar(
        x=0.5 * (edges[1:] + edges[:-1]), y=counts, marker_color=SKY, showlegend=False, row=1, col=2,
        hovertemplate=f"error %{{x:.1f}} {small_unit}<br>%{{y}} values<extra></extra>",
    )  # fmt: skip
    suffix = " − mean" if quantity == "energy" else ""
    figure.update_xaxes(title_text=f"reference {noun}{suffix} ({unit})", range=span, row=1, col=1)
    figure.update_yaxes(title_text=f"predicted {noun}{suffix} ({unit})", range=span, row=1, col=1)
    figure.update_xaxes(title_text=f"error ({small_unit})", row=1, col=2)
    figure.update_yaxes(title_text="values", row=1, col=2)
    subtitle = (
        f"MAE {mae:.1f} {small_unit} = {mae * _KCAL_PER_MEV:.3f} {kcal_unit}"
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
            x=reference[chosen], y=predicted[chosen], mode="markers", name=kind, showlegend=bool(kind),
            marker={"size": 5, "opacity": 0.55, "color": element_colour(kind) if kind else BLUE},
            hovertemplate=f"{kind}<br>reference %{{x:.4f}} {unit}<br>predicted %{{y:.4f}} {unit}"
            "<extra></extra>",
            row=1, col=1,
        )  # fmt: skip


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
    summary = grouped.groupby("element").agg(
        mae=("absolute", "mean"), mse=("square", "mean"), n=("square", "size")
    )
    rmse = np.sqrt(summary["mse"])
    names = [str(name) for name in summary.index]
    extra = np.column_stack([summary["mae"] * _KCAL_PER_MEV, rmse * _KCAL_PER_MEV, summary["n"]])
    figure = go.Figure()
    figure.add_bar(
        x=names, y=summary["mae"], name="MAE", customdata=extra, width=0.5,
        marker_color=[element_colour(name) for name in names],
        hovertemplate="%{x}: MAE %{y:.1f} meV/Å = %{customdata[0]:.3f} kcal/mol/Å"
        "<br>%{customdata[2]:,} components<extra></extra>",
    )  # fmt: skip
    figure.add_scatter(
        x=names, y=rmse, name="RMSE", mode="markers", customdata=extra,
        marker={"symbol": "line-ew", "size": 30, "line": {"width": 3, "color": INK}},
        hovertemplate="%{x}: RMSE %{y:.1f} meV/Å = %{customdata[1]:.3f} kcal/mol/Å<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(title_text="element")
    figure.update_yaxes(title_text="force error (meV/Å)", rangemode="tozero")
    styled(figure, "Force error by element", "bars: mean absolute error, lines: root mean square error")
    return figure.update_layout(showlegend=False)


def time_series(table: pd.DataFrame, *columns: str, levels: Mapping[str, float] | None = None) -> go.Figure:
    """Draw observables of a run against time, one panel below the other.

    Args:
        table: ``time_fs`` (or ``time_ps``) and the columns asked for, such as a trajectory's table.
        columns: What to draw: ``temperature``, ``total_energy``, or a name that ends in its unit.
        levels: Values to mark with a dashed line, by column, such as the thermostat's temperature.
    """
    if not columns:
        raise ValueError("columns names nothing to draw; name for example 'temperature', 'total_energy'")
    names, time = list(columns), _time_ps(table)
    require(table, names)
    figure = make_subplots(rows=len(names), cols=1, shared_xaxes=True, vertical_spacing=0.08)
    for row, (name, colour) in enumerate(zip(names, _cycle(len(names)), strict=True), start=1):
        figure.add_scatter(
            x=time, y=table[name], mode="lines", row=row, col=1, name=label(name),
            line={"color": colour, "width": 1.3},
            hovertemplate=f"%{{x:.3f}} ps<br>{label(name)}: %{{y:.6g}}<extra></extra>",
        )  # fmt: skip
        figure.update_yaxes(title_text=label(name), row=row, col=1)
        if levels and name in levels:
            figure.add_hline(levels[name], line={"color": INK, "dash": "dash", "width": 1}, row=row, col=1)
    figure.update_xaxes(title_text="time (ps)", row=len(names), col=1)
    styled(figure, height=100 + 190 * len(names))
    return figure.update_layout(showlegend=False, hovermode="x", meta={"x": "time_ps"})


def _time_ps(table: pd.DataFrame) -> np.ndarray:
    """Times of the rows in ps."""
    if "time_ps" in table.columns:
        return table["time_ps"].to_numpy(float)
    require(table, ["time_fs"])
    return 0.001 * table["time_fs"].to_numpy(float)


def total_energy(table: pd.DataFrame) -> go.Figure:
    """Show how well the total energy is kept: its change since the first frame, in meV.

    Args:
        table: ``time_fs`` (or ``time_ps``) and ``total_energy`` in eV, such as a trajectory's table.
    """
    require(table, ["total_energy"])
    time, energy = _time_ps(table), table["total_energy"].to_numpy(float)
    change = 1000 * (energy - energy[0])
    figure = go.Figure()
    figure.add_scatter(
        x=time, y=change, mode="lines", line={"color": BLUE, "width": 1.3}, name="total energy",
        hovertemplate="%{x:.3f} ps<br>%{y:.4g} meV<extra></extra>",
    )  # fmt: skip
    subtitle = f"first frame: {energy[0]:.4f} eV"
    if len(time) > 2 and np.ptp(time) > 0:
        slope, start = np.polyfit(time - time[0], change, 1)
        figure.add_scatter(
            x=time[[0, -1]], y=start + slope * (time[[0, -1]] - time[0]), mode="lines", hoverinfo="skip",
            line={"color": VERMILLION, "dash": "dash", "width": 2}, name="linear fit",
        )  # fmt: skip
        subtitle += f" · drift {slope:+.3g} meV/ps · spread {change.std():.3g} meV"
    figure.update_xaxes(title_text="time (ps)")
    figure.update_yaxes(title_text="change of total energy (meV)")
    return styled(figure, "Total energy", subtitle).update_layout(meta={"x": "time_ps"})


def pair_distance_histogram(table: pd.DataFrame) -> go.Figure:
    """Compare the distribution of interatomic distances h(r) of a simulation with the reference frames.

    Args:
        table: ``r`` in Å, ``reference`` and ``simulated`` in 1/Å (each integrates to one).
    """
    require(table, ["r", "reference", "simulated"])
    figure = go.Figure()
    for name, colour, style in (
        ("reference", ORANGE, {"fill": "tozeroy", "line": {"width": 1, "color": ORANGE}}),
        ("simulated", BLUE, {"line": {"width": 2, "color": BLUE}}),
    ):
        figure.add_scatter(
            x=table["r"], y=table[name], mode="lines", name=name, marker_color=colour, **style,
            hovertemplate=f"{name}<br>r = %{{x:.2f}} Å<br>h(r) = %{{y:.3f}} 1/Å<extra></extra>",
        )  # fmt: skip
    present = table["r"][(table["reference"] > 0) | (table["simulated"] > 0)]
    reach = 1.05 * float(present.max() if len(present) else table["r"].max())
    figure.update_xaxes(title_text="interatomic distance r (Å)", range=[0, reach])
    figure.update_yaxes(title_text="h(r) (1/Å)", rangemode="tozero")
    return styled(figure, "Interatomic distances")


def attention_matrix(
    table: pd.DataFrame, atom_labels: Sequence[str] | None = None, kind: str = "head"
) -> go.Figure:
    """Show who listens to whom: one heat map per layer (row) and head or degree (column).

    The scale is centred at zero, because the weights are not normalised and may be negative.

    Args:
        table: ``layer``, ``head_or_degree``, ``receiver``, ``sender``, ``weight``.
        atom_labels: Names of the atoms, such as ``["C0", "C1", "O2"]``; their indices when left out.
        kind: What ``head_or_degree`` counts: ``"head"`` or ``"degree"``.
    """
    if kind not in ("head", "degree"):
        raise ValueError(f"kind must be 'head' or 'degree', got {kind!r}")
    require(table, ["layer", "head_or_degree", "receiver", "sender", "weight"])
    layers, heads = (sorted(table[name].unique()) for name in ("layer", "head_or_degree"))
    atoms = 1 + int(table[["receiver", "sender"]].to_numpy().max())
    names = list(atom_labels) if atom_labels is not None else [str(index) for index in range(atoms)]
    if len(names) < atoms:
        raise ValueError(f"atom_labels names {len(names)} atoms, the table has {atoms}")
    figure = make_subplots(
        rows=len(layers), cols=len(heads), shared_xaxes=True, shared_yaxes=True,
        horizontal_spacing=0.02, vertical_spacing=0.1 / len(layers),
        column_titles=[f"{kind} {head}" for head in heads], row_titles=[f"layer {layer}" for layer in layers],
        x_title="sender (who speaks)", y_title="receiver (who listens)",
    )  # fmt: skip
    for (layer, head), block in table.groupby(["layer", "head_or_degree"]):
        weights = np.full((len(names), len(names)), np.nan, np.float32)
        weights[block["receiver"], block["sender"]] = block["weight"]
        figure.add_heatmap(
            x=names, y=names, z=weights, coloraxis="coloraxis", hoverongaps=False,
            row=layers.index(layer) + 1, col=heads.index(head) + 1,
            hovertemplate=f"layer {layer}, {kind} {head}<br>%{{y}} listens to %{{x}}"
            "<br>weight %{z:.4f} (no unit)<extra></extra>",
        )  # fmt: skip
    largest = float(table["weight"].abs().max()) or 1.0
    bar = {"title": {"text": "weight", "side": "right"}, "thickness": 12}
    scale = {"colorscale": SIGNED_SCALE, "cmin": -largest, "cmax": largest, "colorbar": bar}
    figure.update_xaxes(type="category", showgrid=False, ticks="", tickangle=0 if atoms < 12 else None)
    figure.update_yaxes(type="category", showgrid=False, ticks="", autorange="reversed")
    styled(figure, "Attention weights", height=150 + 230 * len(layers))
    return figure.update_layout(coloraxis=scale, margin={"l": 80, "t": 84})


def energy_terms(table: pd.DataFrame) -> go.Figure:
    """Show which terms of the energy change from one structure to others: repulsion, electrostatics and so on.

    Bars are energies less those of the first structure, since the totals depend on a choice of zero.

    Args:
        table: One row per structure with a column per term in eV, such as
            ``pd.DataFrame([a.energy_terms, b.energy_terms], index=["start", "relaxed"])``; the index names structures.
    """
    require(table, [])
    if len(table) < 2:
        raise ValueError("energy terms are drawn as changes: the table needs two structures, it has one")
    terms = [*table.columns, "total"]
    energies = table.assign(total=table.sum(axis=1))
    changes = energies - energies.iloc[0]
    first = str(table.index[0])
    figure = go.Figure()
    for row, colour in zip(range(1, len(table)), _cycle(len(table) - 1), strict=True):
        name, change = str(table.index[row]), changes.iloc[row].to_numpy(float)
        extra = np.column_stack([1000 * change * _KCAL_PER_MEV, energies.iloc[0], energies.iloc[row]])
        figure.add_bar(
            x=terms, y=change, name=name, marker_color=colour, customdata=extra, texttemplate="%{y:+.3f}",
            textposition="outside", cliponaxis=False, showlegend=len(table) > 2,
            hovertemplate=f"{name}, %{{x}}<br>%{{y:+.4f}} eV = %{{customdata[0]:+.2f}} kcal/mol"
            f"<br>{first} %{{customdata[1]:.4f}} eV, {name} %{{customdata[2]:.4f}} eV<extra></extra>",
        )  # fmt: skip
    figure.add_hline(0.0, line={"color": INK, "width": 1})
    figure.update_xaxes(showgrid=False, showline=False, ticks="")
    heights = changes.to_numpy(float)
    low, high, margin = heights.min(), heights.max(), 0.12 * float(np.ptp(heights)) or 1.0
    figure.update_yaxes(title_text="change of energy (eV)", range=[low - margin, high + margin])
    total = float(changes["total"].iloc[-1])
    subtitle = (
        f"from {first} to {table.index[-1]}: {total:+.3f} eV = {1000 * total * _KCAL_PER_MEV:+.1f} kcal/mol"
    )
    return styled(figure, "Energy by term", subtitle)


def partial_charges(table: pd.DataFrame) -> go.Figure:
    """Show the charge of every atom, coloured by element.

    Args:
        table: One row per atom: ``element``, and ``partial_charge`` in e.
    """
    require(table, ["element", "partial_charge"])
    elements, charges = table["element"].to_numpy(str), table["partial_charge"].to_numpy(float)
    names = [f"{element}{number}" for number, element in enumerate(elements)]
    figure = go.Figure()
    for element in dict.fromkeys(elements):
        chosen = np.flatnonzero(elements == element)
        figure.add_bar(
            x=[names[number] for number in chosen], y=charges[chosen], name=element,
            marker_color=element_colour(element), hovertemplate="%{x}: %{y:+.3f} e<extra></extra>",
        )  # fmt: skip
    figure.add_hline(0.0, line={"color": INK, "width": 1})
    figure.update_xaxes(
        title_text="atom", type="category", categoryorder="array", categoryarray=names, showgrid=False,
        showline=False, ticks="",
    )  # fmt: skip
    figure.update_yaxes(title_text="partial charge (e)")
    styled(figure, "Partial charges", f"they sum to {round(charges.sum(), 2) + 0.0:g} e")
    return figure.update_layout(showlegend=True)


def electrostatics_modes(table: pd.DataFrame) -> go.Figure:
    """Show by how much truncated electrostatics changes forces, against the cutoff, for each mode.

    Args:
        table: ``mode`` (``wolf`` or ``compat``), ``cutoff_A``, ``largest_force_error_eV_A`` and
            ``force_rms_error_eV_A``, such as :func:`so3lab.electrostatics.truncation_errors` gives.
    """
    largest, rms = "largest_force_error_eV_A", "force_rms_error_eV_A"
    require(table, ["mode", "cutoff_A", largest, rms])
    unknown = set(table["mode"]) - set(_MODES)
    if unknown:
        raise ValueError(f"mode must be one of {', '.join(_MODES)}, the table has {', '.join(unknown)}")
    figure = go.Figure()
    for mode, rows in table.sort_values("cutoff_A").groupby("mode"):
        name, colour, symbol = _MODES[str(mode)]
        figure.add_scatter(
            x=rows["cutoff_A"], y=rows[largest], customdata=rows[[rms]], mode="lines+markers", name=name,
            line={"color": colour, "width": 2}, marker={"symbol": symbol, "size": 8},
            hovertemplate=f"{mode}, cutoff %{{x:g}} Å<br>largest difference %{{y:.4f}} eV/Å"
            "<br>root mean square %{customdata[0]:.4f} eV/Å<extra></extra>",
        )  # fmt: skip
    figure.add_hline(
        units.kcal_per_mol, line={"color": INK, "dash": "dash", "width": 1},
        annotation={"text": "1 kcal/mol/Å", "font": {"color": INK, "size": 12}},
    )  # fmt: skip
    figure.update_xaxes(title_text="long-range cutoff (Å)", rangemode="tozero")
    highest = max(float(table[largest].max()), 2 * units.kcal_per_mol)
    figure.update_yaxes(title_text="largest force error (eV/Å)", range=[-0.03 * highest, 1.08 * highest])
    return styled(figure, "Truncated electrostatics", "difference to the forces of exact electrostatics")


def _cycle(count: int) -> list[str]:
    """The first ``count`` colours of the palette, starting again when it ends."""
    return [PALETTE[index % len(PALETTE)] for index in range(count)]
