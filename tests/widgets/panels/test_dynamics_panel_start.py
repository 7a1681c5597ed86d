"""The dynamics panel without a browser: what it takes to start, what it refuses, and that nothing is left behind."""

import contextlib
import threading

import pytest
from fake_simulation import FakeSimulation
from running_panel import open_widgets, runs
from so3lab_widgets.panels import panel as panel_module
from so3lab_widgets.panels.dynamics_panel import DynamicsPanel
from so3lab_widgets.running.cell import CellRun
from so3lab_widgets.viewer.frame_source import MOST_ATOMS
from waiting import wait_for

from so3lab.structures import read_structure


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
def test_bad_input_is_a_sentence_in_place(physical_panel, capfd, model, structure, sentence):
    panel = physical_panel
    panel.form.model.value, panel.form.structure.value = model, structure
    panel.start()
    wait_for(lambda: panel.job.ended, "the refusal")
    assert panel.job.state == "failed"
    wait_for(lambda: sentence in panel.message.sentence, "the sentence")
    assert "Traceback" not in capfd.readouterr().err
    wait_for(lambda: not panel.bar.start_button.disabled, "the way out, which is to try again")


def test_too_many_atoms_and_an_empty_file_are_refused(panel, tmp_path):
    (tmp_path / "empty.xyz").write_text("")
    big = tmp_path / "big.pdb"
    line = "ATOM  {:5d}  C   MOL A   1    {:8.3f}{:8.3f}{:8.3f}  1.00  0.00           C\n"
    big.write_text("".join(line.format(k % 99999, k % 90, k // 90 % 90, k // 8100) for k in range(MOST_ATOMS + 1)))
    for path, words in (
        (tmp_path / "empty.xyz", "empty.xyz"),
        (big, f"at most {MOST_ATOMS} atoms, got {MOST_ATOMS + 1}"),
    ):
        panel.form.structure.value = str(path)
        panel.start()
        wait_for(lambda: panel.job.ended, "the refusal", 120)
        wait_for(lambda words=words: words in panel.message.sentence, "the sentence")


def test_a_second_panel_stands_beside_the_first_and_both_run(panel):
    runs(panel)
    frames = panel.live.frames()
    with contextlib.closing(DynamicsPanel("ethanol", read_structure("ethanol"), simulate=FakeSimulation)) as other:
        runs(other)
        wait_for(lambda: panel.live.frames() > frames + 10, "that the first one goes on")
        assert panel.job.state == other.job.state == "running"


def test_the_same_cell_run_again_ends_its_panel_and_leaves_nothing_of_it(monkeypatch):
    widgets, panels = [], []
    for run in range(2):
        monkeypatch.setattr(panel_module, "running_cell", lambda run=run: CellRun("cell", f"run {run}"))
        panels.append(runs(DynamicsPanel("ethanol", read_structure("ethanol"), simulate=FakeSimulation)))
        widgets.append(open_widgets())
    first, second = panels
    assert first.job.ended
    assert widgets[0] == widgets[1]
    with pytest.raises(ValueError, match="ended when its cell ran again"):
        first.start()
    second.close()


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


def test_velocities_are_those_of_the_temperature_at_the_start(physical_panel):
    panel = physical_panel
    wait_for(lambda: panel.job.state == "paused", "preparations", 120)
    panel.steering.sliders["temperature_K"].value = 1000.0
    panel.start()
    wait_for(lambda: panel.live is not None and panel.live.frames() > 3, "frames", 240)
    of_27 = 21 / 27  # degrees of freedom: it starts without momentum and rotation
    assert panel.live.table()["temperature"].iloc[0] == pytest.approx(1000.0 * of_27, rel=0.01)


def test_a_run_of_constant_energy_starts_at_a_temperature_of_its_own(panel):
    wait_for(lambda: panel.job.state == "paused", "preparations", 120)
    assert panel.steering.starts_at is None
    panel.form.ensemble.value = "nve"
    panel.start()
    wait_for(lambda: panel.steering.starts_at is not None and panel.run.attempts.begun, "NVE")
    assert "temperature_K" not in panel.steering.sliders
    panel.steering.starts_at.value = 450.0
    assert panel.control.temperature_K == 450.0
    assert "begins after Stop and Start" in panel.run.words
    panel.control.temperature_K = 500.0
    panel.steering.follow()
    assert panel.steering.starts_at.value == 500.0


def test_an_ensemble_with_a_barostat_is_refused_a_molecule_at_once(panel):
    wait_for(lambda: panel.job.state == "paused", "preparations", 120)
    panel.form.ensemble.value = "npt"
    assert "NPT, constant shape, changes the volume of a cell, and C2H6O has none" in panel.message.sentence
    panel.form.ensemble.value = "csvr"
    assert panel.message.sentence == ""


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="ensemble must be one of"):
        DynamicsPanel(ensemble="nvt")
    with pytest.raises(ValueError, match="replicas must be 1 to 4, got 9"):
        DynamicsPanel(replicas=9)
    with pytest.raises(TypeError):
        DynamicsPanel(temperature=300)


def test_other_fields_during_a_run_say_when_they_act(panel):
    runs(panel)
    waits = "after Stop and Start"
    assert waits not in panel.run.words
    panel.form.ensemble.value = "nve"
    assert waits in panel.run.words
    panel.form.ensemble.value = "langevin"
    assert waits not in panel.run.words
    panel.form.ensemble.value = "nve"
    panel.stop()
    assert waits not in panel.run.words


def test_preparations_that_are_wanted_no_more_change_nothing(monkeypatch):
    """A program that takes long to compile cannot be stopped; what it was for comes too late."""
    from so3lab_widgets.running import jobs

    slow, made = threading.Event(), []

    class Slow(FakeSimulation):
        def __init__(self, potential, structures, **options):
            super().__init__(potential, structures, **options)
            if len(structures) == 1:
                slow.wait(60)
            made.append(len(structures))

    monkeypatch.setattr(jobs, "_PATIENCE_S", 0.1)
    panel = DynamicsPanel("ethanol", "ethanol", simulate=Slow)
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
