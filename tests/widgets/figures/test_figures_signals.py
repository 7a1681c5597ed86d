"""Figures of spectra, diffusion and errors name units and state the numbers of their tables."""

import numpy as np
import pandas as pd
import pytest
from so3lab_widgets import figures, theme

from so3lab import observables


@pytest.fixture
def spectrum() -> pd.DataFrame:
    wavenumbers = np.linspace(0.0, 4000.0, 801)
    return pd.DataFrame({"wavenumber_per_cm": wavenumbers, "intensity": np.exp(-(((wavenumbers - 1700) / 30) ** 2))})


def titles(figure) -> list[str]:
    layout = figure.to_plotly_json()["layout"]
    return [axis["title"]["text"] for name, axis in layout.items() if "axis" in name and "title" in axis]


def test_vibrational_spectrum_ends_after_its_last_peak(spectrum):
    figure = figures.vibrational_spectrum(spectrum)
    assert titles(figure) == ["wavenumber (cm⁻¹)", "density of states (per cm⁻¹)"]
    assert figure.layout.xaxis.range[0] == 0
    assert 1750 < figure.layout.xaxis.range[1] < 2000
    assert len(figure.data) == 1


def test_normal_modes_are_marked_below_the_curve_and_imaginary_ones_are_counted(spectrum):
    figure = figures.vibrational_spectrum(spectrum, [-120.0, 400.0, 3600.0])
    curve, marks = figure.data
    assert set(marks.x) == {400.0, 3600.0}
    assert np.nanmax(marks.y) < 0
    assert figure.layout.xaxis.range[1] > 3600
    assert figure.layout.title.subtitle.text == "marks below: harmonic normal modes, without 1 imaginary"
    assert curve.y.max() == pytest.approx(1.0)


def test_infrared_spectrum_runs_from_high_to_low_wavenumbers(spectrum):
    table = spectrum.rename(columns={"intensity": "intensity_km_cm_per_mol"})
    figure = figures.infrared_spectrum(table, np.array([1700.0]))
    high, low = figure.layout.xaxis.range
    assert high > 1700 > low == 0
    assert titles(figure) == ["wavenumber (cm⁻¹)", "absorption (km/mol per cm⁻¹)"]
    with pytest.raises(ValueError, match="no column 'intensity_km_cm_per_mol'"):
        figures.infrared_spectrum(spectrum)


def test_velocity_autocorrelation_shows_its_zero():
    table = pd.DataFrame({"lag_fs": np.arange(5.0), "vacf": [1.0, 0.2, -0.6, -0.1, 0.0]})
    figure = figures.velocity_autocorrelation(table)
    assert figure.layout.shapes[0].y0 == 0
    assert figure.layout.yaxis.range[0] == pytest.approx(-0.66)
    assert titles(figure) == ["lag (fs)", "autocorrelation (no unit)"]


def test_displacement_is_drawn_to_half_the_run_with_the_line_that_was_fitted():
    table = pd.DataFrame({"lag_fs": 100.0 * np.arange(101), "msd_A2": 6 * 0.23 * 0.1 * np.arange(101) + 0.5})
    fit = pd.DataFrame(
        {
            "diffusion_A2_per_ps": [0.23],
            "error_A2_per_ps": [0.021],
            "diffusion_cm2_per_s": [2.3e-5],
            "error_cm2_per_s": [2.1e-6],
            "intercept_A2": [0.5],
            "from_fs": [1000.0],
            "to_fs": [2000.0],
            "blocks": [5],
        }
    )
    curve, line, fitted = figures.mean_squared_displacement(table, fit).data
    assert curve.x.max() == pytest.approx(5.0)
    np.testing.assert_allclose(line.y, [0.5, 0.5 + 6 * 0.23 * 5.0])
    np.testing.assert_allclose(fitted.x, [1.0, 2.0])
    figure = figures.mean_squared_displacement(table, fit)
    assert "D = (2.30 ± 0.21) · 10<sup>−5</sup> cm²/s = 0.230 ± 0.021 Å²/ps" in figure.layout.title.subtitle.text
    assert titles(figure) == ["lag (ps)", "MSD (Å²)"]
    assert len(figures.mean_squared_displacement(table).data) == 1


def test_block_averages_carry_their_errors_and_say_when_there_is_no_plateau():
    series = np.random.default_rng(0).normal(300.0, 10.0, 4096)
    table, estimate = observables.block_average(series), observables.mean_and_error(series)
    figure = figures.block_average(table, "K", estimate)
    (curve,) = figure.data
    np.testing.assert_array_equal(curve.error_y.array, table["error_of_error"])
    assert figure.layout.shapes[0].y0 == estimate.error
    assert figure.layout.title.subtitle.text == f"mean {estimate.mean:.2f} ± {estimate.error:.2f} K (dashed)"
    constant = np.full(8, 2.0)
    still = figures.block_average(observables.block_average(constant), "", observables.mean_and_error(constant))
    assert still.layout.title.subtitle.text == "mean 2.000 ± 0.000 (dashed)"
    assert "standard error of the mean (K)" in titles(figure)
    short = figures.block_average(table, "K", estimate._replace(plateau=False))
    assert "or more: no plateau, the run is too short" in short.layout.title.subtitle.text


def test_new_units_are_read_from_column_names():
    assert theme.label("pressure_eV_A3") == "pressure (eV/Å³)"
    assert theme.label("msd_A2") == "msd (Å²)"
    assert theme.label("wavenumber_per_cm") == "wavenumber (cm⁻¹)"
    assert theme.label("diffusion_A2_per_ps") == "diffusion (Å²/ps)"
