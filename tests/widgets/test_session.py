"""Panels of one session go together: models are loaded once, atoms are picked everywhere, frames move along."""

import shutil

import numpy as np
import pytest
from ase.build import molecule
from fake_simulation import FakeSimulation
from so3lab_widgets import DynamicsPanel, Session, TrajectoryPanel
from waiting import wait_for

import so3lab
from so3lab.pretrained.loading import bundled_models
from so3lab.trajectory import TrajectoryWriter


@pytest.fixture
def opened():
    """Closes what a test makes."""
    made = []
    yield lambda panel: made.append(panel) or panel
    for panel in made:
        panel.close()


@pytest.fixture
def files(tmp_path):
    atoms = molecule("CH3CH2OH")
    for name, frames in (("long.h5", 20), ("short.h5", 5)):
        with TrajectoryWriter(tmp_path / name, atoms, state_template={}, meta={}) as writer:
            shape = (frames, len(atoms), 3)
            writer.append(
                {
                    "step": np.arange(frames), "time_fs": 1.0 * np.arange(frames), "potential_energy": np.zeros(frames),
                    "positions": np.broadcast_to(atoms.positions, shape), "velocities": np.zeros(shape),
                    "forces": np.zeros(shape), "kinetic_energy": np.zeros(frames), "temperature": np.ones(frames),
                }
            )  # fmt: skip
    return tmp_path / "long.h5", tmp_path / "short.h5"


def test_a_model_goes_by_the_name_that_it_was_loaded_by():
    session = Session()
    assert session.named(session.load("ethanol")) == "ethanol"
    other = so3lab.load("ethanol")
    assert session.named(other) is other
    assert session.named(None) is None


def test_a_model_is_loaded_once_and_anew_when_its_file_has_changed(tmp_path, monkeypatch):
    session, loaded = Session(), []
    plain = so3lab.load
    monkeypatch.setattr(so3lab, "load", lambda model: loaded.append(str(model)) or plain(model))
    file = tmp_path / "mine.so3.safetensors"
    shutil.copy(bundled_models()["ethanol"], file)
    assert session.load(file) is session.load(str(file))
    assert session.load("ethanol") is session.load("ethanol") is not session.load(file)
    assert loaded == [str(file), "ethanol"]
    shutil.copy(bundled_models()["ala2"], file)
    assert session.load(file) is not None
    assert loaded[-1] == str(file)
    with pytest.raises(FileNotFoundError, match="nothing"):
        session.load("nothing")


def test_two_dynamics_panels_share_the_potential_and_picked_atoms(opened):
    session = Session()
    panels = [opened(DynamicsPanel("ethanol", "ethanol", simulate=FakeSimulation, session=session)) for _ in range(2)]
    wait_for(lambda: all(panel.live is not None for panel in panels), "both")
    assert session.potential is session.load("ethanol")
    assert [panel.form.model.value for panel in panels] == ["ethanol", "ethanol"], "nobody follows what it has told"
    panels[0].viewers[0].picked = [0, 2]
    assert panels[1].viewers[0].picked == [0, 2]
    assert session.selection == (0, 2)
    session.selection = (1, 2, 3)
    assert panels[0].viewers[0].picked == [1, 2, 3]
    session.selection = (0, 5000)
    assert panels[0].viewers[0].picked == [1, 2, 3], "there is no such atom here"
    panels[0].close()
    panels[0].close()  # again, when it is collected
    session.selection = (4,)
    assert panels[1].viewers[0].picked == [4]


def test_a_structure_of_the_session_is_what_start_begins_with(opened):
    session = Session(potential=so3lab.load("ethanol"))
    panel = opened(DynamicsPanel(structure="ethanol", simulate=FakeSimulation, session=session))
    wait_for(lambda: panel.live is not None, "the first one")
    session.structure = molecule("CH3OH")
    assert panel.form.structure.value == "CH4O"
    panel.start()
    wait_for(lambda: panel.live is not None and len(panel.live.replicas.structures[0]) == 6, "methanol")


def test_trajectory_panels_show_the_same_trajectory_and_frame(opened, files):
    long, short = files
    session = Session()
    first = opened(TrajectoryPanel(long, session=session))
    first.viewer.frame = 12
    second = opened(TrajectoryPanel(session=session))
    assert second.viewer.frame == 12
    second.viewer.frame = 7
    assert first.viewer.frame == session.frame == 7
    second.viewer.picked = [0, 1]
    assert first.viewer.picked == [0, 1]
    session.trajectory = short
    assert len(first.trajectory) == len(second.trajectory) == 5
    alone = opened(TrajectoryPanel(long))
    alone.viewer.frame = 3
    assert session.frame != 3


def test_what_a_session_does_not_have_is_refused():
    with pytest.raises(TypeError, match="Session has no 'molecule'; it has"):
        Session(molecule=molecule("H2O"))
    with pytest.raises(Exception, match="structure"):
        Session(structure="ethanol")
