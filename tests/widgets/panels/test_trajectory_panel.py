"""The trajectory panel without a browser: what its controls do, and how it takes what cannot be done."""

import os
import threading

import numpy as np
import pandas as pd
import pytest
from ase.build import molecule
from ase.io import read
from plot_page import dragged, from_page
from running_panel import open_widgets
from so3lab_widgets.panels import panel as panel_module
from so3lab_widgets.panels.trajectory_panel import TrajectoryPanel
from so3lab_widgets.running.cell import CellRun
from waiting import wait_for

import so3lab
from so3lab import atom_properties, datasets
from so3lab.observables import internal_coordinates, rmsd
from so3lab.trajectory import Trajectory, TrajectoryWriter

FRAMES = 4500


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write(tmp_path_factory.mktemp("runs") / "run.h5", FRAMES)


def write(path, frames: int):
    atoms, rng = molecule("CH3CH2OH"), np.random.default_rng(0)
    shape = (frames, len(atoms), 3)
    noise = rng.normal(size=frames)
    with TrajectoryWriter(path, atoms, state_template={}, meta={}) as writer:
        if frames:
            writer.append(
                {
                    "step": np.arange(frames),
                    "time_fs": 2.0 * np.arange(frames),
                    "positions": atoms.positions + rng.normal(0, 0.05, shape),
                    "velocities": np.zeros(shape),
                    "forces": np.zeros(shape),
                    "temperature": 300 + noise,
                    "kinetic_energy": 1 + 0.01 * noise,
                    "potential_energy": -100 - 0.01 * noise,
                }
            )
    return path


@pytest.fixture
def panel(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = TrajectoryPanel(path)
    yield made
    made.close()


def test_temperature_and_energies_are_drawn_first(panel):
    assert list(panel.plot.series) == ["temperature", "potential_energy", "total_energy"]
    assert list(panel.row.series) == ["temperature", "potential_energy", "total_energy", "kinetic_energy"]
    assert panel.viewer.frames == FRAMES


def test_the_player_moves_line_and_numbers(panel):
    panel.viewer.frame = 1000
    wait_for(lambda: panel.plot.figure.cursor == 2.0)
    wait_for(lambda: "frame 1,000" in panel.readout.value)
    assert f"{panel.row.series['total_energy'].values[1000]:.3f}".replace("-", "−")[:6] in panel.readout.value


def test_pointing_moves_the_frame_unless_it_is_switched_off(panel):
    from_page(panel.plot.figure, "hover", 0, [0.002 * 17])
    assert panel.viewer.frame == 17
    assert panel.plot.figure.cursor_follows
    panel.follows.value = False
    assert not panel.plot.figure.cursor_follows, "the line stays with the molecule"
    from_page(panel.plot.figure, "hover", 0, [0.002 * 18])
    assert panel.viewer.frame == 17
    from_page(panel.plot.figure, "click", 0, [0.002 * 19])
    assert panel.viewer.frame == 19
    assert panel.code_line.code.endswith("run.h5')[19]")


@pytest.mark.parametrize(
    ("atoms", "column"),
    [
        ([0, 1], "distance C0–C1_A"),
        ([0, 1, 2], "angle C0–C1–O2_deg"),
        ([0, 1, 2, 3], "dihedral C0–C1–O2–H3_deg"),
    ],
)
def test_picked_atoms_are_measured_in_every_frame(panel, path, atoms, column):
    panel.viewer.picked = atoms
    wait_for(lambda: column in panel.plot.series and "internal_coordinates(" in panel.code_line.code)
    right = internal_coordinates(Trajectory(path).positions(), {"x": tuple(atoms)}).to_numpy()[:, 0]
    np.testing.assert_allclose(panel.row.series[column].values, right)
    found = eval(panel.code_line.code, {"so3lab": __import__("so3lab")})
    np.testing.assert_allclose(found.to_numpy()[:, 0], right)


def test_a_longer_chain_replaces_the_shorter_and_a_new_one_does_not(panel):
    for picked, columns in (
        ([0, 1], {"distance C0–C1_A"}),
        ([0, 1, 2], {"angle C0–C1–O2_deg"}),
        ([4], {"angle C0–C1–O2_deg"}),
        ([4, 5], {"angle C0–C1–O2_deg", "distance H4–H5_A"}),
    ):
        panel.viewer.picked = picked
        wait_for(lambda columns=columns: {name for name in panel.row.series if "–" in name} == columns)


def test_series_are_hidden_and_shown(panel):
    panel.row.show("potential_energy", False)
    panel.row.show("kinetic_energy")
    assert list(panel.plot.series) == ["temperature", "total_energy", "kinetic_energy"]
    assert panel.code_line.code.endswith(".table(), 'temperature', 'total_energy', 'kinetic_energy')")


def test_chosen_frames_are_exported(panel, path, tmp_path):
    dragged(panel.plot.figure, 0.1995, 0.2785)
    panel.choice.every.value = 10
    assert panel.choice.count.value == "4 frames chosen"
    panel.saving.save("frames")
    wait_for(lambda: "Wrote 4 frames" in panel.saving.message.sentence)
    found = read(tmp_path / "frames.extxyz", ":")
    np.testing.assert_allclose(found[1].positions, Trajectory(path)[110].positions, atol=1e-6)
    panel.saving.save("table")
    wait_for(lambda: "Wrote frames.csv" in panel.saving.message.sentence)
    assert pd.read_csv(tmp_path / "frames.csv")["frame"].tolist() == [100, 110, 120, 130]
    panel.saving.save("figure")
    wait_for(lambda: "Wrote frames.html" in panel.saving.message.sentence)
    assert "plotly" in (tmp_path / "frames.html").read_text("utf-8")


def test_nothing_is_overwritten(panel, tmp_path):
    (tmp_path / "frames.csv").write_text("mine")
    panel.save("table")
    wait_for(lambda: "frames.csv exists; choose another name" in panel.saving.message.sentence)
    assert (tmp_path / "frames.csv").read_text() == "mine"


def test_a_slice_of_a_trajectory_exports_its_own_frames(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    panel = TrajectoryPanel(Trajectory(path)[1000:2000:10])
    panel.choose(5, 7)
    panel.save("frames")
    wait_for(lambda: "Wrote 2 frames" in panel.saving.message.sentence)
    found = read(tmp_path / "frames.extxyz", ":")
    np.testing.assert_allclose(found[0].positions, Trajectory(path)[1050].positions, atol=1e-6)
    panel.close()


def test_what_cannot_be_opened_is_said_and_the_panel_stays(panel, tmp_path):
    (tmp_path / "empty.h5").touch()
    write(tmp_path / "none.h5", 0)
    for wrong, sentence in (
        (tmp_path / "nowhere.h5", "there is no trajectory file"),
        (tmp_path / "empty.h5", "is not an HDF5 file"),
        (tmp_path / "none.h5", "has no frames yet"),
        (" ", "the trajectory must be a file such as run.h5; the field is empty"),
        (42, "frames must be a file, an open trajectory, Atoms, a sequence of them or a data set, got 42"),
    ):
        panel.load(wrong)
        assert sentence in panel.message.sentence
        assert "Errno" not in panel.message.sentence
        assert len(panel.trajectory) == FRAMES


def test_a_panel_without_a_file_waits_for_one(path):
    panel = TrajectoryPanel()
    assert panel.children[-1].layout.display == "none"
    with pytest.raises(ValueError, match="no trajectory is open"):
        panel.add(0, 1)
    panel.file_row.path.value = str(path)
    panel.file_row.open_button.click()
    assert panel.children[-1].layout.display == ""
    assert panel.viewer.frames == FRAMES
    panel.close()


@pytest.mark.parametrize(
    ("atoms", "sentence"), [((0,), "two to four different"), ((0, 0), "different"), ((0, 99), "0 to 8")]
)
def test_atoms_that_cannot_be_measured_are_refused(panel, atoms, sentence):
    with pytest.raises(ValueError, match=sentence):
        panel.add(*atoms)


def held_open(path) -> int:
    """How often this process holds a file open."""
    return sum(os.path.realpath(f"/proc/self/fd/{number}") == str(path) for number in os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs Linux's list of open files")
def test_the_same_cell_run_again_leaves_nothing_of_the_panel_before(path, tmp_path, monkeypatch):
    own = write(tmp_path / "own.h5", 30)
    TrajectoryPanel(own).close()
    threads, widgets = set(threading.enumerate()), open_widgets()
    panels = []  # as a notebook holds them, in its outputs
    for run in range(3):
        monkeypatch.setattr(panel_module, "running_cell", lambda run=run: CellRun("cell", f"run {run}"))
        panels.append(TrajectoryPanel(own))
        panels[-1].viewer.picked = [0, 1]
        panels[-1].viewer.playing = True
        wait_for(lambda: len(panels[-1].row.children) > 5)
        if len(panels) == 1:
            of_one = open_widgets() - widgets
    assert panels[1].trajectory is None
    assert held_open(own) == 1
    assert open_widgets() <= widgets + of_one
    monkeypatch.setattr(panel_module, "running_cell", lambda: CellRun("another cell", "run"))
    other = TrajectoryPanel(path)
    assert panels[-1].trajectory is not None, "another cell leaves it alone"
    for panel in (other, panels[-1]):
        panel.close()
    assert held_open(own) == 0
    assert open_widgets() == widgets
    wait_for(lambda: set(threading.enumerate()) <= threads)


def test_a_trajectory_of_ones_own_stays_open(path):
    with Trajectory(path) as mine:
        TrajectoryPanel(mine).close()
        assert len(mine.positions(3)) == 9


def test_unknown_keywords_are_refused(path):
    with pytest.raises(TypeError, match="colour"):
        TrajectoryPanel(path, colour="red")


def test_frames_are_coloured_by_what_a_model_says(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    panel = TrajectoryPanel(path, model="ethanol")
    try:
        viewer = panel.viewer
        assert list(viewer.colours) == ["element", "atomic energy", "attention", "force"]
        viewer.frame, viewer.colour = 70, "atomic energy"
        with Trajectory(path) as trajectory:
            expected = atom_properties.per_atom_functions(so3lab.load("ethanol"))["atomic energy"](trajectory[70])
        wait_for(lambda: np.allclose(viewer.latest.get("values", 0), expected, atol=1e-4))
        viewer.colour = "attention"
        wait_for(lambda: "links" in viewer.latest)
        panel.attention.channel = (1, "features", 2)
        wait_for(lambda: viewer.links_legend.get("label") == "attention, layer 1, head 2")
        wait_for(lambda: "layer 1, head 2" in viewer.legend.get("definition", ""))
        panel.attention.threshold.value = 30.0
        assert viewer.link_threshold == 0.3
        viewer.colour = "element"
        wait_for(lambda: "links" not in viewer.latest)
    finally:
        panel.close()


def test_rmsd_from_the_first_frame_is_measured_when_it_is_asked_for(panel, path):
    assert "RMSD_A" not in panel.row.series
    panel.row.show("RMSD_A")
    wait_for(
        lambda: "RMSD_A" in panel.plot.series and "rmsd(" in panel.code_line.code, "the curve and its line of Python"
    )
    opened = Trajectory(path)
    right = rmsd(opened.positions(), opened.positions(0), opened.times_fs)["rmsd_A"]
    np.testing.assert_allclose(panel.row.series["RMSD_A"].values, right)
    assert panel.plot.series["RMSD_A"].unit == "Å"
    found = eval(panel.code_line.code, {"so3lab": so3lab})
    np.testing.assert_allclose(found["rmsd_A"], right)
    panel.row.show("RMSD_A", False)
    assert "RMSD_A" not in panel.plot.series


@pytest.mark.parametrize("ending", [".extxyz", ".pdb", ".traj"])
def test_frames_that_were_saved_are_opened_again(panel, tmp_path, ending):
    panel.choose(100, 160)
    panel.saving.choose("frames", ending)
    panel.saving.path.value = "some"
    panel.save("frames")
    wait_for(lambda: (panel.saving.message.sentence or "").startswith("Wrote 60 frames"))
    before = panel.trajectory.positions(slice(100, 160))
    panel.file_row.path.value = f"some{ending}"
    panel.file_row.open_button.click()
    assert panel.message.sentence == ""
    assert panel.viewer.frames == 60
    np.testing.assert_allclose(panel.trajectory.positions(), before, atol=1e-3)
    assert panel.code_line.code == f"panel = so3lab.widgets.TrajectoryPanel('some{ending}')"
    panel.viewer.frame = 7
    wait_for(lambda: "frame 7" in panel.readout.value)
    panel.saving.path.value = "again"
    panel.save("frames")
    wait_for(lambda: (panel.saving.message.sentence or "").startswith("Wrote 60 frames to again"))


def test_data_sets_and_lists_are_looked_through_with_numbers_beside_them():
    data = datasets.load("ethanol").select(range(40))
    gaps = pd.DataFrame({"gap_eV": np.linspace(5.0, 6.0, 40)})
    panel = TrajectoryPanel(data, columns=gaps)
    try:
        assert list(panel.row.series) == ["potential_energy", "gap_eV"]
        np.testing.assert_allclose(panel.row.series["potential_energy"].values, data.energies)
        assert panel.plot.unit == "", "no times are known: frames are counted"
        assert panel.viewer.has_forces
        panel.load([data[0], data[1]], columns=gaps)
        assert "must have one row for each of the 2 frames, got 40" in panel.message.sentence
        assert panel.viewer.frames == 40
        panel.load("run.xtc")
        assert panel.message.sentence == "there is no file run.xtc"
    finally:
        panel.close()


def test_frames_are_pointed_at_and_brushed_on_a_map(panel, tmp_path):
    assert panel.map.map is None, "nothing is drawn before it is wanted"
    panel.map.button.value = True
    drawn = panel.map.map
    assert (drawn.x.value, drawn.y.value, drawn.colour.value) == ("time_ps", "potential_energy", "time_ps")
    drawn._on_point(1234, "click")
    assert panel.viewer.frame == 1234
    wait_for(lambda: drawn.figure.marks and drawn.figure.marks[0][0] == pytest.approx(0.002 * 1234))
    drawn.x.value = "temperature"
    assert panel.code_line.code == "panel.map.map.x.value = 'temperature'"
    some = np.flatnonzero(panel.row.series["temperature"].values > 302.0)
    drawn._on_choice(some)
    assert panel.choice.count.value == f"{len(some)} frames chosen on the map"
    assert panel.table().index.tolist() == some.tolist()
    panel.saving.path.value = "hot.extxyz"
    panel.saving.choose("frames", ".extxyz")
    panel.save("frames")
    wait_for(lambda: panel.saving.message.sentence == f"Wrote {len(some)} frames to hot.extxyz.")
    np.testing.assert_allclose(read("hot.extxyz", 3).positions, panel.trajectory.positions(int(some[3])), atol=1e-5)
    panel.choose(10, 20)
    assert panel.choice.only is None
    assert drawn._chosen.tolist() == list(range(10, 20))
    panel.row.show("RMSD_A")
    wait_for(lambda: "RMSD_A" in drawn.table)
