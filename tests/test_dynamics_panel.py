"""The dynamics panel without a browser: what clicks do, that steering acts, that nothing is left behind."""

import threading
import time

import ase.io
import ipywidgets
import numpy as np
import pytest
from so3lab_widgets.dynamics_panel import DynamicsPanel

import so3lab
from so3lab import atom_values, potential, stepping
from so3lab.control import Control
from so3lab.observables import dihedral_degrees
from so3lab.steering import Pull, Restraint
from so3lab.structures import read_structure
from so3lab.trajectory import Trajectory


def wait_for(condition, what: str, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.01)


def open_widgets() -> int:
    return len(ipywidgets.widgets.widget._instances)


@pytest.fixture
def panel():
    before = set(threading.enumerate())
    made = DynamicsPanel("ethanol", "ethanol", control=Control(temperature_K=300.0, friction_per_ps=20.0))
    yield made
    made.close()
    left = {thread.name for thread in set(threading.enumerate()) - before if thread.name.startswith("so3lab")}
    assert left == set()


def runs(panel: DynamicsPanel) -> DynamicsPanel:
    panel.start()
    wait_for(
        lambda: (panel.live is not None and panel.live.frames() > 20) or panel.job.ended,
        "the first frames",
        240,
    )
    assert panel.job.error is None
    return panel


def test_temperature_follows_its_slider_and_nothing_compiles(panel):
    runs(panel)
    programs = stepping.run_chunk._cache_size()
    panel.steering.sliders["temperature_K"].value = 900.0
    frames = panel.live.frames()
    assert panel.control.temperature_K == 900.0
    assert panel._code.code == "panel.control.temperature_K = 900"
    wait_for(lambda: panel.live.frames() > frames + 400, "frames after the slider")
    assert panel.live.table()["temperature"].iloc[-200:].mean() > 600
    assert panel.live.table()["target_temperature"].iloc[-1] == 900.0
    assert stepping.run_chunk._cache_size() == programs
    assert "K ·" in panel._words()


def test_picked_atoms_are_pulled_held_and_released(panel):
    runs(panel)
    programs = stepping.run_chunk._cache_size()
    panel.viewers[0].picked = [1, 2]
    panel.steering.pull_button.click()
    assert panel.control.biases == (Pull((1, 2), 0.5),)
    panel.viewers[0].picked = [0, 1, 2, 8]
    present = float(dihedral_degrees(panel.live.positions(0, slice(-1, None)), (0, 1, 2, 8))[0])
    centre = (present + 205.0) % 360.0 - 180.0  # 25 degrees away: a spring from far off is an explosion
    panel.steering.hold(centre=centre, strength=2.0)
    frames = panel.live.frames()
    assert panel.control.biases[1] == Restraint((0, 1, 2, 8), centre, 2.0)
    wait_for(lambda: panel.live.frames() > frames + 300, "frames under the restraint")
    found = panel.live.positions(0, slice(-100, None))
    away = (dihedral_degrees(found, (0, 1, 2, 8)) - centre + 180.0) % 360.0 - 180.0
    assert np.abs(away.mean()) < 15.0
    assert panel.live.table()["bias_energy"].iloc[-1] != 0.0
    panel.steering.release()
    assert panel.control.biases == ()
    assert stepping.run_chunk._cache_size() == programs
    panel.viewers[0].picked = [1]
    panel.steering.pull_button.click()
    assert "pull needs two atoms, and 1 are picked" in panel.bar.error.value


def test_the_past_can_be_looked_at_and_gone_back_to(panel):
    runs(panel)
    panel.pause()
    wait_for(lambda: panel.job.state == "paused", "the pause")
    frames, third = panel.live.frames(), panel.live.positions()[3]
    panel.step()
    wait_for(lambda: panel.live.frames() > frames, "a step")
    panel.show_frame(3)
    wait_for(
        lambda: np.allclose(panel.viewers[0].atoms.positions, third - third.mean(axis=0), atol=1e-5),
        "frame 3",
    )
    panel.go_back(3, new_velocities=True)
    wait_for(lambda: panel.live.frames() > 10, "another future")
    np.testing.assert_allclose(panel.live.positions()[3], third, atol=1e-6)
    assert panel._code.code == "panel.go_back(3, new_velocities=True)"


def test_what_blew_up_is_said_at_once_and_can_be_undone(panel):
    runs(panel)
    frame = panel.live.frames() - 1
    panel.control.timestep_fs = 30.0
    wait_for(lambda: panel.job.ended, "the end")
    assert panel.job.state == "failed"
    assert "blew up" in panel.bar.error.value
    assert "blew up" in panel.viewers[0].notice
    assert len(panel.viewers[0].picked) == 2, "the bond that went is marked"
    panel.control.timestep_fs = 0.5
    panel.go_back(frame)
    wait_for(lambda: panel.live.frames() > frame + 5, "the run going on")
    assert panel.viewers[0].notice == ""


def test_replicas_stand_side_by_side_and_share_picks(panel, tmp_path):
    panel.form.replicas.value = 2
    runs(panel)
    assert [viewer.caption for viewer in panel.viewers] == ["replica 0", "replica 1"]
    panel.viewers[1].picked = [0, 1]
    assert panel.viewers[0].picked == [0, 1]
    first, second = (panel.live.positions(number)[-1] for number in (0, 1))
    assert np.abs(first - second).max() > 1e-3
    panel.stop()
    panel.curves_of.value = 1
    energies = panel.live.table(1)["potential_energy"]
    drawn = panel.plots._traces["potential"]
    wait_for(
        lambda: len(drawn.y) and abs(drawn.y[-1] - (energies.iloc[-1] - energies.iloc[0])) < 1e-4,
        "its curves",
    )
    panel.saving.path.value = str(tmp_path / "run.h5")
    panel.saving.buttons["table"].click()
    wait_for((tmp_path / "run.csv").exists, "its table")
    assert panel.table(1).equals(panel.live.table(1))
    wait_for(lambda: panel._code.code.startswith("panel.table(1).to_csv("), "its line")


def test_frames_go_to_a_file_and_tables_and_figures_too(panel, tmp_path):
    runs(panel)
    panel.saving.path.value = str(tmp_path / "run.h5")
    panel.saving.record_button.click()
    frames = panel.live.frames()
    wait_for(lambda: panel.live.frames() > frames + 30, "recorded frames")
    panel.saving.record_button.click()
    with Trajectory(tmp_path / "run.h5") as trajectory:
        assert len(trajectory) > 10
        assert trajectory.meta["model"] == "ethanol"
    panel.saving.buttons["table"].click()
    wait_for(lambda: "Wrote" in panel.saving.words, "the table")
    assert (tmp_path / "run.csv").read_text().startswith("step,time_fs,")
    wait_for(lambda: len(panel.plots.curves.data[0].x), "curves", 20)
    panel.saving.buttons["figure"].click()
    wait_for(lambda: "run.html" in panel.saving.words and "Wrote" in panel.saving.words, "the figure")
    assert "plotly" in (tmp_path / "run.html").read_text("utf-8")
    panel.steering.sliders["temperature_K"].value = 400.0
    panel.steering.sliders["temperature_K"].value = 410.0
    panel.saving.buttons["session"].click()
    wait_for(lambda: "run.py" in panel.saving.words and "Wrote" in panel.saving.words, "the session")
    session = (tmp_path / "run.py").read_text()
    compile(session, "run.py", "exec")
    lines = [line.partition("  # at step")[0] for line in session.splitlines()]
    assert lines[0] == "import so3lab"
    assert lines[2].startswith("panel = so3lab.widgets.DynamicsPanel('ethanol', 'ethanol'")
    assert lines[3] == "panel.start()"
    assert lines[-1] == "panel.control.temperature_K = 410", "where a slider has been on its way is left out"
    panel.saving.record_button.click()  # the file exists: nothing is replaced
    assert "exists" in panel.bar.error.value
    panel.saving.buttons["table"].click()
    wait_for(lambda: "run.csv exists" in panel.bar.error.value, "the refusal to replace a table")
    panel.pause()
    wait_for(lambda: panel.job.state == "paused", "the pause")
    panel.saving.buttons["frames"].click()
    wait_for(lambda: "run.extxyz" in panel.saving.words and "Wrote" in panel.saving.words, "the frames")
    images = ase.io.read(tmp_path / "run.extxyz", ":")
    assert len(images) == panel.live.frames()
    np.testing.assert_allclose(images[3].positions, panel.live.positions()[3], atol=1e-5)
    np.testing.assert_allclose(images[3].get_forces(), panel.live.frame(0, 3).forces[0], atol=1e-5)


@pytest.mark.parametrize(
    ("model", "structure", "sentence"),
    [
        ("ethanol", "smiles:C(C", "SMILES grammar"),
        ("ethanol", "", "the field is empty"),
        ("ethanol", "nowhere.xyz", "nowhere.xyz"),
        ("ethanol", "smiles:CCN", "N"),
        ("nothing", "ethanol", "nothing"),
        ("", "ethanol", "the model must be"),
    ],
)
def test_bad_input_is_a_sentence_in_place(panel, capfd, model, structure, sentence):
    panel.form.model.value, panel.form.structure.value = model, structure
    panel.start()
    wait_for(lambda: panel.job.ended, "the refusal")
    assert panel.job.state == "failed"
    assert sentence in panel.bar.error.value
    assert "Traceback" not in capfd.readouterr().err
    assert not panel.bar.start_button.disabled, "the way out is to try again"


def test_too_many_atoms_and_an_empty_file_are_refused(panel, tmp_path):
    (tmp_path / "empty.xyz").write_text("")
    big = tmp_path / "big.pdb"
    line = "ATOM  {:5d}  C   MOL A   1    {:8.3f}{:8.3f}{:8.3f}  1.00  0.00           C\n"
    big.write_text("".join(line.format(k % 99999, k % 90, k // 90 % 90, k // 8100) for k in range(100_000)))
    for path, words in ((tmp_path / "empty.xyz", "empty.xyz"), (big, "at most 20000 atoms, got 100000")):
        panel.form.structure.value = str(path)
        panel.start()
        wait_for(lambda: panel.job.ended, "the refusal", 120)
        wait_for(lambda words=words: words in panel.bar.error.value, "the sentence")


def test_a_panel_of_the_same_name_replaces_the_one_before(panel):
    runs(panel)
    widgets = open_widgets()
    other = DynamicsPanel("ethanol", read_structure("ethanol"))
    assert panel.job.ended
    assert len([t for t in threading.enumerate() if t.name == "so3lab dynamics"]) == 1, "that of the other"
    runs(other)
    assert open_widgets() == widgets
    other.close()


def test_another_start_leaves_no_widgets_behind(panel):
    counts = []
    for replicas in (1, 2, 1):
        before, panel.form.replicas.value = panel.live, replicas
        panel.start()
        wait_for(lambda before=before: panel.live not in (before, None), "a start", 120)
        panel.viewers[0].picked = [1, 2]
        panel.steering.pull()
        panel.steering.release()
        panel.stop()
        counts.append(open_widgets())
    assert counts[0] == counts[2] < counts[1]


def test_a_panel_shows_its_molecule_and_compiles_before_anybody_starts_it(panel):
    wait_for(lambda: panel.job.state == "paused", "preparations", 120)
    assert (panel.live.replicas.step, panel.viewers[0].atoms.get_chemical_formula()) == (0, "C2H6O")
    assert panel.bar.start_button.description == "Start"
    prepared = panel.live
    panel.start()
    wait_for(lambda: prepared.frames() > 3, "frames of what was prepared", 20)
    panel.stop()
    panel.form.replicas.value = 2
    panel.start()
    wait_for(lambda: panel.live is not prepared and len(panel.viewers) == 2, "what is wanted now")


def test_velocities_are_those_of_the_temperature_at_the_start(panel):
    wait_for(lambda: panel.job.state == "paused", "preparations", 120)
    panel.steering.sliders["temperature_K"].value = 1000.0
    panel.start()
    wait_for(lambda: panel.live is not None and panel.live.frames() > 3, "frames", 240)
    of_27 = 21 / 27  # degrees of freedom: it starts without momentum and rotation
    assert panel.live.table()["temperature"].iloc[0] == pytest.approx(1000.0 * of_27, rel=0.01)


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="ensemble must be one of"):
        DynamicsPanel(ensemble="nvt")
    with pytest.raises(ValueError, match="replicas must be 1 to 4, got 9"):
        DynamicsPanel(replicas=9)
    with pytest.raises(TypeError):
        DynamicsPanel(temperature=300)


def test_colours_and_links_come_from_the_model_that_moves_the_atoms(panel):
    viewer = runs(panel).viewers[0]
    assert list(viewer.colours) == ["element", "force", "speed", "atomic energy", "attention"]
    viewer.colour = "attention"
    wait_for(
        lambda: {"links", "values"} <= viewer._latest.keys(), "links between atoms that listen to each other"
    )
    panel.pause()
    wait_for(lambda: panel.job.state == "paused", "the pause")
    viewer.colour = "atomic energy"
    wait_for(lambda: "links" not in viewer._latest, "links gone")
    energies = atom_values.of(so3lab.load("ethanol"))["atomic energy"](panel.atoms())

    def painted():
        values = viewer._latest.get("values")
        return values is not None and np.allclose(values, energies, atol=1e-4)

    wait_for(painted, "energies of the shown frame")
    wait_for(lambda: viewer._legend["label"] == "atomic energy (eV)", "their legend")
    viewer.colour = "force"
    forces = np.linalg.norm(panel.live.frame().forces[-1], axis=1)
    wait_for(lambda: np.array_equal(viewer._latest.get("values"), forces), "forces of the shown frame")
    panel.show_frame(3)
    forces = np.linalg.norm(panel.live.frame(0, 3).forces[-1], axis=1)
    wait_for(lambda: np.array_equal(viewer._latest.get("values"), forces), "forces of a past frame")


def test_one_small_program_gives_all_colours(panel):
    """People wait for it: a full prediction with forces takes ten times as long to compile."""
    viewer = runs(panel).viewers[0]
    predictions, programs = potential._predict._cache_size(), atom_values._forwards._cache_size()
    for colour in ("attention", "atomic energy"):
        viewer.colour = colour
        wait_for(lambda colour=colour: viewer._legend.get("label", "").startswith(colour), colour)
    assert potential._predict._cache_size() == predictions
    assert atom_values._forwards._cache_size() <= programs + 1


def test_other_fields_during_a_run_say_when_they_act(panel):
    runs(panel)
    waits = "after Stop and Start"
    assert waits not in panel._words()
    panel.form.ensemble.value = "nve"
    assert waits in panel._words()
    panel.form.ensemble.value = "langevin"
    assert waits not in panel._words()
    panel.form.ensemble.value = "nve"
    panel.stop()
    assert waits not in panel._words()


def test_a_sentence_stays_while_the_molecule_moves(panel):
    runs(panel)
    panel.viewers[0].picked = [1]
    panel.steering.pull_button.click()
    frames = panel.live.frames()
    wait_for(lambda: panel.live.frames() > frames + 100, "frames")
    panel._update_plots((panel.live,))
    assert "pull needs two atoms, and 1 are picked" in panel.bar.error.value
    panel.viewers[0].picked = [1, 2]
    panel.steering.pull_button.click()
    assert panel.bar.error.value == ""


def test_every_button_has_its_line_of_python(panel):
    runs(panel)
    for button, line in (
        (panel.bar.pause_button, "panel.pause()"), (panel.bar.step_button, "panel.step()"),
        (panel.bar.start_button, "panel.start()"),
    ):  # fmt: skip
        button.click()
        assert panel._code.code == line
        wait_for(lambda: panel.job.state == ("running" if line == "panel.start()" else "paused"), line)  # noqa: B023
    panel.viewers[0].representation = "licorice"
    assert panel._code.code == "panel.viewers[0].representation = 'licorice'"
    panel.viewers[0].picked = [0, 1]
    panel.steering.pull_button.click()
    line = panel._code.code
    panel.steering.release()
    exec(line, {"panel": panel, "so3lab": so3lab})
    assert panel.control.biases == (Pull((0, 1), 0.5),), "what is copied works"
    panel.bar.stop_button.click()
    assert panel._code.code == "panel.stop()"


def test_a_step_goes_on_from_the_present_whatever_is_looked_at(panel):
    runs(panel)
    panel.pause()
    wait_for(lambda: panel.job.state == "paused", "the pause")
    panel.past.slider.value = 0.0
    assert panel._shown_frame == 0
    frames = panel.live.frames()
    panel.bar.step_button.click()
    wait_for(lambda: panel.live.frames() > frames, "a step")
    panel.start()
    wait_for(lambda: panel.live.frames() > frames + 10, "the run")
    assert panel._shown_frame is None


def test_sliders_follow_python_and_pages_do_not_turn_knobs(panel):
    runs(panel)
    sliders = panel.steering.sliders
    sliders["friction_per_ps"].value = 10**1.3  # what a page sends back: 20 rounded to a step of its slider
    assert panel.control.friction_per_ps == 20.0
    assert "friction" not in panel.session()
    panel.control.temperature_K = 2000.0
    panel.control.biases = [Restraint((0, 1), 1.5, 5.0)]
    wait_for(lambda: sliders["temperature_K"].value == 2000.0, "the slider")
    wait_for(lambda: panel.steering.others.value == "1 more set in Python", "a word about the restraint")
    panel.steering.pull((0, 2), 0.1)
    assert panel.control.biases == (Restraint((0, 1), 1.5, 5.0), Pull((0, 2), 0.1)), (
        "one does not undo the other"
    )
    panel.steering.release()
    assert panel.control.biases == ()


def test_forces_are_drawn_where_they_are_wanted(panel):
    viewer = runs(panel).viewers[0]
    assert viewer.has_forces
    assert "arrows" not in viewer._latest
    viewer.forces = True
    wait_for(lambda: "arrows" in viewer._latest, "arrows")
    panel.pause()
    wait_for(lambda: panel.job.state == "paused", "the pause")
    panel.show_frame(3)
    forces = panel.live.frame(0, 3).forces[0]
    wait_for(lambda: np.array_equal(viewer._latest["arrows"], forces), "those of the shown frame")
    viewer.forces = False
    wait_for(lambda: "arrows" not in viewer._latest and "arrows" not in viewer._sent_names, "no arrows")


def test_places_that_cannot_be_written_are_said(panel, tmp_path):
    runs(panel)
    panel.saving.path.value = str(tmp_path / "nowhere" / "run.h5")
    panel.saving.record_button.click()
    assert "nowhere" in panel.bar.error.value
    panel.saving.buttons["table"].click()
    wait_for(lambda: "nowhere" in panel.bar.error.value, "the refusal")
    panel.saving.path.value = ""
    panel.saving.record_button.click()
    assert panel.bar.error.value


def test_preparations_that_are_wanted_no_more_change_nothing(monkeypatch):
    """A program that takes long to compile cannot be stopped; what it was for comes too late."""
    from so3lab_widgets import jobs, run_commands

    slow, made = threading.Event(), []

    class Slow(run_commands.LiveDynamics):
        def __init__(self, potential, structures, **options):
            super().__init__(potential, structures, **options)
            if len(structures) == 1:
                slow.wait(60)
            made.append(len(structures))

    monkeypatch.setattr(run_commands, "LiveDynamics", Slow)
    monkeypatch.setattr(jobs, "_PATIENCE_S", 0.1)
    panel = DynamicsPanel("ethanol", "ethanol", name="slow")
    wait_for(lambda: panel.viewers, "the first molecule", 120)
    panel.form.replicas.value = 2
    panel.start()
    wait_for(lambda: panel.live is not None and panel.live.frames() > 3, "frames of two", 240)
    wanted = panel.live
    slow.set()
    wait_for(lambda: 1 in made, "the end of the first preparations", 120)
    frames = wanted.frames()
    wait_for(lambda: wanted.frames() > frames + 3, "more frames")
    assert panel.live is wanted
    assert len(panel.viewers) == 2
    panel.close()
    wait_for(lambda: "so3lab slow" not in {thread.name for thread in threading.enumerate()}, "no thread")
