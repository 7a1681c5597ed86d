"""Figures of landscapes: every point says which minimum it is, and energies have units."""

import numpy as np
import pandas as pd
import pytest
from so3lab_widgets import figures

from so3lab import units
from so3lab.landscape import disconnectivity_tree

ENERGIES = np.array([-10.0, -9.96, -9.9, -9.8])
SADDLES = [(0, 1, -9.7), (1, 2, -9.6), (0, 0, -9.5)]


def minima(**more) -> pd.DataFrame:
    return pd.DataFrame({"number": range(4), "energy_eV": ENERGIES, **more})


def points(figure) -> dict[int, tuple[float, float]]:
    """Where each minimum is drawn, by the number that a click on it says."""
    found = {}
    for trace in figure.data:
        if trace.customdata is not None and trace.name != "shown":
            for x, y, row in zip(trace.x, trace.y, trace.customdata, strict=True):
                if not isinstance(row[0], str):
                    found[int(row[0])] = (float(x), float(y))
    return found


def tree_figure(table=None, **options):
    tree = disconnectivity_tree(ENERGIES, SADDLES)
    return figures.disconnectivity(tree.table(), minima() if table is None else table, **options)


@pytest.mark.parametrize("unit", ["kcal/mol", "kJ/mol", "eV", "ε"])
def test_heights_are_in_the_unit_of_the_axis(unit):
    size = {"kcal/mol": units.kcal_per_mol, "kJ/mol": units.kJ_per_mol}.get(unit, 1.0)
    for figure in (figures.energy_ladder(minima(), unit=unit), tree_figure(unit=unit)):
        heights = [points(figure)[number][1] for number in range(4)]
        np.testing.assert_allclose(heights, (ENERGIES + 10.0) / size, atol=1e-9)
        assert unit in figure.layout.yaxis.title.text


def test_every_minimum_is_a_point_that_says_its_number_and_what_is_known_of_it():
    table = minima(visits=[9, 3, 1, 1], novelty=[0.2, 1.4, 0.9, 3.0])
    placed = table.assign(x=[0.0, 1.0, 2.0, 3.0], y=0.5)
    drawn = [figures.energy_ladder(table), tree_figure(table), figures.conformation_map(placed, axes=("a", "b"))]
    for figure in drawn:
        assert sorted(points(figure)) == [0, 1, 2, 3]
        words = {row[0]: row[1] for t in figure.data if t.customdata is not None for row in t.customdata}
        assert "minimum 1" in words[1]
        assert "visited 3 times" in words[1]
        assert "beyond the training data" in words[1]
        assert "within the training data" in words[2]
        assert figure.layout.meta == {"select": "minimum"}
        assert figure.data[-1].name == "shown"


def test_the_tree_joins_minima_at_their_saddles_and_says_what_nothing_joins():
    figure = tree_figure()
    lines = figure.data[0]
    ends = np.stack([lines.x, lines.y], axis=1).reshape(-1, 4, 2)
    below = points(figure)
    for line in ends:
        assert np.isnan(line[3]).all()
        assert line[0, 1] >= line[1, 1] >= line[2, 1]
    tops = {round(float(line[0, 1]), 6) for line in ends}
    assert tops == {round(height / units.kcal_per_mol, 6) for height in (0.3, 0.4)}
    assert {(float(x), float(y)) for x, y in ends[:, 2]} >= {below[0], below[1], below[2]}
    assert "2 parts that no known path joins" in figure.layout.title.subtitle.text
    assert figure.data[1].line.dash == "dot"  # minimum 3 stands alone
    assert [row[0] for row in figure.data[2].customdata] == ["saddle 0", "saddle 1"]  # over which branches join
    assert "joins 3 minima" in figure.data[2].customdata[1][1]


def test_saddles_are_joined_to_their_minima_the_short_way_round():
    table = pd.DataFrame({"number": [0, 1], "energy_eV": [0.0, 0.1], "x": [170.0, -170.0], "y": [0.0, 20.0]})
    saddles = pd.DataFrame({"number": [0], "energy_eV": [0.4], "x": [179.0], "y": [10.0], "first": [0], "second": [1]})
    figure = figures.conformation_map(table, saddles, axes=("φ (°)", "ψ (°)"), periodic=True)
    lines = np.stack([figure.data[0].x, figure.data[0].y], axis=1).reshape(-1, 3, 2)
    assert np.abs(lines[:, 1] - lines[:, 0]).max() <= 11.0
    assert {tuple(one) for one in lines[:, 1].tolist()} >= {(170.0, 0.0), (190.0, 20.0), (-170.0, 20.0)}
    assert figure.layout.xaxis.range == (-180, 180)
    assert figure.data[1].customdata[0][0] == "saddle 0"
    assert "between 0 and 1" in figure.data[1].customdata[0][1]
    plain = figures.conformation_map(table, saddles, axes=("1", "2"))
    assert len(plain.data[0].x) == 6
    assert "2 minima, 1 saddle" in plain.layout.title.subtitle.text


def test_populations_name_the_largest_and_add_up_the_others():
    rows = []
    for temperature in (100.0, 300.0):
        weights = np.exp(-np.arange(9) * 100.0 / temperature)
        rows += [(temperature, number, weight) for number, weight in enumerate(weights / weights.sum())]
    table = pd.DataFrame(rows, columns=["temperature", "number", "population"])
    figure = figures.populations(table, most=3)
    assert [trace.name for trace in figure.data] == ["0", "1", "2", "6 others"]
    np.testing.assert_allclose(sum(np.asarray(trace.y) for trace in figure.data), 100.0)
    assert [row[0] for row in figure.data[1].customdata] == [1, 1]
    assert figures.populations(table, unit="ε/k").layout.xaxis.title.text == "temperature (ε/k)"


def test_the_saturation_curve_ends_with_what_is_unseen():
    table = pd.DataFrame({"relaxations": [10, 20, 30], "found": [4, 6, 7], "unseen": [6.0, 3.0, 1.0]})
    figure = figures.saturation_curve(table)
    assert list(figure.data[0].y) == [10.0, 9.0, 8.0]
    assert "7 found in 30 relaxations, about 1 unseen" in figure.layout.title.subtitle.text


def test_what_cannot_be_drawn_is_said():
    with pytest.raises(ValueError, match="no column 'energy_eV'"):
        figures.energy_ladder(pd.DataFrame({"number": [0]}))
    with pytest.raises(ValueError, match="unit must be one of"):
        figures.energy_ladder(minima(), unit="hartree")
    with pytest.raises(ValueError, match="empty"):
        figures.conformation_map(minima().assign(x=0, y=0).iloc[:0], axes=("a", "b"))


def test_one_minimum_and_many_can_be_drawn():
    one = minima().iloc[:1]
    tree = disconnectivity_tree(ENERGIES[:1], [])
    assert len(points(figures.disconnectivity(tree.table(), one))) == 1
    assert len(points(figures.energy_ladder(one))) == 1
    rng = np.random.default_rng(0)
    many = pd.DataFrame({"number": range(3000), "energy_eV": np.sort(rng.normal(0, 0.2, 3000))})
    assert len(points(figures.energy_ladder(many))) == 3000
    more = pd.concat([many, many.assign(number=many["number"] + 3000)])
    assert [trace.type for trace in figures.energy_ladder(more).data] == ["scattergl", "scatter"], "points, and a ring"
