"""Figures of a stability study state its numbers."""

import numpy as np
import pandas as pd
import pytest
from so3lab_widgets import figures


@pytest.fixture
def replicas() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "temperature_K": [300.0] * 4 + [500.0] * 4,
            "stable_ps": [10.0] * 4 + [2.0, 6.0, 10.0, 10.0],
            "unstable_at_ps": [np.nan] * 4 + [2.0, 6.0, np.nan, np.nan],
        }
    )


def test_survival_steps_down_where_a_run_breaks(replicas):
    figure = figures.survival(replicas)
    cold, hot = figure.data
    np.testing.assert_allclose(cold.y, 100.0)
    np.testing.assert_allclose(hot.x, [0.0, 2.0, 6.0, 10.0])
    np.testing.assert_allclose(hot.y, [100.0, 75.0, 50.0, 50.0])
    assert hot.line.shape == "hv"
    assert cold.line.width > hot.line.width, "the lower curve must remain visible under the upper one"
    assert figure.layout.title.subtitle.text == "stable to the end: 4 of 4 at 300 K, 2 of 4 at 500 K"
    assert figure.layout.xaxis.title.text == "time (ps)"


def test_survival_carries_its_intervals(replicas):
    table = pd.DataFrame({"temperature_K": [300.0, 500.0], "fraction_low": [0.5, 0.15], "fraction_high": [1.0, 0.85]})
    bars = [trace for trace in figures.survival(replicas, table).data if trace.mode == "markers"]
    assert [trace.error_y.arrayminus[0] for trace in bars] == pytest.approx([50.0, 35.0])
    assert [trace.error_y.array[0] for trace in bars] == pytest.approx([0.0, 35.0])
    with pytest.raises(ValueError, match="no column 'unstable_at_ps'"):
        figures.survival(replicas.drop(columns="unstable_at_ps"))


def test_deviations_are_one_line_per_run_under_the_limit():
    table = pd.DataFrame(
        {
            "replica": np.repeat([0, 1, 2], 5),
            "temperature_K": np.repeat([300.0, 500.0, 500.0], 5),
            "time_ps": np.tile(np.arange(5.0), 3),
            "largest_deviation_A": np.linspace(0.0, 0.28, 15),
        }
    )
    figure = figures.largest_deviation(table)
    assert [trace.name for trace in figure.data] == ["300 K", "500 K", "500 K"]
    assert [trace.showlegend for trace in figure.data] == [True, True, False]
    assert figure.layout.shapes[0].y0 == 0.5
    assert figure.layout.yaxis.range[1] > 0.5
    assert "largest 0.28 Å" in figure.layout.title.subtitle.text
    table.loc[14, "largest_deviation_A"] = 40.0  # a molecule that came apart does not flatten the others
    figure = figures.largest_deviation(table)
    assert figure.layout.yaxis.range[1] < 2.0
    assert "largest 40.00 Å" in figure.layout.title.subtitle.text
    assert "cut off" in figure.layout.title.subtitle.text


def test_every_structure_is_counted_once_in_each_histogram():
    errors = np.random.default_rng(0).gamma(4.0, 3.0, 150)
    table = pd.DataFrame({"force_mae_meV_A": errors, "force_rmse_meV_A": 1.3 * errors})
    figure = figures.force_error_histogram(table)
    mae, rmse = figure.data
    assert sum(mae.y) == sum(rmse.y) == 150
    assert f"median MAE {np.median(errors):.1f} meV/Å" in figure.layout.title.subtitle.text
    assert figure.layout.title.text == "Force errors of 150 structures"
    with pytest.raises(ValueError, match="the table is empty"):
        figures.force_error_histogram(table.head(0))
