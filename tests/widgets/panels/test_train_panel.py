"""The training panel as a whole, without a browser: it trains, keeps, saves, and says what cannot be done."""

import ipywidgets
import pandas as pd
import pytest
from fake_training import fake_evaluate, fake_train
from running_panel import open_widgets
from so3lab_widgets.panels import panel as panel_module
from so3lab_widgets.panels.panel import _held_by
from so3lab_widgets.panels.train_panel import TrainPanel
from so3lab_widgets.running.cell import CellRun
from so3lab_widgets.session import Session
from training_panel import data, evaluated, length, trained
from waiting import wait_for

import so3lab
from so3lab.training import read_curve


@pytest.fixture
def panel(train_panel):
    return train_panel


def test_curves_of_training_and_validation_grow(panel):
    trained(panel)
    assert list(panel.curve()["epoch"]) == list(range(1, 31))
    wait_for(lambda: panel.curves.figure is not None and len(panel.curves.figure.data[0].x) == 30, "all epochs")
    assert [trace.name for trace in panel.curves.figure.data] == ["training", "validation"]
    wait_for(lambda: "best epoch 30 of 30" in panel.curves.words.value, "what the curves say")
    assert "1.2 times the error of forces on training frames" in panel.curves.words.value
    panel.curves.quantity.value = "forces by element"
    wait_for(lambda: len(panel.curves.figure.data) == 6, "curves of three elements")
    panel.curves.logarithmic.value = False
    wait_for(lambda: panel.curves.figure.layout.yaxis.type is None, "a linear scale")
    assert panel.code_line.code == "panel.curves.logarithmic.value = False"


def test_a_run_pauses_goes_on_stops_and_keeps_its_best(panel, tmp_path):
    length(panel, 100_000)
    panel.start()
    panel.wait(5)
    panel.pause()
    wait_for(lambda: panel.job.state == "paused")
    epochs = len(panel.curve())
    assert panel.bar.start_button.description == "Go on"
    panel.start()
    panel.wait(epochs + 3)
    assert panel.job.progress > 0
    assert "kept in runs/run-1" in panel.run.words
    panel.stop()
    kept = so3lab.load(tmp_path / "runs" / "run-1" / "model.so3.safetensors")
    assert kept.metadata["epoch"] == len(panel.curve()) == panel.run.report.epoch
    panel.start()  # the same run, from its checkpoint
    panel.wait(kept.metadata["epoch"] + 2)
    panel.stop()
    assert list(read_curve("runs/run-1")["epoch"]) == list(range(1, panel.run.report.epoch + 1))
    assert len(panel.curve()) == panel.run.report.epoch


def test_a_model_goes_to_the_session_and_comes_from_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    session = Session()
    panel = TrainPanel(data(), train=fake_train, evaluate=fake_evaluate, session=session)
    try:
        assert panel.hand.use_button.disabled
        with pytest.raises(ValueError, match="there is no model in hand; train one, or open a run"):
            panel.use_model()
        panel.wait()
        length(panel, 3)
        trained(panel)
        panel.hand.use_button.click()
        assert session.potential is panel.hand.potential
        assert session.structure.get_chemical_formula() == "C2H6O"
        other = so3lab.load("ethanol")
        session.potential = other
        assert panel.hand.potential is other
        assert "that of the session" in panel.hand.words.value
        panel.view.viewer.picked = [2]
        assert session.selection == (2,)
    finally:
        panel.close()


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("length", 1.5, "epochs must be a whole number, got 1.5"),
        ("length", -2.0, "epochs must be positive"),
        ("length", float("inf"), "the length must be a finite number, got inf"),
        ("learning_rate", float("nan"), "the learning rate must be a finite number, got nan"),
        ("learning_rate", 0.0, "learning_rate must be positive"),
        ("energy_weight", 2.0, "the energy weight must be 0 to 1"),
        ("train", 1000, "but 'springs' has 60"),
        ("batch_size", 50, "batch_size must not exceed the 39 training frames"),
        ("run", "a/b", "the run must have a name without slashes"),
        ("run", "..", "the run must have a name without slashes"),
        ("run", "a" * 300, "name too long"),
        ("start", "nowhere.so3.safetensors", "nowhere"),
        ("start", ".", "."),
    ],
)
def test_what_cannot_be_trained_is_said_in_a_sentence(panel, field, value, sentence):
    panel.form.fields[field].value = value
    panel.bar.start_button.click()
    wait_for(lambda: panel.job.ended, "the refusal")
    wait_for(lambda: sentence in panel.message.sentence, "the sentence")
    assert "Traceback" not in panel.message.sentence


def test_every_button_of_an_empty_panel_says_what_stands_against_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    panel = TrainPanel(train=fake_train, evaluate=fake_evaluate)
    try:
        buttons = [one for part in (panel, *panel._parts.values()) for one in _buttons(part)]
        assert len({id(one) for one in buttons}) > 15
        said = []
        for one in buttons:
            one.click()
            if panel.job is not None:
                panel.job.join()  # before Stop ends it
            said.append(panel.message.sentence)
        assert any("no data are loaded" in sentence for sentence in said)
        for line, sentence in (
            (panel.data.message, "the field is empty"),
            (panel.parity.message, "there is no model in hand"),
            (panel.found.bar.message, "there are no frames to be labelled"),
            (panel.runs_part.message, "no runs in the folder runs yet"),
        ):
            wait_for(lambda line=line, sentence=sentence: sentence in line.sentence, sentence)
    finally:
        panel.close()


def _buttons(part) -> list[ipywidgets.Button]:
    held = _held_by(part) if isinstance(part, ipywidgets.Widget) else [x for one in part for x in (one, *_held_by(one))]
    return [one for one in held if isinstance(one, ipywidgets.Button)]


def test_a_panel_without_data_waits_for_some(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    panel = TrainPanel(train=fake_train)
    try:
        panel.bar.start_button.click()
        wait_for(lambda: "no data are loaded" in panel.message.sentence)
        with pytest.raises(ValueError, match="no data are loaded"):
            panel.show_frame(0)
        panel.save("figure")
        wait_for(lambda: "there is no picture yet" in panel.saving.message.sentence)
        panel.load_data(data())
        panel.wait()
        assert panel.message.sentence == "", "the data that were missing are there"
        assert "ready" in panel.bar.status.value
    finally:
        panel.close()
    with pytest.raises(ValueError, match="Make another one"):
        panel.start()


def test_tables_pictures_and_the_script_are_saved(panel, tmp_path):
    evaluated(trained(panel))
    for what, file in (
        ("model", "training.so3.safetensors"), ("curve", "training.csv"), ("figure", "training.html"),
        ("session", "training.py"),
    ):  # fmt: skip
        panel.save(what)
        wait_for(lambda file=file: f"Wrote {file}" in panel.saving.message.sentence, file)
    assert len(pd.read_csv("training.csv")) == 30
    assert so3lab.load(tmp_path / "training.so3.safetensors").metadata["epoch"] == 30
    panel.saving.path.value = "mine.so3.safetensors"
    panel.save("errors")
    wait_for(lambda: "Wrote mine.csv" in panel.saving.message.sentence)
    assert list(pd.read_csv("mine.csv")["frame"]) == list(range(30, 60))
    script = (tmp_path / "training.py").read_text()
    assert script.startswith("import so3lab\n\npanel = so3lab.widgets.TrainPanel(data, preset='tiny'")
    compile(script, "training.py", "exec")
    assert "panel.start()" in script


def test_the_same_cell_run_again_leaves_nothing_of_the_panel_before(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = TrainPanel(data(), train=fake_train)  # after which figures share what stays in a kernel
    first.wait()
    first.close()
    before, panels = open_widgets(), []
    for run in range(2):
        monkeypatch.setattr(panel_module, "running_cell", lambda run=run: CellRun("cell", f"run {run}"))
        panels.append(TrainPanel(data(), train=fake_train, evaluate=fake_evaluate))
        panels[-1].wait()
        length(panels[-1], 5)
        evaluated(trained(panels[-1]))
        panels[-1].part.value = "Runs"
        panels[-1].runs_part.choose("run-1")
    assert "ended when its cell ran again" in panels[0].ended
    panels[1].close()
    wait_for(lambda: open_widgets() == before, "that nothing is left")


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="preset must be one of"):
        TrainPanel(preset="huge")
    with pytest.raises(TypeError):
        TrainPanel(colour="red")
