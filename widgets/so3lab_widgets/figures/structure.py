"""Which shapes a trajectory visits: distances, angles, conformations, hydrogen bonds."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from so3lab_widgets.figures.motion import time_ps
from so3lab_widgets.theme import BLUE, DENSITY_SCALE, INK, cycle, element_colour, label, require, styled

_DIHEDRAL_TICKS = list(range(-180, 181, 60))
_MOST_BONDS = 20


def radial_distribution(table: pd.DataFrame) -> go.Figure:
    """Show how the density around an atom departs from the mean density.

    Args:
        table: ``r`` in Å and ``g``, such as :func:`so3lab.observables.radial_distribution` gives; a column ``pair``
            (such as ``"O-H"``) tells several curves apart.
    """
    require(table, ["r", "g"])
    figure = go.Figure()
    names = table["pair"] if "pair" in table.columns else pd.Series("g(r)", index=table.index)
    curves = list(table.groupby(names, sort=False))
    for (name, rows), colour in zip(curves, cycle(len(curves)), strict=True):
        figure.add_scatter(
            x=rows["r"],
            y=rows["g"],
            mode="lines",
            name=str(name),
            line={"color": colour, "width": 2},
            hovertemplate=f"{name}<br>r = %{{x:.2f}} Å<br>g = %{{y:.3f}}<extra></extra>",
        )
    figure.add_hline(1.0, line={"color": INK, "dash": "dash", "width": 1})
    figure.update_xaxes(title_text="distance r (Å)", range=[0, float(table["r"].max())])
    figure.update_yaxes(title_text="g(r) (no unit)", rangemode="tozero")
    peak = table.iloc[int(np.argmax(table["g"]))]
    subtitle = f"highest at {peak['r']:.2f} Å: {peak['g']:.2f} times the mean density (dashed)"
    styled(figure, "Radial distribution function", subtitle)
    return figure.update_layout(showlegend=len(curves) > 1)


def internal_coordinates(table: pd.DataFrame) -> go.Figure:
    """Draw distances, angles and dihedrals against time, one panel below the other.

    Args:
        table: ``time_fs`` (or ``time_ps``) and columns that end in ``_A`` or ``_deg``, such as
            :func:`so3lab.observables.internal_coordinates` gives. Angles with a sign get an axis from -180° to 180°
            and a line that does not run from one end to the other.
    """
    names = [str(name) for name in table.columns if str(name).endswith(("_A", "_deg"))]
    require(table, names or ["…_A or …_deg"])
    time = time_ps(table)
    figure = make_subplots(rows=len(names), cols=1, shared_xaxes=True, vertical_spacing=min(0.08, 0.3 / len(names)))
    for row, (name, colour) in enumerate(zip(names, cycle(len(names)), strict=True), start=1):
        values = table[name].to_numpy(float)
        signed = name.endswith("_deg") and bool(np.nanmin(values) < 0)
        x, y = _without_jumps(time, values) if signed else (time, values)
        unit = "°" if name.endswith("_deg") else " Å"
        figure.add_scatter(
            x=x,
            y=y,
            mode="lines",
            row=row,
            col=1,
            name=label(name),
            line={"color": colour, "width": 1.3},
            hovertemplate=f"%{{x:.3f}} ps<br>{label(name).rsplit(' (', 1)[0]}: %{{y:.4~g}}{unit}<extra></extra>",
        )
        figure.update_yaxes(title_text=label(name), row=row, col=1)
        if signed:
            figure.update_yaxes(range=[-180, 180], tickvals=_DIHEDRAL_TICKS, row=row, col=1)
    figure.update_xaxes(title_text="time (ps)", row=len(names), col=1)
    styled(figure, height=100 + 190 * len(names))
    return figure.update_layout(showlegend=False, hovermode="x", meta={"x": "time_ps"})


def _without_jumps(time: np.ndarray, degrees: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The curve with a gap wherever it leaves at one end of the axis and comes back at the other."""
    gaps = np.flatnonzero(np.abs(np.diff(degrees)) > 180.0) + 1
    return np.insert(time, gaps, time[gaps]), np.insert(degrees, gaps, np.nan)


def rmsd(table: pd.DataFrame) -> go.Figure:
    """Draw the distance from a reference structure against time.

    Args:
        table: ``time_fs`` (or ``time_ps``) and one or more columns that end in ``_A``, such as
            :func:`so3lab.observables.rmsd` gives.
    """
    names = [str(name) for name in table.columns if str(name).endswith("_A")]
    require(table, names or ["rmsd_A"])
    figure, time = go.Figure(), time_ps(table)
    for name, colour in zip(names, cycle(len(names)), strict=True):
        shown = name.removesuffix("_A").replace("_", " ").replace("rmsd", "RMSD")
        figure.add_scatter(
            x=time,
            y=table[name],
            mode="lines",
            name=shown,
            line={"color": colour, "width": 1.3},
            hovertemplate=f"%{{x:.3f}} ps<br>{shown}: %{{y:.3f}} Å<extra></extra>",
        )
    figure.update_xaxes(title_text="time (ps)")
    figure.update_yaxes(title_text="RMSD (Å)", rangemode="tozero")
    subtitle = f"mean {table[names[0]].mean():.2f} Å, largest {table[names[0]].max():.2f} Å"
    styled(figure, "Distance from the reference structure", subtitle)
    return figure.update_layout(showlegend=len(names) > 1, meta={"x": "time_ps"})


def rmsf(table: pd.DataFrame) -> go.Figure:
    """Show how much each atom moves about its mean place, coloured by element.

    Args:
        table: ``element`` and ``rmsf_A``, one row per atom, such as :func:`so3lab.observables.rmsf` gives; ``atom``
            holds indices when these are not all atoms.
    """
    require(table, ["element", "rmsf_A"])
    elements = table["element"].to_numpy(str)
    numbers = table["atom"].to_numpy(int) if "atom" in table.columns else np.arange(len(table))
    names = [f"{element}{number}" for element, number in zip(elements, numbers, strict=True)]
    figure = go.Figure()
    for element in dict.fromkeys(elements):
        chosen = np.flatnonzero(elements == element)
        figure.add_bar(
            x=[names[index] for index in chosen],
            y=table["rmsf_A"].to_numpy(float)[chosen],
            name=element,
            marker_color=element_colour(element),
            hovertemplate="%{x}: %{y:.3f} Å<extra></extra>",
        )
    figure.update_xaxes(
        title_text="atom",
        type="category",
        categoryorder="array",
        categoryarray=names,
        showgrid=False,
        ticks="",
    )
    figure.update_yaxes(title_text="RMSF (Å)", rangemode="tozero")
    largest = int(table["rmsf_A"].to_numpy(float).argmax())
    subtitle = f"most mobile: {names[largest]}, {table['rmsf_A'].iloc[largest]:.2f} Å"
    return styled(figure, "Fluctuation of each atom", subtitle).update_layout(showlegend=True)


def ramachandran(table: pd.DataFrame) -> go.Figure:
    """Map the free energy over φ and ψ; squares that were never visited stay empty.

    Args:
        table: ``phi_deg``, ``psi_deg`` (centres of squares), ``free_energy_kcal_mol`` and ``free_energy_eV``, such as
            :func:`so3lab.observables.ramachandran` gives.
    """
    kcal, ev = "free_energy_kcal_mol", "free_energy_eV"
    require(table, ["phi_deg", "psi_deg", kcal, ev])
    heights = table.pivot(index="psi_deg", columns="phi_deg", values=kcal)
    small = 1000 * table.pivot(index="psi_deg", columns="phi_deg", values=ev)
    figure = go.Figure()
    figure.add_heatmap(
        x=heights.columns, y=heights.index, z=heights.to_numpy(), customdata=small.to_numpy(),
        colorscale=DENSITY_SCALE, zmin=0.0, hoverongaps=False,
        colorbar={
            "title": {"text": "free energy (kcal/mol)", "side": "bottom"}, "orientation": "h", "thickness": 12,
            "len": 0.45, "y": -0.16, "yanchor": "top",
        },
        hovertemplate="φ %{x:.0f}°, ψ %{y:.0f}°<br>%{z:.2f} kcal/mol = %{customdata:.0f} meV<extra></extra>",
    )  # fmt: skip
    angles = {"range": [-180, 180], "tickvals": _DIHEDRAL_TICKS, "showgrid": False, "constrain": "domain"}
    figure.update_xaxes(title_text="φ (°)", **angles)
    figure.update_yaxes(title_text="ψ (°)", scaleanchor="x", **angles)
    for axis in (figure.add_hline, figure.add_vline):
        axis(0.0, line={"color": INK, "width": 1, "dash": "dot"})
    lowest = table.iloc[int(np.nanargmin(table[kcal]))]
    visited = 100 * float(table[kcal].notna().mean())
    subtitle = f"lowest at φ {lowest['phi_deg']:.0f}°, ψ {lowest['psi_deg']:.0f}° · {visited:.0f} % visited"
    styled(figure, "Free energy of the backbone", subtitle, 600)
    return figure.update_layout(margin_b=130)


def hydrogen_bonds(table: pd.DataFrame) -> go.Figure:
    """Draw the number of hydrogen bonds against time.

    Args:
        table: ``time_fs`` (or ``time_ps``) and ``hydrogen_bonds``, such as
            :func:`so3lab.observables.hydrogen_bond_counts` gives.
    """
    require(table, ["hydrogen_bonds"])
    time, counts = time_ps(table), table["hydrogen_bonds"].to_numpy(float)
    figure = go.Figure()
    figure.add_scatter(
        x=time,
        y=counts,
        mode="lines",
        line={"color": BLUE, "width": 1.3, "shape": "hv"},
        name="hydrogen bonds",
        hovertemplate="%{x:.3f} ps<br>%{y:.0f} hydrogen bonds<extra></extra>",
    )
    figure.add_hline(counts.mean(), line={"color": INK, "dash": "dash", "width": 1})
    figure.update_xaxes(title_text="time (ps)")
    few = {"dtick": 1, "range": [-0.1, counts.max() + 0.5]} if counts.max() <= 8 else {"rangemode": "tozero"}
    figure.update_yaxes(title_text="hydrogen bonds (number)", **few)
    subtitle = f"{counts.mean():.2f} on average (dashed)"
    return styled(figure, "Hydrogen bonds", subtitle).update_layout(meta={"x": "time_ps"})


def hydrogen_bond_occupancy(table: pd.DataFrame) -> go.Figure:
    """Show for which share of the time each hydrogen bond is there; the most frequent twenty.

    Args:
        table: ``bond``, ``occupancy``, ``distance_A`` and ``angle_deg``, such as
            :func:`so3lab.observables.hydrogen_bond_occupancy` gives.
    """
    require(table, ["bond", "occupancy", "distance_A", "angle_deg"])
    shown = table.sort_values("occupancy", ascending=False, kind="stable").head(_MOST_BONDS)
    figure = go.Figure()
    figure.add_bar(
        x=100 * shown["occupancy"],
        y=shown["bond"],
        orientation="h",
        marker_color=BLUE,
        customdata=shown[["distance_A", "angle_deg"]],
        hovertemplate="%{y}<br>%{x:.1f} % of the frames<br>H···acceptor %{customdata[0]:.2f} Å on average"
        "<br>angle %{customdata[1]:.0f}°<extra></extra>",
    )
    figure.update_xaxes(title_text="share of the frames (%)", range=[0, 100])
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False, ticks="")
    left = len(table) - len(shown)
    subtitle = f"{left} rarer ones left out" if left else ""
    return styled(figure, "Hydrogen bonds by share of the time", subtitle, 140 + 28 * len(shown))
