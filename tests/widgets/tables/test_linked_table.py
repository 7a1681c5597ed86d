"""A table of rows: sorted, filtered by words below its columns, and linked."""

import numpy as np
import pandas as pd
import pytest
import traitlets
from so3lab_widgets.tables.filters import matching
from so3lab_widgets.tables.linked_table import LinkedTable

MINIMA = pd.DataFrame(
    {
        "energy_meV": [12.25, 0.0, 8.5, 30.125],
        "visits": [1, 9, 3, 1],
        "origin": ["torsions", "start", "hopping", "torsions"],
    }
)


@pytest.fixture
def table():
    made = LinkedTable("minimum")
    made.show(MINIMA)
    yield made
    made.close()


def order(table: LinkedTable) -> list[int]:
    """The rows as a page gets them."""
    return np.frombuffer(table._order, np.int32).tolist()


def test_a_page_gets_all_columns_with_their_units_and_digits(table):
    assert [one["label"] for one in table._columns] == ["energy (meV)", "visits", "origin"]
    assert [one["decimals"] for one in table._columns] == [2, 0, 0]
    numbers = np.frombuffer(table._numbers).reshape(2, 4)
    np.testing.assert_array_equal(numbers, MINIMA[["energy_meV", "visits"]].to_numpy().T)
    assert table._words == {"origin": MINIMA["origin"].tolist()}
    assert order(table) == [0, 1, 2, 3]


def test_columns_sort_in_both_directions_and_equal_ones_keep_their_order(table):
    table.sorted_by = "energy_meV"
    assert order(table) == [1, 2, 0, 3]
    table.sorted_by, table.descending = "visits", True
    assert order(table) == [1, 2, 0, 3]
    table.sorted_by = ""
    assert order(table) == [0, 1, 2, 3]


def test_all_filters_hold_and_other_rows_are_told(table):
    told = []
    table.on_rows(lambda: told.append(table.rows.tolist()))
    table.filters = {"visits": "< 4"}
    table.filters = {"visits": "< 4", "origin": "!HOP"}
    table.filters = {"origin": "!HOP", "visits": "<= 3"}
    table.filters = {}
    assert told == [[0, 2, 3], [0, 3], [0, 1, 2, 3]]


def test_a_filter_that_cannot_be_read_is_said_and_hides_nothing(table):
    table.filters = {"energy_meV": "below 3"}
    assert table.trouble.startswith("energy (meV): a filter of numbers must be such as < 50")
    assert order(table) == [0, 1, 2, 3]
    table.filters = {"energy_meV": "< 3"}
    assert table.trouble == ""
    assert order(table) == [1]


def test_more_rows_keep_what_was_chosen_and_fewer_forget_what_is_gone(table):
    table.sorted_by, table.filters, table.current, table.selected = "energy_meV", {"visits": ">= 1"}, 3, [1, 3]
    table.show(pd.concat([MINIMA, MINIMA], ignore_index=True))
    assert (table.sorted_by, table.current, table.selected) == ("energy_meV", 3, [1, 3])
    table.show(MINIMA[["visits"]].head(2))
    assert (table.sorted_by, table.current, table.selected) == ("", -1, [1])
    assert table.filters == {"visits": ">= 1"}


def test_rows_and_columns_that_are_not_there_are_refused(table):
    with pytest.raises(traitlets.TraitError, match="rows are numbered 0 to 3, got 4"):
        table.current = 4
    with pytest.raises(traitlets.TraitError, match="no column 'colour' to sort by"):
        table.sorted_by = "colour"


@pytest.mark.parametrize(
    ("wanted", "rows"),
    [
        ("< 10", [1, 2]), ("<=8.5", [1, 2]), ("> 8.5", [0, 3]), (">= 1e1", [0, 3]), ("= 0", [1]), ("0", [1]),
        ("!= 0", [0, 2, 3]), ("5..13", [0, 2]), ("> 1, < 20", [0, 2]), ("> −1", [0, 1, 2, 3]), ("", [0, 1, 2, 3]),
    ],
)  # fmt: skip
def test_conditions_on_numbers(wanted, rows):
    assert np.flatnonzero(matching(MINIMA["energy_meV"], wanted)).tolist() == rows


def test_missing_numbers_fit_no_condition_but_inequality():
    assert matching(pd.Series([np.nan, 1.0]), "> 0").tolist() == [False, True]
    assert matching(pd.Series([np.nan, 1.0]), "!= 1").tolist() == [True, False]


def test_a_column_that_goes_takes_its_filter_and_its_order_along(table):
    whole = table.table
    name = next(column for column in whole.columns if pd.api.types.is_numeric_dtype(whole[column]))
    table.filters, table.sorted_by = {name: "> 0"}, name
    table.show(whole.drop(columns=name))
    assert (table.filters, table.sorted_by) == ({}, "")
    assert sorted(order(table)) == list(range(len(whole)))
