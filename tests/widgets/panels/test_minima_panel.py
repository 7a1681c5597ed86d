"""The minima panel as a whole, without a browser: it searches, goes on, keeps, saves, and says what cannot be."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from ase.io import read
from pentane_panel import SMILES, pentane_panel, searched
from so3lab_widgets import MinimaPanel, Session
from waiting import wait_for

from so3lab.minima import DuplicateRule, MinimaDatabase, Minimum
from so3lab.structures import from_smiles


@pytest.fixture
def empty(empty_minima_panel):
    return empty_minima_panel


@pytest.fixture
def panel(minima_panel):
    return minima_panel


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
    first, second = pentane_panel(database="found.db", session=session), pentane_panel(session=session)
    searched(first)
    wait_for(lambda: len(second.minima) == 4, "the other panel of the session")
    assert session.minima == "found.db"
    assert np.all(np.diff([one.energy for one in second.minima]) >= 0)
    assert second.form.file.value == "found.db"
    again = pentane_panel(database="found.db")
    assert len(again.minima) == 4
    for panel in (first, second, again):
        panel.close()


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("minutes", "soon", "minutes must be a number such as 10, or nothing, got 'soon'"),
        ("share", "100", "must lie between 0 and 100 per cent, got 100"),
        ("minima", "-3", "minima must be positive, got -3"),
        ("minutes", "-0.1", "minutes must be positive, got -0.1"),
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


def test_a_paused_search_goes_on_in_its_own_database(empty):
    other = searched(pentane_panel(database="other.db"))
    other.close()
    panel = empty
    panel.form.file.value, panel.form.minutes.value = "own.db", "5"
    panel.start()
    wait_for(lambda: len(panel.run.minima) > 1, "two minima")
    panel.pause()
    panel.wait()
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
