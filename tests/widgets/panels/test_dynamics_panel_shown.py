"""The dynamics panel without a browser: what it draws, and what it writes to disk."""

import ase.io
import numpy as np
from running_panel import runs
from waiting import wait_for

import so3lab
from so3lab import atom_properties
from so3lab.attention import look
from so3lab.potential import potential
from so3lab.trajectory import Trajectory


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
    (drawn,) = (trace for trace in panel.plots.curves.data if trace.name == "potential")
    wait_for(
        lambda: len(drawn.y) and abs(drawn.y[-1] - (energies.iloc[-1] - energies.iloc[0])) < 1e-4,
        "its curves",
    )
    panel.saving.path.value = str(tmp_path / "run.h5")
    panel.saving.save("table")
    wait_for((tmp_path / "run.csv").exists, "its table")
    assert panel.table(1).equals(panel.live.table(1))
    wait_for(lambda: panel.code_line.code.startswith("panel.table(1).to_csv("), "its line")


def test_frames_go_to_a_file_and_tables_and_figures_too(panel, tmp_path):
    runs(panel)
    panel.saving.path.value = str(tmp_path / "run.h5")
    panel.saving.save("recording")
    assert panel.saving.end_button.layout.display == ""
    frames = panel.live.frames()
    wait_for(lambda: panel.live.frames() > frames + 30, "recorded frames")
    panel.saving.end_button.click()
    assert panel.saving.message.sentence == f"Wrote {tmp_path / 'run.h5'}."
    with Trajectory(tmp_path / "run.h5") as trajectory:
        assert len(trajectory) > 10
        assert trajectory.meta["model"] == "ethanol"
    panel.saving.save("table")
    wait_for(lambda: "Wrote" in panel.saving.message.sentence, "the table")
    assert (tmp_path / "run.csv").read_text().startswith("step,time_fs,")
    wait_for(lambda: len(panel.plots.curves.data[0].x), "curves", 20)
    panel.saving.save("figure")
    wait_for(
        lambda: "run.html" in panel.saving.message.sentence and "Wrote" in panel.saving.message.sentence, "the figure"
    )
    assert "plotly" in (tmp_path / "run.html").read_text("utf-8")
    panel.steering.sliders["temperature_K"].value = 400.0
    panel.steering.sliders["temperature_K"].value = 410.0
    panel.saving.save("session")
    wait_for(
        lambda: "run.py" in panel.saving.message.sentence and "Wrote" in panel.saving.message.sentence, "the session"
    )
    session = (tmp_path / "run.py").read_text()
    compile(session, "run.py", "exec")
    lines = [line for line in session.splitlines() if not line.startswith("panel.wait(")]
    assert lines[0] == "import so3lab"
    assert lines[2].startswith("panel = so3lab.widgets.DynamicsPanel('ethanol', 'ethanol'")
    assert lines[3] == "panel.start()"
    assert lines[-1] == "panel.control.temperature_K = 410", "where a slider has been on its way is left out"
    panel.saving.save("recording")  # the file exists: nothing is replaced
    assert "exists" in panel.saving.message.sentence
    panel.saving.save("table")
    wait_for(lambda: "run.csv exists" in panel.saving.message.sentence, "the refusal to replace a table")
    panel.pause()
    wait_for(lambda: panel.job.state == "paused", "the pause")
    panel.saving.save("frames")
    wait_for(
        lambda: "run.extxyz" in panel.saving.message.sentence and "Wrote" in panel.saving.message.sentence, "the frames"
    )
    images = ase.io.read(tmp_path / "run.extxyz", ":")
    assert len(images) == panel.live.frames()
    np.testing.assert_allclose(images[3].positions, panel.live.positions()[3], atol=1e-5)
    np.testing.assert_allclose(images[3].get_forces(), panel.live.frame(0, 3).forces[0], atol=1e-5)


def test_colours_and_links_come_from_the_model_that_moves_the_atoms(physical_panel):
    panel = physical_panel
    viewer = runs(panel).viewers[0]
    assert list(viewer.colours) == ["element", "force", "speed", "atomic energy", "attention"]
    viewer.colour = "attention"
    wait_for(lambda: {"links", "values"} <= viewer.latest.keys(), "links between atoms that listen to each other")
    panel.pause()
    wait_for(lambda: panel.job.state == "paused", "the pause")
    attention = panel.views.attention
    assert attention.layout.display == ""
    assert viewer.links_legend["label"] == "attention, all layers, heads and degrees"
    attention.channel = (2, "euclidean", 1)
    wait_for(lambda: viewer.links_legend.get("label") == "attention, layer 2, degree 1", "links of this layer")
    wait_for(lambda: "layer 2, degree 1" in viewer.legend["definition"], "colours of this layer")
    viewer.colour = "atomic energy"
    assert attention.layout.display == "none"
    wait_for(lambda: "links" not in viewer.latest, "links gone")
    energies = atom_properties.per_atom_functions(so3lab.load("ethanol"))["atomic energy"](panel.atoms())

    def painted():
        values = viewer.latest.get("values")
        return values is not None and np.allclose(values, energies, atol=1e-4)

    wait_for(painted, "energies of the shown frame")
    wait_for(lambda: viewer.legend["label"] == "atomic energy (eV)", "their legend")
    viewer.colour = "force"
    forces = np.linalg.norm(panel.live.frame().forces[-1], axis=1)
    wait_for(lambda: np.array_equal(viewer.latest.get("values"), forces), "forces of the shown frame")
    panel.show_frame(3)
    forces = np.linalg.norm(panel.live.frame(0, 3).forces[-1], axis=1)
    wait_for(lambda: np.array_equal(viewer.latest.get("values"), forces), "forces of a past frame")


def test_one_small_program_gives_all_colours(physical_panel):
    """People wait for it: a full prediction with forces takes ten times as long to compile."""
    panel = physical_panel
    viewer = runs(panel).viewers[0]
    predictions, programs = potential.predict_graph._cache_size(), look._forwards._cache_size()
    for colour in ("attention", "atomic energy"):
        viewer.colour = colour
        wait_for(lambda colour=colour: viewer.legend.get("label", "").startswith(colour), colour)
    assert potential.predict_graph._cache_size() == predictions
    assert look._forwards._cache_size() <= programs + 1


def test_forces_are_drawn_where_they_are_wanted(panel):
    viewer = runs(panel).viewers[0]
    viewer.follow = "off"  # which turns forces with the molecule
    assert viewer.has_forces
    assert "arrows" not in viewer.latest
    viewer.forces = True
    wait_for(lambda: "arrows" in viewer.latest, "arrows")
    panel.pause()
    wait_for(lambda: panel.job.state == "paused", "the pause")
    panel.show_frame(3)
    forces = panel.live.frame(0, 3).forces[0]
    wait_for(lambda: np.array_equal(viewer.latest["arrows"], forces), "those of the shown frame")
    viewer.forces = False
    wait_for(lambda: "arrows" not in viewer.latest and "arrows" not in viewer.drawn, "no arrows")


def test_places_that_cannot_be_written_are_said(panel, tmp_path):
    runs(panel)
    panel.saving.path.value = str(tmp_path / "nowhere" / "run.h5")
    panel.saving.save("recording")
    assert "nowhere" in panel.saving.message.sentence
    panel.saving.save("table")
    wait_for(lambda: "nowhere" in panel.saving.message.sentence, "the refusal")
