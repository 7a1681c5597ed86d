"""What happens along a trajectory."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from so3lab_widgets.theme import BLUE, INK, ORANGE, VERMILLION, cycle, label, require, styled


def time_series(table: pd.DataFrame, *columns: str, levels: Mapping[str, float] | None = None) -> go.Figure:
    """Draw observables of a run against time, one panel below the other.

    Args:
        table: ``time_fs`` (or ``time_ps``) and the columns asked for, such as a trajectory's table.
        columns: What to draw: ``temperature``, ``total_energy``, or a name that ends in its unit.
        levels: Values to mark with a dashed line, by column, such as the thermostat's temperature.
    """
    if not columns:
        raise ValueError("columns names nothing to draw; name for example 'temperature', 'total_energy'")
    names, time = list(columns), time_ps(table)
    require(table, names)
    figure = make_subplots(rows=len(names), cols=1, shared_xaxes=True, vertical_spacing=0.08)
    for row, (name, colour) in enumerate(zip(names, cycle(len(names)), strict=True), start=1):
        figure.add_scatter(
            x=time,
            y=table[name],
            mode="lines",
            row=row,
            col=1,
            name=label(name),
            line={"color": colour, "width": 1.3},
            hovertemplate=f"%{{x:.3f}} ps<br>{label(name)}: %{{y:.6g}}<extra></extra>",
        )
        figure.update_yaxes(title_text=label(name), row=row, col=1)
        if levels and name in levels:
            figure.add_hline(levels[name], line={"color": INK, "dash": "dash", "width": 1}, row=row, col=1)
    figure.update_xaxes(title_text="time (ps)", row=len(names), col=1)
    styled(figure, height=100 + 190 * len(names))
    return figure.update_layout(showlegend=False, hovermode="x", meta={"x": "time_ps"})


def time_ps(table: pd.DataFrame) -> np.ndarray:
    """Times of the rows of a table in ps, from its ``time_ps`` or ``time_fs``."""
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
    time, energy = time_ps(table), table["total_energy"].to_numpy(float)
    change = 1000 * (energy - energy[0])
    figure = go.Figure()
    figure.add_scatter(
        x=time,
        y=change,
        mode="lines",
        line={"color": BLUE, "width": 1.3},
        name="total energy",
        hovertemplate="%{x:.3f} ps<br>%{y:.4g} meV<extra></extra>",
    )
    subtitle = f"first frame: {energy[0]:.4f} eV"
    if len(time) > 2 and np.ptp(time) > 0:
        slope, start = np.polyfit(time - time[0], change, 1)
        figure.add_scatter(
            x=time[[0, -1]],
            y=start + slope * (time[[0, -1]] - time[0]),
            mode="lines",
            hoverinfo="skip",
            line={"color": VERMILLION, "dash": "dash", "width": 2},
            name="linear fit",
        )
        subtitle += f" · drift {slope:+.3g} meV/ps · spread {change.std():.3g} meV"
    figure.update_xaxes(title_text="time (ps)")
    figure.update_yaxes(title_text="change of total energy (meV)")
    return styled(figure, "Total energy", subtitle).update_layout(meta={"x": "time_ps"})


def pair_distance_histogram(table: pd.DataFrame) -> go.Figure:
    """Show the distribution of interatomic distances h(r), that of a simulation beside that of reference frames.

    Args:
        table: ``r`` in Å, and in 1/Å (each integrates to one) ``reference`` and ``simulated``, or ``h`` alone as
            :func:`so3lab.observables.pair_distance_histogram` gives it. A column of NaN is not drawn.
    """
    require(table, ["r", "h"] if "h" in table.columns else ["r", "reference", "simulated"])
    figure, drawn = go.Figure(), []
    for name, colour, style in (
        ("reference", ORANGE, {"fill": "tozeroy", "line": {"width": 1, "color": ORANGE}}),
        ("simulated", BLUE, {"line": {"width": 2, "color": BLUE}}),
        ("h", BLUE, {"line": {"width": 2, "color": BLUE}}),
    ):
        if name not in table.columns or table[name].isna().all():
            continue
        drawn.append(name)
        figure.add_scatter(
            x=table["r"],
            y=table[name],
            mode="lines",
            name=name,
            marker_color=colour,
            **style,
            hovertemplate=f"{name}<br>r = %{{x:.2f}} Å<br>h(r) = %{{y:.3f}} 1/Å<extra></extra>",
        )
    present = table["r"][(table[drawn] > 0).any(axis=1)]
    reach = 1.05 * float(present.max() if len(present) else table["r"].max())
    figure.update_xaxes(title_text="interatomic distance r (Å)", range=[0, reach])
    figure.update_yaxes(title_text="h(r) (1/Å)", rangemode="tozero")
    return styled(figure, "Interatomic distances").update_layout(showlegend=len(drawn) > 1)
