"""The dynamics panel without a browser: what clicks and sliders do to a simulation that runs."""

import numpy as np
from fake_simulation import FakeSimulation
from running_panel import runs
from scipy.spatial.distance import pdist
from waiting import wait_for

import so3lab
from so3lab.dynamics import compiled_loop
from so3lab.engine.biases import Pull, Restraint
from so3lab.observables import dihedral_degrees
from so3lab.trajectory import Trajectory


def test_temperature_follows_its_slider_and_nothing_compiles(physical_panel):
    panel = physical_panel
    runs(panel)
    programs = compiled_loop.run_chunk._cache_size()
    panel.steering.sliders["temperature_K"].value = 900.0
    frames = panel.live.frames()
    assert panel.control.temperature_K == 900.0
    assert panel.code_line.code == "panel.control.temperature_K = 900"
    wait_for(lambda: panel.live.frames() > frames + 400, "frames after the slider")
    assert panel.live.table()["temperature"].iloc[-200:].mean() > 600
    assert panel.live.table()["target_temperature"].iloc[-1] == 900.0
    assert compiled_loop.run_chunk._cache_size() == programs
    assert "K ·" in panel.run.words


def test_picked_atoms_are_pulled_held_and_released(physical_panel):
    panel = physical_panel
    runs(panel)
    programs = compiled_loop.run_chunk._cache_size()
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
    assert compiled_loop.run_chunk._cache_size() == programs
    panel.viewers[0].picked = [1]
    panel.steering.pull_button.click()
    assert "pull needs two atoms, and 1 are picked" in panel.message.sentence


def test_the_past_can_be_looked_at_and_gone_back_to(panel):
    runs(panel)
    panel.pause()
    wait_for(lambda: panel.job.state == "paused", "the pause")
    frames, third = panel.live.frames(), panel.live.positions()[3]
    panel.step()
    wait_for(lambda: panel.live.frames() > frames, "a step")
    panel.show_frame(3)
    wait_for(
        lambda: np.allclose(pdist(panel.viewers[0].atoms.positions), pdist(third), atol=1e-5),
        "frame 3",
    )
    panel.go_back(3, new_velocities=True)
    wait_for(lambda: panel.live.frames() > 10, "another future")
    np.testing.assert_allclose(panel.live.positions()[3], third, atol=1e-6)
    assert panel.code_line.code == "panel.go_back(3, new_velocities=True)"


def test_a_session_does_again_what_was_done(panel, tmp_path):
    panel.form.ensemble.value = "csvr"
    panel.form.replicas.value = 2
    runs(panel)
    panel.curves_of.value = 1
    panel.steering.sliders["temperature_K"].value = 450.0
    panel.viewers[1].representation = "licorice"
    panel.viewers[0].picked = [0, 1]
    panel.steering.pull(force=0.3)
    panel.pause()
    panel.job.pause_and_wait()
    panel.show_frame(4)
    panel.go_back(4)
    panel.save_figures(tmp_path / "two.html")
    assert (tmp_path / "two.html").read_text().count('class="plotly-graph-div"') == 2
    panel.stop()
    space: dict = {"simulate": FakeSimulation}
    exec(panel.session(), space)
    again = space["panel"]
    try:
        assert again.form.values == panel.form.values == ("ethanol", "ethanol", "csvr", 2, "")
        assert again.control == panel.control
        assert again.job is not None
        assert again.seed == panel.seed
        assert again.viewers[1].representation == "licorice"
        assert again.viewers[0].picked == [0, 1]
        assert again.curves_of.value == 1
    finally:
        again.close()


def test_a_moment_that_is_shown_while_it_runs_stays_shown_and_is_gone_on_from(panel):
    runs(panel)
    wait_for(lambda: panel.live.frames() > 40, "frames")
    panel.show_frame(3)
    third, frames = panel.live.positions()[3], panel.live.frames()
    assert panel.job.state == "paused"
    assert panel.live.frames() == frames
    assert panel.history.words.value.startswith(f"frame 3 of {frames - 1:,}")
    assert round(panel.history.slider.value * (frames - 1)) == 3
    wait_for(
        lambda: np.allclose(pdist(panel.viewers[0].atoms.positions), pdist(third), atol=1e-5),
        "frame 3",
    )
    panel.step()
    panel.go_back(-2)
    panel.job.pause_and_wait()
    steps = np.diff(panel.live.table()["step"])
    assert len(set(steps.tolist())) == 1, "the past has no holes"
    assert panel.live.frames() >= frames - 1
    panel.show_frame(5)
    panel.stop()
    panel.start()
    wait_for(lambda: panel.live is not None and panel.live.frames() > 20, "another run")
    assert panel.run.shown_frame is None, "a frame of another run is no place to go on from"


def test_a_file_that_is_no_longer_written_is_not_said_to_be(panel, tmp_path):
    runs(panel)
    panel.record(tmp_path / "one.h5")
    assert panel.saving.end_button.layout.display == ""
    frames = panel.live.frames()
    wait_for(lambda: panel.live.frames() > frames + 10, "frames in the file")
    panel.go_back(3, new_velocities=True)
    wait_for(lambda: panel.saving.end_button.layout.display == "none", "the end of the file")
    assert panel.saving.message.sentence == f"Wrote {tmp_path / 'one.h5'}."
    panel.saving.path.value = str(tmp_path / "two.h5")
    panel.saving.save("recording")
    live = panel.live
    assert live.recording
    frames = live.frames()
    wait_for(lambda: live.frames() > frames + 10, "frames in the other file")
    panel.stop()
    assert not live.recording, "what has ended is complete"
    assert panel.saving.end_button.layout.display == "none"
    for name in ("one.h5", "two.h5"):
        with Trajectory(tmp_path / name) as trajectory:
            assert len(trajectory) > 0


def test_what_is_held_stays_held_until_the_molecule_is_another(panel):
    panel.control.biases = [Restraint((0, 1), 1.5, 5.0)]
    runs(panel)
    panel.viewers[0].picked = [1, 2]
    panel.steering.pull_button.click()
    held = (Restraint((0, 1), 1.5, 5.0), Pull((1, 2), 0.5))
    assert panel.control.biases == held
    panel.stop()
    panel.control.temperature_K = 350.0
    before = panel.live
    panel.start()
    wait_for(lambda: panel.live not in (None, before) and panel.live.frames() > 5, "another run")
    assert panel.control.biases == held
    assert len(panel.steering.rows.children) == 2, "each with its row"
    panel.stop()
    panel.form.model.value = panel.form.structure.value = "ala2"
    before = panel.live
    panel.start()
    wait_for(lambda: panel.live not in (None, before) and panel.live.frames() > 1, "another molecule", 240)
    assert panel.control.biases == ()


def test_what_blew_up_is_said_at_once_and_can_be_undone(physical_panel):
    panel = physical_panel
    runs(panel)
    frame = panel.live.frames() - 1
    panel.control.timestep_fs = 30.0
    wait_for(lambda: panel.job.ended, "the end")
    assert panel.job.state == "failed"
    wait_for(lambda: "blew up" in panel.message.sentence, "the sentence")
    wait_for(lambda: "blew up" in panel.viewers[0].notice, "the notice")
    wait_for(lambda: len(panel.viewers[0].picked) == 2, "the bond that went, marked")
    panel.control.timestep_fs = 0.5
    panel.go_back(frame)
    wait_for(lambda: panel.live.frames() > frame + 5, "the run going on")
    assert panel.viewers[0].notice == ""


def test_a_sentence_stays_while_the_molecule_moves(panel):
    runs(panel)
    panel.viewers[0].picked = [1]
    panel.steering.pull_button.click()
    frames = panel.live.frames()
    wait_for(lambda: panel.live.frames() > frames + 100, "frames")
    panel.plot_area.draw(panel.live)
    assert "pull needs two atoms, and 1 are picked" in panel.message.sentence
    panel.viewers[0].picked = [1, 2]
    panel.steering.pull_button.click()
    assert panel.message.sentence == ""


def test_every_button_has_its_line_of_python(panel):
    runs(panel)
    for button, line in (
        (panel.bar.pause_button, "panel.pause()"),
        (panel.bar.step_button, "panel.step()"),
        (panel.bar.start_button, "panel.start()"),
    ):
        button.click()
        assert panel.code_line.code == line
        wait_for(lambda: panel.job.state == ("running" if line == "panel.start()" else "paused"), line)  # noqa: B023
    panel.viewers[0].representation = "licorice"
    assert panel.code_line.code == "panel.viewers[0].representation = 'licorice'"
    panel.viewers[0].picked = [0, 1]
    panel.steering.pull_button.click()
    line = panel.code_line.code
    panel.steering.release()
    exec(line, {"panel": panel, "so3lab": so3lab})
    assert panel.control.biases == (Pull((0, 1), 0.5),), "what is copied works"
    panel.bar.stop_button.click()
    assert panel.code_line.code == "panel.stop()"


def test_a_step_goes_on_from_the_present_whatever_is_looked_at(panel):
    runs(panel)
    panel.pause()
    wait_for(lambda: panel.job.state == "paused", "the pause")
    panel.history.slider.value = 0.0
    assert panel.run.shown_frame == 0
    frames = panel.live.frames()
    panel.bar.step_button.click()
    wait_for(lambda: panel.live.frames() > frames, "a step")
    panel.start()
    wait_for(lambda: panel.live.frames() > frames + 10, "the run")
    assert panel.run.shown_frame is None


def test_sliders_follow_python_and_pages_do_not_turn_knobs(panel):
    runs(panel)
    sliders = panel.steering.sliders
    sliders["friction_per_ps"].value = 10**1.3  # what a page sends back: 20 rounded to a step of its slider
    assert panel.control.friction_per_ps == 20.0
    assert "panel.control.friction" not in panel.session()
    panel.control.temperature_K = 2000.0
    panel.control.biases = [Restraint((0, 1), 1.5, 5.0)]
    wait_for(lambda: sliders["temperature_K"].value == 2000.0, "the slider")
    wait_for(lambda: panel.steering.others.value == "1 more set in Python", "a word about the restraint")
    panel.steering.pull((0, 2), 0.1)
    assert panel.control.biases == (Restraint((0, 1), 1.5, 5.0), Pull((0, 2), 0.1)), "one does not undo the other"
    panel.steering.release()
    assert panel.control.biases == ()
