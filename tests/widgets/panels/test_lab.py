"""The lab without a browser: panels are made when they are opened, and what one shows goes to the others."""

import functools

import numpy as np
import pytest
from fake_inside import fake_look
from fake_simulation import FakeSimulation
from mmff import relax_by_mmff
from so3lab_widgets import AttentionPanel, DynamicsPanel, Lab, MinimaPanel, TrainPanel
from waiting import no_threads_left, wait_for

from so3lab.attention import attention_matrix
from so3lab.minima import Search
from so3lab.structures import from_smiles

SMILES = "CCO"
ETHANOL = from_smiles(SMILES)


def dynamics(model, structure, session):
    return DynamicsPanel(model, session.structure or structure, session=session, simulate=FakeSimulation)


def minima(model, structure, session):
    search = functools.partial(Search, relax=relax_by_mmff(SMILES))
    return MinimaPanel(model, session.structure or structure, session=session, search=search)


def attention(model, structure, session):
    return AttentionPanel(model, session.structure or structure, session=session, look=fake_look)


def training(model, structure, session):
    return TrainPanel(session=session)


MADE = {"dynamics": dynamics, "minima": minima, "attention": attention, "training": training}


@pytest.fixture
def lab(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with no_threads_left():
        made = Lab("ethanol", ETHANOL, panels=["dynamics", "minima", "attention", "training"], make=MADE)
        wait_for(lambda: made.panel("dynamics").live is not None, "the first simulation")
        yield made
        made.close()


def moved(lab) -> np.ndarray:
    """Positions of a frame of dynamics that was paused."""
    panel = lab.panel("dynamics")
    panel.start()
    wait_for(lambda: panel.live.frames() > 4, "some frames")
    panel.run.job.pause_and_wait()
    return panel.atoms().positions


def test_a_panel_is_made_when_its_tab_is_opened(lab):
    assert [len(place.children) for place in lab.tabs.children] == [1, 0, 0, 0]
    lab.tabs.selected_index = 1
    assert [len(place.children) for place in lab.tabs.children] == [1, 1, 0, 0]
    assert lab.code_line.code == "lab.turn_to('minima')"
    assert lab.panel("minima").shared is lab.panel("dynamics").shared is lab.shared


def test_a_frame_of_dynamics_is_relaxed_and_kept_among_the_minima(lab):
    moved(lab)
    lab.doors["relax"].click()
    panel = lab.panel("minima")
    wait_for(lambda: len(panel.minima) == 1, "a minimum")
    assert lab.shown == "minima"
    wait_for(lambda: "relaxed to minimum 0" in panel.message.sentence)
    assert lab.code_line.code == "lab.send('relax')"


def test_a_frame_of_dynamics_goes_to_attention_and_a_minimum_to_dynamics(lab):
    frame = moved(lab)
    lab.doors["attention"].click()
    np.testing.assert_allclose(lab.shared.structure.positions, frame)
    panel = lab.panel("attention")
    wait_for(lambda: panel.viewer.atoms is not None and len(panel.viewer.atoms) == 9, "the frame")
    assert lab.shown == "attention"
    lab.turn_to("minima")
    lab.panel("minima").relax(lab.shared.structure)
    lab.send("dynamics")
    np.testing.assert_allclose(lab.shared.structure.positions, lab.panel("minima").minima[0].atoms.positions)
    assert lab.shown == "dynamics"
    assert lab.panel("dynamics").form.load()[1].positions == pytest.approx(lab.shared.structure.positions)


def test_selected_minima_go_to_attention_together_and_are_compared(lab):
    panel, trans = lab.panel("minima"), ETHANOL.copy()
    trans.set_dihedral(0, 1, 2, 8, 180, mask=[0] * 8 + [1])
    gauche = ETHANOL.copy()
    gauche.set_dihedral(0, 1, 2, 8, 60, mask=[0] * 8 + [1])
    for atoms in (trans, gauche):
        panel.relax(atoms)
    assert len(panel.minima) == 2
    panel.look_at(1)
    panel.select([0])
    lab.turn_to("minima")
    lab.doors["attention"].click()
    attention = lab.panel("attention")
    assert lab.shown == "attention"
    assert "2 minima are frames in Attention" in lab.message.sentence
    wait_for(lambda: attention.shown is not None and attention.shown.other is not None, "the difference")
    np.testing.assert_allclose(attention.shown.atoms.positions, panel.minima[1].atoms.positions)
    difference = attention_matrix(fake_look(None, panel.atoms(0)), attention.attention.channel)
    difference -= attention_matrix(fake_look(None, panel.atoms(1)), attention.attention.channel)
    np.testing.assert_allclose(attention.shown.matrix, difference)


def test_a_run_and_a_minimum_wait_for_labels_in_training(lab):
    lab.turn_to("minima")
    lab.doors["training"].click()
    assert "there are no frames to be labelled; choose some" in lab.message.sentence
    lab.turn_to("dynamics")
    moved(lab)
    lab.doors["training"].click()
    panel, run = lab.panel("training"), lab.panel("dynamics")
    assert lab.shown == "training"
    assert panel.part.value == "Data"
    count = run.live.frames()
    assert len(panel.frames) == min(count, panel.found.at_most.value)
    np.testing.assert_array_equal(panel.frames[-1].positions, run.atoms(count - 1).positions)
    assert f"of {count} frames of Dynamics wait for labels" in lab.message.sentence
    lab.panel("minima").relax(run.atoms())
    lab.turn_to("minima")
    lab.send("training")
    (only,) = panel.frames
    np.testing.assert_array_equal(only.positions, lab.panel("minima").minima[0].atoms.positions)
    assert lab.code_line.code == "lab.send('training')"


def test_the_picture_in_a_saved_notebook_is_of_the_open_tab(lab, monkeypatch):
    asked = []
    monkeypatch.setattr(lab._preview, "schedule", lambda *_: asked.append(lab._snapshot_parts()))
    dynamics, minima = lab.panel("dynamics"), lab.panel("minima")
    dynamics.viewers[0].painted += 1
    assert asked[-1][0] is dynamics.viewers[0]
    lab.turn_to("minima")
    minima.viewer.painted += 1
    assert asked[-1][0] is minima.viewer
    assert len(asked) == 2


def test_what_shows_nothing_and_doors_that_are_not_there_are_said(lab):
    lab.turn_to("minima")
    lab.doors["attention"].click()
    assert "there is no minimum to begin with" in lab.message.sentence
    with pytest.raises(ValueError, match="can be sent to dynamics, attention, minima, relax, training, got 'paper'"):
        lab.send("paper")
    with pytest.raises(ValueError, match="this lab has dynamics, minima, attention, training, got 'trajectory'"):
        lab.panel("trajectory")


def test_panels_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match=r"panels must be some of dynamics, .*, got 'kitchen'"):
        Lab(panels=["kitchen"])
    with pytest.raises(ValueError, match="panels must name at least one"):
        Lab(panels=[])
