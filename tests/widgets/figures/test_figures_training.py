"""Pictures of data sets and of learning: every value is drawn, parts can be told apart, wrong tables are refused."""

import numpy as np
import pandas as pd
import pytest
from labelled_springs import as_dataset, springs
from so3lab_widgets import figures

from so3lab import datasets


@pytest.fixture(scope="module")
def data():
    return as_dataset(**springs(frames=30))


@pytest.fixture
def epochs() -> pd.DataFrame:
    epoch = np.arange(1, 11)
    errors = {
        f"{part}_{name}": factor * 100.0 / epoch
        for part, factor in (("train", 1.0), ("valid", 1.3))
        for name in ("loss", "energy_mae_meV", "force_mae_meV_A", "C_force_mae_meV_A", "H_force_mae_meV_A")
    }
    return pd.DataFrame({"epoch": epoch, "seconds": 30.0 * epoch, **errors})


def test_distributions_have_a_bar_for_each_part_of_energies_and_a_line_for_each_element(data):
    energies, forces = datasets.energy_distribution(datasets.frame_table(data), 9), datasets.force_distribution(data)
    figure = figures.data_distributions(energies, forces)
    assert sum(figure.data[0].y) == len(data)
    assert [trace.name for trace in figure.data[1:]] == ["H", "C", "O"]
    assert np.nansum(figure.data[1].y) == 6 * 3 * len(data)
    assert figure.layout.yaxis2.type == "log"
    assert "eV/Å" in figure.layout.xaxis2.title.text
    with pytest.raises(ValueError, match="no column 'high'"):
        figures.data_distributions(energies.drop(columns="high"), forces)


@pytest.mark.parametrize(
    ("quantity", "names", "title"),
    [
        ("forces", ["training", "validation"], "force MAE (meV/Å)"),
        ("energies", ["training", "validation"], "energy MAE (meV)"),
        ("loss", ["training", "validation"], "loss"),
        ("forces by element", ["C training", "C validation", "H training", "H validation"], "force MAE (meV/Å)"),
    ],
)
def test_both_parts_are_drawn_of_every_quantity(epochs, quantity, names, title):
    figure = figures.training_curves(epochs, quantity)
    assert [trace.name for trace in figure.data] == names
    assert figure.layout.yaxis.title.text == title
    assert figure.layout.yaxis.type == "log"
    np.testing.assert_allclose(figure.data[1].y, 1.3 * np.asarray(figure.data[0].y))
    assert figures.training_curves(epochs, quantity, logarithmic=False).layout.yaxis.type is None


def test_runs_are_compared_over_minutes_of_training(epochs):
    figure = figures.compared_runs({"first": epochs, "second": epochs.head(3)})
    assert [trace.name for trace in figure.data] == ["first", "second"]
    assert list(figure.data[1].x) == [0.5, 1.0, 1.5]
    assert figure.layout.yaxis.title.text == "validation: force MAE (meV/Å)"
    assert len({trace.line.color for trace in figure.data}) == 2


def test_what_cannot_be_drawn_is_refused(epochs):
    with pytest.raises(ValueError, match="quantity must be one of forces, energies"):
        figures.training_curves(epochs, "stress")
    with pytest.raises(ValueError, match="no column 'train_loss'"):
        figures.training_curves(epochs.drop(columns="train_loss"), "loss")
    with pytest.raises(ValueError, match="at least one run"):
        figures.compared_runs({})
    with pytest.raises(ValueError, match="quantity must be one of forces, energies, loss"):
        figures.compared_runs({"one": epochs}, "forces by element")


def test_errors_by_frame_have_a_point_for_each(epochs):
    table = pd.DataFrame(
        {
            "frame": [3, 8],
            "energy_error_meV": [-4.0, 2.0],
            "force_mae_meV_A": [10.0, 12.0],
            "largest_force_error_meV_A": [40.0, 90.0],
        }
    )
    figure = figures.force_error_by_frame(table)
    assert list(figure.data[0].x) == [3, 8]
    assert list(figure.data[0].marker.color) == [4.0, 2.0]
    assert "meV/Å" in figure.layout.yaxis.title.text


def test_every_tick_of_a_logarithmic_axis_is_a_whole_number_or_fraction():
    table = pd.DataFrame({"epoch": [1, 2], "train_loss": [0.03, 0.01], "valid_loss": [0.03, 0.011]})
    axis = figures.training_curves(table, "loss").layout.yaxis
    assert (axis.type, axis.tickformat) == ("log", "~g"), "without a format, 0.02 is written as a small 2"
