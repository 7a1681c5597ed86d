"""Tables for people: headings with units, and energies in one unit, whatever the columns were called."""

import numpy as np
import pandas as pd
import pytest

from so3lab.app.tables import for_people, force_error, heading, number

ERRORS = pd.DataFrame({"element": ["C"], "force_mae_meV_A": [43.364], "force_mae_kcal_mol_A": [1.0]})


@pytest.mark.parametrize(("unit", "words", "value"), [("meV", "meV/Å", 43.364), ("kcal/mol", "kcal/mol/Å", 1.0)])
def test_of_two_units_the_one_that_was_asked_for_is_shown(unit, words, value):
    shown = for_people(ERRORS, unit)
    assert list(shown.columns) == ["element", f"force MAE ({words})"]
    assert shown.iloc[0, 1] == value


def test_a_column_with_one_unit_is_converted():
    table = pd.DataFrame({"above_lowest_meV": [0.0, 43.364]})
    shown = for_people(table, "kcal/mol")
    assert shown["above lowest (kcal/mol)"].tolist() == pytest.approx([0.0, 1.0], rel=1e-4)
    kcal = table.rename(columns={"above_lowest_meV": "above_lowest_kcal_mol"})
    assert for_people(kcal, "meV")["above lowest (meV)"].iloc[1] == pytest.approx(43.364**2, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mean_temperature_K", "mean T (K)"),
        ("energy_eV", "energy (eV)"),
        ("mean_density_g_cm3", "mean density (g/cm³)"),
        ("T (K)", "T (K)"),
        ("result", "result"),
        ("size_MB", "size (MB)"),
    ],
)
def test_headings_say_the_unit_once(name, words):
    assert heading(name) == words


def test_cells_hold_four_digits_and_nothing_for_nothing():
    assert [number(value) for value in (1.23456, 123456.78, np.nan, None, pd.NA, 7, "C")] == [
        "1.235", "123456.8", "", "", "", "7", "C",
    ]  # fmt: skip
    assert force_error(43.364, "meV") == "43.4 meV/Å"
    assert force_error(43.364, "kcal/mol") == "1.000 kcal/mol/Å"
