"""Views of minima in a panel: map, table, figures and the molecule move each other."""

import dataclasses

import numpy as np
import pytest
from pentane_panel import pentane_panel, searched
from plot_page import dragged, from_page
from straight_path import straight_path
from waiting import wait_for

from so3lab import units
from so3lab.landscape import Landscape, PrincipalMap, TransitionState, Vibrations
from so3lab.minima import DuplicateRule


@pytest.fixture
def empty(empty_minima_panel):
    return empty_minima_panel


@pytest.fixture
def panel(minima_panel):
    return minima_panel


def test_minima_arrive_on_the_map_and_in_the_table(panel):
    assert len(panel.minima) == 4
    assert len(panel.views.map.figure.data[0].x) == len(panel.views.table.rows) == 4
    assert panel.views.map.x.value.startswith("torsion ")
    assert panel.current == panel.table()["energy_eV"].idxmin()
    assert panel.viewer.caption == f"minimum {panel.current} · 0.00 kcal/mol above the lowest"
    assert "4 minima" in panel.bar.status.value
    found = panel.run.found
    assert found["relaxations"].tolist() == list(range(1, len(found) + 1))
    assert found["found"].iloc[-1] == 4


def test_pointing_shows_a_minimum_and_clicking_stays(panel):
    other = int(panel.table()["energy_eV"].idxmax())
    drawn = panel.views.map.figure.data[0].customdata.tolist().index(other)
    from_page(panel.views.map.figure, "hover", 0, [0.0], points=[drawn])
    wait_for(lambda: np.allclose(panel.viewer.latest["positions"], panel.views.positions(other), atol=1e-4))
    assert panel.current != other
    from_page(panel.views.map.figure, "click", 0, [0.0], points=[drawn])
    assert panel.current == panel.views.table.current == other
    assert panel.views.map.figure.marks[-1][2] == "current"
    assert panel.code_line.code == f"panel.look_at({other})"
    assert f"minimum {other}" in panel.readout.value


def test_rows_of_the_table_do_the_same(panel):
    panel.views.table.current = 2
    assert panel.current == 2
    panel.views.table.pointed_at = 1
    assert panel.viewer.caption.startswith("minimum 1 ")
    panel.views.table.pointed_at = -1
    assert panel.viewer.caption.startswith("minimum 2 ")


def test_dragging_over_the_map_leaves_its_minima_as_filters(panel):
    views, height = panel.views, panel.table()["above_lowest_kcal_mol"]
    views.map.y.value = "above_lowest_kcal_mol"
    dragged(views.map.figure, -200.0, 200.0, y=(0.1, 100.0))
    assert views.left == height.index[height > 0.1].tolist()
    assert views.table.filters["above_lowest_kcal_mol"] == "0.1..100"
    assert sorted(views.map.figure.data[0].selectedpoints) == views.left
    from_page(views.map.figure, "deselect", 0, [])
    assert len(views.left) == 4
    assert views.table.filters == {}


def test_populations_follow_the_temperature(panel):
    def shares() -> np.ndarray:
        return panel.table()["population_percent"].to_numpy()

    energies = panel.table()["energy_eV"].to_numpy()
    for temperature in (298.0, 1000.0):
        panel.temperature.value = temperature
        weights = np.exp(-(energies - energies.min()) / (units.kB * temperature))
        wait_for(lambda weights=weights: np.allclose(shares(), 100 * weights / weights.sum()))
    assert panel.code_line.code == "panel.temperature.value = 1000"
    panel.figures.choice.value = "Populations"
    assert panel.figures.figure.cursor == 1000.0
    panel.figures.choice.value = "Energy ladder"
    assert panel.figures.figure.cursor is None, "a line of kelvins among energies"
    assert "by energies alone" in panel.readout.value


def test_two_that_are_selected_are_compared(panel):
    panel.select([0, 3])
    assert "Minima 0 and 3 are two" in panel.comparison.words.value
    assert "more than" in panel.comparison.words.value
    assert panel.comparison.words.value.count("<tr>") == 3
    over = {one["name"] for one in panel.viewer._overlays}
    assert over == {f"minimum {number}" for number in (0, 3) if number != panel.current}
    panel.select([0])
    assert "Select two" in panel.comparison.words.value


def test_numbers_that_mean_something_else_show_something_else(panel):
    panel.look_at(0)
    panel.views.select([0, 1])
    others = [dataclasses.replace(one, number=number) for number, one in enumerate(reversed(panel.minima))]
    panel.views.show(others, panel.rows.rows(others, 298.15))
    assert panel.views.selected == []
    assert panel.current == int(np.argmin([one.energy for one in others]))
    at = panel.views.positions(panel.current)
    wait_for(lambda: np.allclose(panel.viewer.latest["positions"], at, atol=1e-4), "the lowest of these")


def test_every_figure_is_of_the_same_minima(panel):
    figures, lowest = panel.figures, panel.current
    told = [told[0] for told in figures.figure.data[0].customdata]
    assert sorted(told) == [0, 1, 2, 3]
    other = told.index(int(panel.table()["energy_eV"].idxmax()))
    from_page(figures.figure, "click", 0, [0.0], points=[other])
    assert panel.current == told[other] != lowest
    assert len(figures.figure.marks) == 1
    figures.choice.value = "Populations"
    assert panel.code_line.code == "panel.figures.choice.value = 'Populations'"
    assert len(figures.figure.data) == 4
    panel.temperature.value = 500.0
    assert figures.figure.cursor == 500.0
    figures.choice.value = "Progress"
    assert figures.figure.data[1].y[-1] == 4
    figures.choice.value = "Tree"
    assert "so3lab minima landscape finds them" in figures.words.value
    assert len(figures.figure.data) == 0


def test_a_landscape_of_a_database_has_a_tree_whose_saddles_are_shown(empty):
    minima = searched(empty).minima
    vibrations = Vibrations(np.linspace(200.0, 3000.0, 45), 1, np.array([50.0, 60.0, 70.0]))
    top, atoms = max(one.energy for one in minima) + 0.1, minima[0].atoms
    saddle = TransitionState(0, atoms, top, (0, 1), vibrations, np.zeros((17, 3)), -1.0)
    empty.rows.landscape = Landscape(minima, [saddle], [vibrations] * len(minima))
    empty.figures.choice.value = "Tree"
    assert len(empty.figures.figure.data) > 2
    empty.figures.refresh()
    empty.browser.on_point("saddle 0", "click")
    assert empty.viewer.caption == "saddle 0, between minima 0 and 1"
    assert empty.rows.harmonic


def test_principal_components_are_axes_of_the_map(panel):
    structures = [one.atoms for one in panel.minima]
    placed = PrincipalMap(structures).place(structures)
    panel.views.map.x.value, panel.views.map.y.value = "component_1", "component_2"
    np.testing.assert_allclose(panel.table()[["component_1", "component_2"]], placed)
    assert panel.code_line.code == "panel.views.map.y.value = 'component_2'"
    panel.select([0])
    panel.temperature.value = 350.0
    np.testing.assert_allclose(panel.table()[["component_1", "component_2"]], placed)


def test_the_path_between_two_is_found_drawn_and_played(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    panel = searched(pentane_panel(connect=straight_path))
    try:
        panel.paths.find_button.click()
        assert "select two of them" in panel.message.sentence
        panel.figures.choice.value = "Path"
        assert "No path is known" in panel.figures.words.value
        panel.select([0, 2])
        panel.paths.find_button.click()
        wait_for(lambda: "4.61 kcal/mol from minimum 0 to 2, 3.46 back." in panel.message.sentence)
        assert panel.code_line.code == "panel.path(0, 2)"
        (drawn,) = panel.figures.figure.data
        assert np.argmax(drawn.y) == panel.paths.place.value == 2
        assert panel.viewer.caption == "image 2 of the path from minimum 0 to 2"
        panel.browser.on_point("image 4", "hover")
        assert panel.viewer.caption.startswith("image 4")
        shown = panel.views._superposed(panel.paths.band.images[4])
        wait_for(lambda: np.allclose(panel.viewer.latest["positions"], shown, atol=1e-4), "its last image")
        panel.apply(DuplicateRule())
        assert panel.paths.band is None, "numbers may mean other minima now"
        with pytest.raises(ValueError, match="there is no minimum"):
            panel.path(0, 17)
    finally:
        panel.close()
