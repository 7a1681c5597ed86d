"""Runs in a folder: they are listed, compared, opened and gone on with, whoever began them."""

import ase.io
import pytest
from fake_training import fake_evaluate, fake_train
from so3lab_widgets.panels.train_panel import TrainPanel
from training_panel import FRAMES, length, trained
from waiting import wait_for

from so3lab.training import TrainingPlan, TrainingSettings, train_in_folder


@pytest.fixture
def panel(train_panel):
    return train_panel


def test_another_kernel_goes_on_with_a_run_that_was_cut_off(panel, tmp_path):
    so3lab_file = tmp_path / "springs.extxyz"
    ase.io.write(so3lab_file, list(panel.data.dataset), format="extxyz")
    panel.load_data(str(so3lab_file))
    panel.wait()
    assert panel.data.message.sentence == ""
    length(panel, 40)
    panel.start()
    panel.wait(12)
    panel.stop()
    reached = panel.run.report.epoch
    other = TrainPanel(train=fake_train, evaluate=fake_evaluate)
    try:
        assert list(other.runs_part.table.table["run"]) == ["run-1"]
        other.runs_part.table.current = 0
        other.runs_part.buttons["Go on"].click()
        wait_for(lambda: other.job is not None and other.job.ended, "the end")
        assert other.job.error is None
        assert len(other.data.dataset) == FRAMES
        assert list(other.curve()["epoch"]) == list(range(1, 41))
        assert other.run.report.epoch == 40 > reached
        assert other.form.fields["train"].value == panel.form.fields["train"].value
    finally:
        other.close()


def test_runs_get_names_of_their_own_and_are_compared(panel):
    trained(panel)
    wait_for(lambda: panel.form.fields["run"].value == "run-2", "the next name")
    panel.form.fields["learning_rate"].value = 1e-3
    trained(panel)
    table = panel.runs().set_index("run")
    assert table.loc["run-2", "valid_force_mae_meV_A"] < table.loc["run-1", "valid_force_mae_meV_A"]
    panel.part.value = "Runs"
    panel.runs_part.buttons["Open"].click()
    assert "choose a run first" in panel.runs_part.message.sentence
    panel.runs_part.choose("run-1", "run-2")
    assert [trace.name for trace in panel.runs_part.figure.data] == ["run-1", "run-2"]
    panel.runs_part.choose("run-1")
    assert panel.code_line.code == "panel.runs_part.choose('run-1')"
    panel.runs_part.buttons["Open"].click()
    assert panel.form.fields["learning_rate"].value == 1e-2
    assert "best of run-1" in panel.hand.words.value
    with pytest.raises(ValueError, match="run must be one of run-1, run-2, got 'run-7'"):
        panel.runs_part.choose("run-7")
    panel.runs_part.buttons["Fine-tune"].click()
    assert panel.form.fields["start"].value.endswith("run-1/model.so3.safetensors")
    assert panel.form.fields["learning_rate"].value == 1e-3
    assert panel.form.fields["preset"].disabled
    trained(panel)
    assert panel.runs().set_index("run").loc["run-3", "network"].startswith("from ")


def test_a_run_that_is_opened_while_another_one_trains_stays_in_hand(panel):
    trained(panel)
    length(panel, 100_000)
    panel.start()
    panel.wait(3)
    wait_for(lambda: "best of run-2 so far" in panel.hand.words.value)
    panel.open_run("run-1")
    opened, epoch = panel.hand.potential, panel.run.report.epoch
    panel.wait(epoch + 3)
    assert panel.hand.potential is opened
    panel.stop()
    assert "best of run-1" in panel.hand.words.value
    assert len(panel.curve()) == panel.run.report.epoch, "the curves are those of the run that trains"


def test_looking_again_leaves_what_is_looked_at_and_selected(panel):
    for _ in range(3):
        trained(panel)
        wait_for(lambda: panel.form.fields["run"].value not in set(panel.runs()["run"]), "the next name")
    panel.runs_part.choose("run-1", "run-2")
    panel.runs_part.table.current = 2
    lines = panel.code_line.script()
    panel.runs_part.refresh()
    assert (panel.runs_part.one(), panel.runs_part.chosen) == ("run-3", ["run-1", "run-2"])
    assert panel.code_line.script() == lines, "nobody has clicked"


def test_a_damaged_run_hides_no_other_and_says_why(panel, tmp_path):
    trained(panel)
    trained(panel)
    (tmp_path / "runs" / "run-2" / "curve.csv").write_text("epoch\n1\n")
    panel.runs_part.refresh()
    table = panel.runs_part.table.table.set_index("run")
    assert "no learning curve" in table.loc["run-2", "trouble"]
    assert table.loc["run-1", "epochs"] == 30
    panel.runs_part.choose("run-1", "run-2")
    assert [trace.name for trace in panel.runs_part.figure.data] == ["run-1"]
    assert "no learning curve" in panel.runs_part.message.sentence


def test_a_run_of_the_command_is_opened_and_gone_on_with(panel, tmp_path):
    ase.io.write(tmp_path / "springs.extxyz", list(panel.data.dataset), format="extxyz")
    settings = TrainingSettings(epochs=20, batch_size=5)
    plan = TrainingPlan("springs.extxyz", 30, 10, settings, "tiny", test=5, cutoff=4.0)
    run = train_in_folder(tmp_path / "runs" / "m.so3.safetensors.training", plan, train=fake_train)
    for _ in range(3):
        next(run)
    run.close()
    panel.part.value = "Runs"
    panel.runs_part.choose("m.so3.safetensors.training")
    panel.runs_part.buttons["Open"].click()
    assert panel.hand.potential.metadata["epoch"] == 3
    panel.runs_part.buttons["Go on"].click()
    wait_for(lambda: panel.job is not None and panel.job.ended, "the end")
    assert panel.job.error is None
    assert list(panel.curve()["epoch"]) == list(range(1, 21))
    named = TrainingPlan("springs.extxyz", 30, 10, settings, "tiny", keys={"energies": "my_energy"})
    next(train_in_folder(tmp_path / "runs" / "named", named, data=panel.data.dataset, train=fake_train))
    panel.resume("named")
    wait_for(lambda: "my_energy" in panel.message.sentence, "the refusal")
    assert "so3lab train --run runs/named --resume" in panel.message.sentence


def test_two_panels_do_not_train_in_one_folder(panel):
    length(panel, 100_000)
    panel.start()
    panel.wait(3)
    other = TrainPanel(panel.data.dataset, train=fake_train)
    try:
        other.wait()
        other.resume("run-1")
        wait_for(lambda: "somebody else trains in runs/run-1 at the moment" in other.message.sentence, "the refusal")
    finally:
        other.close()
    panel.stop()
