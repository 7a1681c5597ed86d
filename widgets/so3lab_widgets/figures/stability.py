"""Which simulations survive, how far their bonds stray, and how force errors are spread."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from so3lab import units
from so3lab.counting import counted
from so3lab_widgets.figures.motion import time_ps
from so3lab_widgets.theme import BLUE, INK, PALETTE, VERMILLION, require, styled

UNSTABLE_A = 0.5
"""Change of a bond length beyond which a simulation counts as unstable."""
_MOST_BINS = 60


def survival(replicas: pd.DataFrame, temperatures: pd.DataFrame | None = None) -> go.Figure:
    """Draw which share of the simulations is still stable against time, a staircase for each temperature.

    Args:
        replicas: One row per simulation: ``temperature_K``, ``stable_ps`` and ``unstable_at_ps`` (NaN when it
            survived), such as :attr:`so3lab.stability.Stability.replicas`.
        temperatures: ``temperature_K``, ``fraction_low`` and ``fraction_high``: the 2σ interval at the end, drawn as a
            bar at the right.
    """
    require(replicas, ["temperature_K", "stable_ps", "unstable_at_ps"])
    end = float(np.nanmax(replicas[["stable_ps", "unstable_at_ps"]].to_numpy(float))) or 1.0
    groups = list(replicas.groupby("temperature_K"))
    figure, words = go.Figure(), []
    for place, (temperature, group) in enumerate(groups):
        colour, name = _colour(place, len(groups)), f"{temperature:g} K"
        broken = np.sort(group["unstable_at_ps"].dropna().to_numpy(float))
        left = 1.0 - np.arange(len(broken) + 1) / len(group)
        words.append(f"{len(group) - len(broken)} of {len(group)} at {name}")
        # Curves that lie on each other remain visible: those on top are thinner.
        figure.add_scatter(
            x=[0.0, *broken, end],
            y=100 * np.append(left, left[-1]),
            mode="lines",
            name=name,
            line={"shape": "hv", "color": colour, "width": 2 + 4 * (len(groups) - 1 - place)},
            hovertemplate=f"{name}, after %{{x:.4~g}} ps<br>%{{y:.0f}} % are stable<extra></extra>",
        )
        row = None if temperatures is None else temperatures[temperatures["temperature_K"] == temperature]
        if row is not None and len(row):
            low, high = 100 * float(row["fraction_low"].iloc[0]), 100 * float(row["fraction_high"].iloc[0])
            value = 100 * float(left[-1])
            figure.add_scatter(
                x=[end * (1.03 + 0.03 * place)], y=[value], mode="markers", showlegend=False,
                marker={"color": colour, "size": 8},
                error_y={
                    "type": "data", "array": [high - value], "arrayminus": [value - low], "color": colour,
                    "thickness": 1.5, "width": 5,
                },
                hovertemplate=f"{name}: {value:.0f} %, 2σ interval {low:.0f} to {high:.0f} %<extra></extra>",
            )  # fmt: skip
    room = 1.0 if temperatures is None else 1.03 + 0.03 * len(groups)
    figure.update_xaxes(title_text="time (ps)", range=[0.0, end * room])
    figure.update_yaxes(title_text="stable simulations (%)", range=[-3, 106], tickvals=[0, 25, 50, 75, 100])
    subtitle = "stable to the end: " + ", ".join(words)
    return styled(figure, "Survival", subtitle + ("" if temperatures is None else " · bars: 2σ intervals"))


def largest_deviation(table: pd.DataFrame) -> go.Figure:
    """Draw the largest change of any bond against time, a thin line for each simulation.

    Args:
        table: ``replica``, ``temperature_K``, ``time_ps`` and ``largest_deviation_A``, such as
            :attr:`so3lab.stability.Stability.deviations`.
    """
    column = "largest_deviation_A"
    require(table, ["replica", "temperature_K", "time_ps", column])
    groups = list(table.groupby("temperature_K"))
    figure = go.Figure()
    for place, (temperature, group) in enumerate(groups):
        colour, name = _colour(place, len(groups)), f"{temperature:g} K"
        for order, (replica, rows) in enumerate(group.groupby("replica")):
            figure.add_scatter(
                x=time_ps(rows),
                y=rows[column],
                mode="lines",
                name=name,
                legendgroup=name,
                showlegend=order == 0,
                line={"color": colour, "width": 1},
                opacity=0.65,
                hovertemplate=f"replica {replica}, {name}<br>%{{x:.4~g}} ps: %{{y:.3f}} Å<extra></extra>",
            )
    figure.add_hline(UNSTABLE_A, line={"color": INK, "dash": "dash", "width": 1.5})
    worst = float(table[column].max())
    figure.update_xaxes(title_text="time (ps)", rangemode="tozero")
    figure.update_yaxes(title_text="largest change of a bond (Å)", range=[0.0, 1.1 * min(max(worst, UNSTABLE_A), 1.5)])
    beyond = "" if worst <= 1.65 else " · cut off above"
    subtitle = f"largest {worst:.2f} Å · dashed: {UNSTABLE_A} Å, unstable{beyond}"
    figure.update_layout(meta={"x": "time_ps"})
    return styled(figure, "Bonds", subtitle)


def force_error_histogram(table: pd.DataFrame) -> go.Figure:
    """Show how the force errors of structures are spread: mean absolute and root mean square error of each.

    Args:
        table: ``force_mae_meV_A`` and ``force_rmse_meV_A``, one row per structure, such as
            :attr:`so3lab.training.evaluation.Evaluation.structures`.
    """
    names = {"MAE": ("force_mae_meV_A", BLUE), "RMSE": ("force_rmse_meV_A", VERMILLION)}
    require(table, [column for column, _ in names.values()])
    values = table[[column for column, _ in names.values()]].to_numpy(float)
    bins = int(np.clip(2 * np.sqrt(len(table)), 10, _MOST_BINS))
    edges = np.linspace(0.0, 1.0001 * float(values.max()) or 1.0, bins + 1)
    figure, words = go.Figure(), []
    for place, (name, (_, colour)) in enumerate(names.items()):
        counts, _ = np.histogram(values[:, place], edges)
        typical = float(np.median(values[:, place]))
        words.append(f"{name} {typical:.1f} meV/Å = {typical * units.kcal_mol_per_meV:.2f} kcal/mol/Å")
        spans = np.column_stack([edges[:-1], edges[1:]])
        span = "%{customdata[0]:.1f} to %{customdata[1]:.1f} meV/Å"
        words_of_bin = f"{name} {span}<br>%{{y}} structures<extra></extra>"
        common = {"x": 0.5 * (edges[1:] + edges[:-1]), "y": counts, "name": name, "customdata": spans}
        if place == 0:
            figure.add_bar(
                **common,
                width=np.diff(edges),
                opacity=0.75,
                marker_color=colour,
                hovertemplate=words_of_bin,
            )
        else:  # an outline, so that both can be seen where they overlap
            figure.add_scatter(
                **common, mode="lines", line={"shape": "hvh", "color": colour, "width": 2}, hovertemplate=words_of_bin
            )
    figure.update_layout(bargap=0)
    figure.update_xaxes(title_text="force error of a structure (meV/Å)", rangemode="tozero")
    figure.update_yaxes(title_text="structures", rangemode="tozero")
    return styled(figure, f"Force errors of {counted(len(table), 'structure')}", "median " + ", ".join(words))


def _colour(place: int, of: int) -> str:
    """Cold to hot where there are two temperatures, otherwise the palette."""
    return (BLUE, VERMILLION)[place] if of <= 2 else PALETTE[place % len(PALETTE)]
