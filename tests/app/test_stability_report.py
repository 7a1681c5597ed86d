"""Tables of a study as people read them."""

import numpy as np
import pandas as pd
import pytest

from so3lab.app.stability_report import force_mae, temperature_table
from so3lab.stability import Stability

TABLE = pd.DataFrame(
    {
        "temperature_K": [300.0, 500.0],
        "replicas": 6,
        "survived": [6, 0],
        "fraction_survived": [1.0, 0.0],
        "fraction_low": [0.6, 0.0],
        "fraction_high": [1.0, 0.4],
        "stable_ps": [300.0, 12.34],
        "stable_ps_error": [0.0, 1.26],
        "largest_deviation_A": [0.2, 0.7],
        "h_error": [0.0512, np.nan],
        "h_error_error": [np.nan, np.nan],
    }
)


def test_times_of_survivors_are_lower_bounds_and_errors_stand_where_there_are_any():
    shown = temperature_table(TABLE)
    assert shown["survived"].tolist() == ["6 of 6", "0 of 6"]
    assert shown["fraction, 2σ"].tolist() == ["1.00 (0.60 to 1.00)", "0.00 (0.00 to 0.40)"]
    assert [text.split() for text in shown["stable time (ps)"]] == [["≥", "300.0"], ["12.3", "±", "1.3"]]
    assert shown["h(r) error"].tolist() == ["0.051", ""]
    assert "h(r) error" not in temperature_table(TABLE.assign(h_error=np.nan))


def test_force_errors_are_means_over_atoms_not_over_frames():
    empty = pd.DataFrame()
    forces = pd.DataFrame({"atoms": [1, 3], "force_mae_kcal_mol_A": [4.0, 0.0]})
    assert force_mae(Stability(1.0, 1.0, empty, empty, empty, empty, forces)) == pytest.approx(1.0)
    assert force_mae(Stability(1.0, 1.0, empty, empty, empty, empty, None)) is None
