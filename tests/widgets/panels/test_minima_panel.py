"""The minima panel without a browser: minima arrive, views move each other, and another rule gathers them anew."""

import dataclasses
import functools
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase.io import read
from mmff import relax_by_mmff
from plot_page import dragged, from_page
from so3lab_widgets import MinimaPanel, Session
from waiting import wait_for

from so3lab import units
from so3lab.landscape import Band, Landscape, PrincipalMap, TransitionState, Vibrations
from so3lab.minima import DuplicateRule, MinimaDatabase, Minimum, Search
from so3lab.pretrained import lennard_jones
from so3lab.structures import from_smiles

SMILES = "CCCCC"
MODEL = lennard_jones()
"""Not asked where MMFF relaxes."""


def remembered(relax):
    """The same searches begin in many tests: what was relaxed once is looked up."""
    known = {}

    def relax_or_look_up(structures):
        for number, atoms in enumerate(structures):
            key = atoms.positions.tobytes()
            if key not in known:
                (known[key],) = relax([atoms])
            yield dataclasses.replace(known[key], number=number)

    return relax_or_look_up


RELAXED = functools.partial(Search, relax=remembered(relax_by_mmff(SMILES)), round_size=10)


def made(**options) -> MinimaPanel:
    options = {"reduced": False, "search": RELAXED} | options
    panel = MinimaPanel(MODEL, from_smiles(SMILES), **options)
    panel.form.proposals["torsions"].value = True
    return panel


def searched(panel: MinimaPanel) -> MinimaPanel:
    panel.start()
    panel.wait()
    assert panel.run.job.error is None
    return panel


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """A panel that has not searched yet, which leaves no thread behind."""
    monkeypatch.chdir(tmp_path)
    before = set(threading.enumerate())
    panel = made()
    yield panel
    panel.close()
    wait_for(lambda: not [one for one in set(threading.enumerate()) - before if one.name.startswith("so3lab")])


@pytest.fixture
def panel(empty):
    """After its search: the four minima of pentane."""
    return searched(empty)


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


def test_another_rule_gathers_them_anew(panel):
    energies = sorted(one.energy for one in panel.minima)
    wide = 1000 * (energies[-1] - energies[0]) + 1
    panel.comparison.energy.value, panel.comparison.rmsd.value = wide, 5.0
    panel.comparison.apply_button.click()
    wait_for(lambda: "4 minima before, 1 by this rule" in panel.message.sentence)
    assert [one.number for one in panel.minima] == [0]
    panel.apply(DuplicateRule())
    assert len(panel.minima) == 4, "what the search has found is not forgotten"
    panel.comparison.rmsd.value = -1.0
    panel.comparison.apply_button.click()
    assert "positive difference of RMSD, got -1" in panel.message.sentence


def test_numbers_that_mean_something_else_show_something_else(panel):
    panel.look_at(0)
    panel.views.select([0, 1])
    others = [dataclasses.replace(one, number=number) for number, one in enumerate(reversed(panel.minima))]
    panel.views.show(others, panel.rows.rows(others, 298.15))
    assert panel.views.selected == []
    assert panel.current == int(np.argmin([one.energy for one in others]))
    at = panel.views.positions(panel.current)
    wait_for(lambda: np.allclose(panel.viewer.latest["positions"], at, atol=1e-4), "the lowest of these")


def test_a_training_set_of_another_compound_is_refused_and_forgotten(panel):
    with pytest.raises(ValueError, match="C5H12"):
        panel.learn([from_smiles("CCO")] * 3)
    panel.temperature.value = 400
    wait_for(lambda: panel.table()["population_percent"].max() < 99.9, "populations")
    assert "novelty" not in panel.table()
    assert "could not be drawn" not in panel.message.sentence


def test_a_search_goes_on_where_it_was(panel):
    proposals = panel.run.search.ledger.proposals
    search = panel.run.search
    panel.form.share.value = ""
    panel.form.minima.value = "4"
    searched(panel)
    assert panel.run.search is search
    assert search.ledger.proposals == proposals, "four minima are there already"
    panel.form.seed.value = 3
    searched(panel)
    assert panel.run.search is not search


def test_a_database_is_written_and_opened_by_another_panel(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    session = Session()
    first, second = made(database="found.db", session=session), made(session=session)
    searched(first)
    wait_for(lambda: len(second.minima) == 4, "the other panel of the session")
    assert session.minima == "found.db"
    assert np.all(np.diff([one.energy for one in second.minima]) >= 0)
    assert second.form.file.value == "found.db"
    again = made(database="found.db")
    assert len(again.minima) == 4
    for panel in (first, second, again):
        panel.close()


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("minutes", "soon", "minutes must be a number such as 10, or nothing, got 'soon'"),
        ("share", "100", "must lie between 0 and 100 per cent, got 100"),
        ("minima", "-3", "minima must be positive"),
        ("file", "minima.txt", "must be a file whose name ends in .db"),
    ],
)
def test_what_cannot_be_is_said_in_place(empty, field, value, sentence):
    getattr(empty.form, field).value = value
    empty.bar.start_button.click()
    wait_for(lambda: sentence in empty.message.sentence)
    assert empty.message.wrong


def test_a_missing_database_is_said(empty):
    empty.form.file.value = "nowhere.db"
    empty.knobs.open_button.click()
    wait_for(lambda: "there is no database nowhere.db" in empty.message.sentence)
    with pytest.raises(ValueError, match="there is no minimum to begin with"):
        empty.use()


def test_chosen_minima_are_saved(panel, tmp_path):
    panel.select([1, 2])
    panel.save("structures")
    wait_for(lambda: "Wrote 2 minima to minima.extxyz" in panel.saving.message.sentence)
    found = read(tmp_path / "minima.extxyz", ":")
    assert [one.info["number"] for one in found] == [1, 2]
    assert found[0].get_potential_energy() == pytest.approx(panel.minima[1].energy)
    panel.select([])
    panel.save("table")
    wait_for(lambda: "Wrote minima.csv" in panel.saving.message.sentence)
    assert len(pd.read_csv(tmp_path / "minima.csv")) == 4
    panel.save("figure")
    wait_for(lambda: "Wrote minima.html" in panel.saving.message.sentence)


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


def test_minima_beyond_a_training_set_are_told(panel):
    lowest = panel.minima[panel.current].atoms
    rng = np.random.default_rng(0)
    warm = [lowest.copy() for _ in range(20)]
    for atoms in warm:
        atoms.positions += rng.normal(0.0, 0.02, atoms.positions.shape)
    panel.learn(warm)
    assert panel.views.map.colour.value == "novelty"
    beyond = panel.table()["novelty"] > 1
    assert not beyond[panel.current]
    assert beyond.sum() == 3
    assert "3 of 4 minima lie beyond these data" in panel.message.sentence
    panel.knobs.training.value = "no such set"
    wait_for(lambda: panel.message.wrong)
    assert "no such set" in panel.message.sentence
    panel.learn(None)
    assert "novelty" not in panel.table()


def test_a_minimum_becomes_the_structure_of_the_session(panel):
    panel.look_at(2)
    panel.knobs.use_button.click()
    np.testing.assert_allclose(panel.shared.structure.positions, panel.minima[2].atoms.positions)
    assert panel.shared.structure.calc is None
    assert panel.minima[2].atoms.calc is not None


def test_a_frame_is_relaxed_and_kept_among_the_minima(panel):
    lowest = panel.current
    frame = panel.minima[lowest].atoms.copy()
    frame.rattle(0.02, seed=1)
    panel.look_at((lowest + 1) % 4)
    panel.relax(frame)
    assert len(panel.minima) == 4, "it is one of them"
    assert panel.minima[panel.current].energy == pytest.approx(min(one.energy for one in panel.minima))
    assert "It relaxed to minimum 0, 0.00 kcal/mol above the lowest" in panel.message.sentence


def test_principal_components_are_axes_of_the_map(panel):
    structures = [one.atoms for one in panel.minima]
    placed = PrincipalMap(structures).place(structures)
    panel.views.map.x.value, panel.views.map.y.value = "component_1", "component_2"
    np.testing.assert_allclose(panel.table()[["component_1", "component_2"]], placed)
    assert panel.code_line.code == "panel.views.map.y.value = 'component_2'"
    panel.select([0])
    panel.temperature.value = 350.0
    np.testing.assert_allclose(panel.table()[["component_1", "component_2"]], placed)


def straight(model, pairs, *, mirror_images):
    """A path without a model: straight, and 0.2 eV high in the middle."""
    ((first, second),) = pairs
    assert model is MODEL
    images = [first.copy() for _ in range(5)]
    for share, atoms in zip(np.linspace(0.0, 1.0, 5), images, strict=True):
        atoms.positions = (1.0 - share) * first.positions + share * second.positions
    energies = np.array([0.0, 0.1, 0.2, 0.1, 0.05])
    yield Band(0, images, energies, True, 0.01, 20, 2, np.zeros(first.positions.shape))


def test_a_minimum_with_other_bonds_is_shown_and_why_there_are_no_components(empty):
    start = from_smiles(SMILES)
    broken = start.copy()
    broken.positions[-1] += 5.0
    database = MinimaDatabase("mixed.db")
    database.begin("one", start, {"model": "none", "rule": dataclasses.asdict(DuplicateRule())})
    found = [(0, start, 0.0), (1, broken, 0.3)]
    database.commit("one", [Minimum(number, atoms, energy, "start", None) for number, atoms, energy in found], (), {})
    empty.load("mixed.db")
    assert len(empty.minima) == len(empty.views.map.table) == 2
    assert "component_1" not in empty.table()
    assert "no principal components among the axes: structures must be of one compound" in empty.message.sentence
    assert empty.message.wrong


def test_the_path_between_two_is_found_drawn_and_played(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    panel = searched(made(connect=straight))
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


def rattled(minimum, seed=1):
    atoms = minimum.atoms.copy()
    atoms.rattle(0.02, seed=seed)
    return atoms


def test_what_is_relaxed_stays_with_what_is_shown_whatever_the_field_says(panel):
    panel.form.file.value = "typed.db"
    panel.relax(rattled(panel.minima[1]))
    assert len(panel.minima) == 4
    assert "kept in memory" in panel.message.sentence
    assert not Path("typed.db").exists()


def test_under_a_wide_rule_the_minimum_that_it_joined_is_named(panel):
    high = panel.minima[-1]
    panel.apply(DuplicateRule(1e-4, 2.0, "merged"))
    count = len(panel.minima)
    panel.relax(rattled(high))
    assert len(panel.minima) == count
    assert panel.minima[panel.current].energy == pytest.approx(high.energy, abs=1e-4)
    panel.apply(DuplicateRule())
    assert len(panel.minima) == 4, "what was relaxed is kept, and is one of them"


def test_another_compound_is_not_kept_among_the_minima(panel):
    with pytest.raises(ValueError, match=r"this is C2H6O, and the minima that are shown are of C5H12"):
        panel.relax(from_smiles("CCO"))
    assert len(panel.minima) == 4


def test_a_paused_search_goes_on_in_its_own_database(empty):
    other = searched(made(database="other.db"))
    other.close()
    panel = empty
    panel.form.file.value, panel.form.minutes.value = "own.db", "5"
    panel.start()
    wait_for(lambda: len(panel.run.minima) > 1, "two minima")
    panel.run.job.pause_and_wait()
    panel.load("other.db")
    assert panel.shared.minima == "other.db"
    panel.start()
    panel.wait()
    assert panel.form.file.value == panel.shared.minima == "own.db"


def test_the_session_is_a_script_that_makes_the_panel_again(panel):
    panel.look_at(1)
    lines = panel.session().splitlines()
    assert lines[2] == "panel = so3lab.widgets.MinimaPanel(model, structure)"
    assert "panel.start()" in lines


def test_unknown_keywords_are_refused():
    with pytest.raises(TypeError, match="colour"):
        MinimaPanel("ala2", colour="red")
