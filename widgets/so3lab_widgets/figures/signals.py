"""What a trajectory says as a signal in time: spectra, memory, diffusion, errors of means."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from so3lab_widgets.theme import BLUE, INK, VERMILLION, log_ticks, require, styled

if TYPE_CHECKING:
    from so3lab.observables import Estimate

_FAINTEST = 1e-3
"""Share of the highest peak below which the end of a spectrum is cut off."""


def vibrational_spectrum(table: pd.DataFrame, modes_per_cm: Sequence[float] | np.ndarray | None = None) -> go.Figure:
    """Draw the vibrational density of states, with marks where harmonic vibrations lie.

    Args:
        table: ``wavenumber_per_cm`` and ``intensity`` (per cm⁻¹), such as
            :func:`so3lab.observables.vibrational_spectrum` gives.
        modes_per_cm: Wavenumbers of normal modes, cm⁻¹; imaginary ones, given as negative numbers, are not marked.
    """
    figure = _spectrum(table, "intensity", "per cm⁻¹", modes_per_cm)
    figure.update_yaxes(title_text="density of states (per cm⁻¹)")
    return styled(figure, "Vibrational spectrum", _marked(modes_per_cm))


def infrared_spectrum(table: pd.DataFrame, modes_per_cm: Sequence[float] | np.ndarray | None = None) -> go.Figure:
    """Draw the infrared absorption, wavenumbers falling from left to right as spectrometers show them.

    Args:
        table: ``wavenumber_per_cm`` and ``intensity_km_cm_per_mol``, such as
            :func:`so3lab.observables.infrared_spectrum` gives.
        modes_per_cm: As in :func:`vibrational_spectrum`.
    """
    figure = _spectrum(table, "intensity_km_cm_per_mol", "km/mol per cm⁻¹", modes_per_cm)
    figure.update_xaxes(range=figure.layout.xaxis.range[::-1])
    figure.update_yaxes(title_text="absorption (km/mol per cm⁻¹)")
    return styled(figure, "Infrared spectrum", _marked(modes_per_cm))


def _spectrum(table: pd.DataFrame, column: str, unit: str, modes: Sequence[float] | np.ndarray | None) -> go.Figure:
    require(table, ["wavenumber_per_cm", column])
    wavenumbers, heights = table["wavenumber_per_cm"].to_numpy(float), table[column].to_numpy(float)
    present = wavenumbers[heights > _FAINTEST * heights.max()]
    end = min(1.05 * float(present.max(initial=0.0)), float(wavenumbers.max())) or float(wavenumbers.max())
    figure = go.Figure()
    figure.add_scatter(
        x=wavenumbers,
        y=heights,
        mode="lines",
        name="trajectory",
        line={"color": BLUE, "width": 1.5},
        hovertemplate=f"%{{x:.0f}} cm⁻¹<br>%{{y:.4~g}} {unit}<extra></extra>",
    )
    if modes is not None:
        real = np.asarray(modes, float)[np.asarray(modes, float) > 0]
        low, high = (-share * heights.max() for share in (0.10, 0.02))
        figure.add_scatter(
            x=np.repeat(real, 3),
            y=np.tile([low, high, np.nan], len(real)),
            mode="lines",
            name="normal modes",
            line={"color": VERMILLION, "width": 2},
            hovertemplate="normal mode: %{x:.0f} cm⁻¹<extra></extra>",
        )
        end = max(end, 1.05 * float(real.max(initial=0.0)))
        figure.add_hline(0.0, line={"color": INK, "width": 1})
    figure.update_xaxes(title_text="wavenumber (cm⁻¹)", range=[0.0, end])
    return figure.update_layout(showlegend=modes is not None)


def _marked(modes: Sequence[float] | np.ndarray | None) -> str:
    if modes is None:
        return ""
    imaginary = int(np.sum(np.asarray(modes, float) <= 0))
    left_out = f", without {imaginary} imaginary" if imaginary else ""
    return f"marks below: harmonic normal modes{left_out}"


def velocity_autocorrelation(table: pd.DataFrame) -> go.Figure:
    """Draw how velocities remember themselves.

    Args:
        table: ``lag_fs`` and ``vacf``, such as :func:`so3lab.observables.velocity_autocorrelation` gives.
    """
    require(table, ["lag_fs", "vacf"])
    figure = go.Figure()
    figure.add_scatter(
        x=table["lag_fs"],
        y=table["vacf"],
        mode="lines",
        line={"color": BLUE, "width": 1.5},
        name="vacf",
        hovertemplate="after %{x:.4~g} fs<br>%{y:.3f}<extra></extra>",
    )
    figure.add_hline(0.0, line={"color": INK, "width": 1})
    figure.update_xaxes(title_text="lag (fs)", range=[0.0, float(table["lag_fs"].max())])
    figure.update_yaxes(title_text="autocorrelation (no unit)", range=[min(-0.1, 1.1 * table["vacf"].min()), 1.05])
    return styled(figure, "Velocity autocorrelation")


def mean_squared_displacement(table: pd.DataFrame, diffusion: pd.DataFrame | None = None) -> go.Figure:
    """Draw how far atoms wander, up to half of the run, with the straight line whose slope is 6 D.

    Args:
        table: ``lag_fs`` and ``msd_A2``, such as :func:`so3lab.observables.mean_squared_displacement` gives.
        diffusion: One row, such as :func:`so3lab.observables.diffusion_coefficient` gives; the line is solid where it
            was fitted.
    """
    require(table, ["lag_fs", "msd_A2"])
    shown = table[table["lag_fs"] <= 0.5 * table["lag_fs"].max()]
    figure = go.Figure()
    figure.add_scatter(
        x=0.001 * shown["lag_fs"],
        y=shown["msd_A2"],
        mode="lines",
        line={"color": BLUE, "width": 2},
        name="trajectory",
        hovertemplate="after %{x:.3f} ps<br>%{y:.4~g} Å²<extra></extra>",
    )
    subtitle = ""
    if diffusion is not None:
        fit = diffusion.iloc[0]
        window = 0.001 * np.array([fit["from_fs"], fit["to_fs"]])
        slope = 6.0 * fit["diffusion_A2_per_ps"]
        whole = np.array([0.0, 0.001 * shown["lag_fs"].max()])
        for ends, style, name in ((whole, "dot", "straight line"), (window, "solid", "fitted part")):
            figure.add_scatter(
                x=ends,
                y=fit["intercept_A2"] + slope * ends,
                mode="lines",
                name=name,
                hoverinfo="skip",
                line={"color": VERMILLION, "width": 2.5 if style == "solid" else 1.5, "dash": style},
            )
        power = int(np.floor(np.log10(abs(fit["diffusion_cm2_per_s"])))) if fit["diffusion_cm2_per_s"] else 0
        mantissa = _with_error(*(fit[f"{name}_cm2_per_s"] / 10.0**power for name in ("diffusion", "error")))
        plain = _with_error(fit["diffusion_A2_per_ps"], fit["error_A2_per_ps"])
        subtitle = f"D = ({mantissa}) · 10<sup>{power}</sup> cm²/s".replace("-", "−") + f" = {plain} Å²/ps"
    figure.update_xaxes(title_text="lag (ps)", rangemode="tozero")
    figure.update_yaxes(title_text="MSD (Å²)", rangemode="tozero")
    styled(figure, "Mean squared displacement", subtitle)
    return figure.update_layout(showlegend=diffusion is not None)


def block_average(table: pd.DataFrame, unit: str = "", estimate: "Estimate | None" = None) -> go.Figure:
    """Draw the error of a mean against the size of blocks; where the curve is flat, it can be believed.

    Args:
        table: ``block_size``, ``blocks``, ``error`` and ``error_of_error``, such as
            :func:`so3lab.observables.block_average` gives.
        unit: Unit of the series, for the axis.
        estimate: Mean and error to write above and to mark with a dashed line, as
            :func:`so3lab.observables.mean_and_error` gives them.
    """
    require(table, ["block_size", "blocks", "error", "error_of_error"])
    shown = unit or "unit of the series"
    figure = go.Figure()
    figure.add_scatter(
        x=table["block_size"],
        y=table["error"],
        mode="lines+markers",
        name="error of the mean",
        customdata=table[["blocks", "error_of_error"]],
        line={"color": BLUE, "width": 1.5},
        marker={"size": 7},
        error_y={"type": "data", "array": table["error_of_error"], "color": BLUE, "thickness": 1.2, "width": 4},
        hovertemplate=f"%{{customdata[0]}} blocks of %{{x}} frames<br>%{{y:.3~g}} ± %{{customdata[1]:.2~g}} {unit}"
        "<extra></extra>",
    )
    subtitle = ""
    if estimate is not None:
        more = "" if estimate.plateau else " or more: no plateau, the run is too short"
        subtitle = f"mean {_with_error(estimate.mean, estimate.error)} {unit}".rstrip() + f" (dashed){more}"
        figure.add_hline(estimate.error, line={"color": VERMILLION, "dash": "dash", "width": 1.5})
    figure.update_xaxes(title_text="frames per block", **log_ticks(table["block_size"]))
    figure.update_yaxes(title_text=f"standard error of the mean ({shown})", rangemode="tozero")
    return styled(figure, "Error of the mean from blocks", subtitle)


def _with_error(value: float, error: float) -> str:
    """Both numbers to the second digit of the error."""
    digits = max(0, 1 - int(np.floor(np.log10(error)))) if error > 0 else 3
    return f"{value:.{digits}f} ± {error:.{digits}f}"
