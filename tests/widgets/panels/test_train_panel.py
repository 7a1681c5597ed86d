"""The training panel without a browser: what its controls do, and how it takes what cannot be done."""

import threading
from pathlib import Path

import ipywidgets
import numpy as np
import pandas as pd
import pytest
from ase.calculators.emt import EMT
from fake_training import FORCE_ERROR, WORST, fake_evaluate, fake_train
from labelled_springs import as_dataset, springs
from plot_page import from_page
from running_panel import open_widgets
from so3lab_widgets.panels import panel as panel_module
from so3lab_widgets.panels.panel import _held_by
from so3lab_widgets.panels.train_panel import TrainPanel
from so3lab_widgets.running import jobs
from so3lab_widgets.running.cell import CellRun
from so3lab_widgets.session import Session
from waiting import wait_for

import so3lab
from so3lab.training import TrainingPlan, TrainingSettings, read_curve, train_in_folder

FRAMES = 60
ODD = 41
"""A frame with a force that no other has."""


def data():
    arrays = springs(frames=FRAMES)
    arrays["forces"][ODD, 0] += 60.0
    arrays["forces"][ODD, 1] -= 60.0
    made = as_dataset(**arrays)
    made.keep_remarks(("net forces are not zero",))
    return made


@pytest.fixture
def panel(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = set(threading.enumerate())
    made = TrainPanel(data(), preset="tiny", train=fake_train, evaluate=fake_evaluate)
    made.wait()
    length(made, 30)
    yield made
    made.close()
    wait_for(lambda: not [one for one in set(threading.enumerate()) - before if one.name.startswith("so3lab")])


def length(panel: TrainPanel, epochs: float) -> None:
    panel.form.fields["unit"].value, panel.form.fields["length"].value = "epochs", epochs
    panel.form.fields["batch_size"].value = 5


def trained(panel: TrainPanel) -> TrainPanel:
    before = panel.job
    panel.start()
    wait_for(lambda: panel.job not in (None, before) and panel.job.ended, "the end of a run")
    assert panel.job.error is None
    return panel


def evaluated(panel: TrainPanel) -> TrainPanel:
    panel.parity.evaluate_button.click()
    wait_for(lambda: panel.parity.found is not None and panel.parity.message.sentence == "", "an evaluation")
    return panel


def test_what_is_in_the_data_is_said(panel):
    words = panel.data.about.value
    for part in ("60 frames", "9 atoms", "H C O", "net forces are not zero"):
        assert part in words
    assert panel.view.viewer.frames == FRAMES
    assert [trace.name for trace in panel.data.figure.data] == ["energies", "H", "C", "O"]
    assert (panel.form.fields["train"].value, panel.form.fields["valid"].value) == (39, 15)


def test_an_outlier_is_shown_with_its_forces(panel):
    assert {"force on C0 (eV/Å)", "force on C1 (eV/Å)"} & set(panel.data.outlier_table.table["what"])
    panel.data.outlier_table.current = 0
    assert panel.view.shown == panel.view.viewer.frame == panel.data.outliers["frame"].iloc[0]
    assert panel.view.viewer.forces
    wait_for(lambda: "arrows" in panel.view.viewer.latest)
    assert panel.code_line.code.startswith("panel.show_frame(")


def test_clicks_on_a_bar_go_through_its_frames(panel):
    bars = so3lab.datasets.energy_distribution(panel.data.frames)
    most = bars.iloc[int(bars["frames"].argmax())]
    seen = []
    for _ in range(int(most["frames"]) + 1):
        from_page(panel.data.figure, "click", 0, [0.5 * (most["low"] + most["high"])])
        seen.append(panel.view.shown)
    assert seen[-1] == seen[0]
    assert len(set(seen)) == most["frames"]
    energies = panel.data.frames["relative_energy"].to_numpy()[seen]
    assert ((most["low"] <= energies) & (energies <= most["high"])).all()
    from_page(panel.data.figure, "click", 2, [60.0])
    assert panel.view.shown == ODD
    longest = np.linalg.norm(panel.data.dataset.forces[ODD], axis=1).max()
    assert panel.view.viewer.arrow_scale * longest == pytest.approx(3.0), "the largest force is an arrow in sight"


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


def test_another_kernel_goes_on_with_a_run_that_was_cut_off(panel, tmp_path):
    so3lab_file = tmp_path / "springs.extxyz"
    import ase.io

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


def test_points_of_parity_plots_open_their_structures(panel):
    evaluated(trained(panel))
    assert "30 of 60 frames had a part in training and are left out" in panel.parity.about.value
    found = panel.parity.found
    worst = found.forces.iloc[int((found.forces["predicted"] - found.forces["reference"]).abs().argmax())]
    figure = panel.parity.figure
    number = [trace.name for trace in figure.data].index(worst["element"])
    figure._js2py_pointsCallback = {
        "event_type": "plotly_click",
        "points": {"trace_indexes": [number], "point_indexes": [0], "xs": [worst["reference"]],
                   "ys": [worst["predicted"]]},
        "selector": None,
    }  # fmt: skip
    assert panel.view.shown == worst["frame"] == FRAMES - 1
    assert panel.view.viewer.picked == [worst["atom"]]
    assert panel.view.arrows.value == "both"
    assert panel.view.viewer.arrow_names == ["reference", "predicted"]
    wait_for(lambda: len(panel.view.viewer.latest.get("arrows", ())) == 18, "two arrows for each of nine atoms")
    np.testing.assert_allclose(panel.view.forces(FRAMES - 1)[:9], panel.data.dataset.forces[FRAMES - 1])
    panel.view.arrows.value = "error"
    off = panel.view.forces(FRAMES - 1)
    assert off[0, 0] == pytest.approx(WORST * FORCE_ERROR)
    assert off[1, 2] == pytest.approx(-FORCE_ERROR)
    np.testing.assert_allclose(off + panel.data.dataset.forces[FRAMES - 1], _predicted(panel, FRAMES - 1))
    assert f"frame {FRAMES - 1}" in panel.view.viewer.caption
    panel.show_frame(3)
    assert "not evaluated" in panel.view.readout.value


def _predicted(panel: TrainPanel, frame: int) -> np.ndarray:
    panel.show_frame(frame, "predicted")
    return panel.view.forces(frame)


@pytest.mark.parametrize(("picture", "xs"), [("Frames", [FRAMES - 1]), ("Elements", ["C"]), ("Energies", [0.0])])
def test_other_pictures_of_errors_open_structures_too(panel, picture, xs):
    evaluated(trained(panel))
    panel.show_frame(0)
    panel.parity.picture.value = picture
    trace = 0 if picture != "Energies" else 1
    from_page(panel.parity.figure, "click", trace, xs)
    if picture == "Energies":
        reference = panel.parity.found.structures["reference_energy"]
        expected = panel.parity.found.structures["frame"][(reference - reference.mean()).abs().argmin()]
    else:
        expected = FRAMES - 1
    assert panel.view.shown == expected


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
        for one in buttons:
            one.click()
        if panel.job is not None:
            panel.job.join()
        for line, sentence in (
            (panel.message, "no data are loaded"),
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


def test_charges_of_frames_are_said(panel):
    arrays = springs("H2O", 20)
    panel.load_data(as_dataset("ions", **arrays, total_charges=np.repeat([0.0, -1.0], 10)))
    panel.wait()
    assert panel.data.message.sentence == ""
    assert "charge −1 (10), 0 (10)" in panel.data.about.value
    assert "unpaired electrons 0 (10), 1 (10)" in panel.data.about.value
    panel.show_frame(15)
    assert panel.view.viewer.caption == "frame 15 · charge −1"


def test_data_that_were_typed_and_not_loaded_are_not_trained_on(panel):
    panel.data.source.value = "rmd17-aspirin"
    panel.bar.start_button.click()
    wait_for(lambda: "press Load first" in panel.message.sentence, "the refusal")


def test_data_that_cannot_be_read_are_said_and_the_set_stays(panel, tmp_path):
    (tmp_path / "empty.xyz").touch()
    for wrong, sentence in (
        ("etanol", "did you mean 'ethanol'"),
        ("empty.xyz", "empty.xyz"),
        ("", "the field is empty"),
    ):
        panel.data.source.value = wrong
        panel.data.load_button.click()
        wait_for(lambda sentence=sentence: sentence in panel.data.message.sentence, sentence)
        assert len(panel.data.dataset) == FRAMES
    panel.parity.evaluate_button.click()
    assert "there is no model in hand" in panel.parity.message.sentence


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


def test_frames_of_several_molecules_are_shown_one_by_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mixed = so3lab.datasets.joined(as_dataset(**springs("H2O", 25)), as_dataset(**springs(frames=25)))
    panel = TrainPanel(mixed, train=fake_train)
    try:
        panel.wait()
        assert panel.view.viewer.atoms.get_chemical_formula() == "H2O"
        panel.show_frame(30, "reference")
        assert panel.view.viewer.atoms.get_chemical_formula() == "C2H6O"
        assert "3 to 9 atoms" in panel.data.about.value
    finally:
        panel.close()


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


def test_a_set_that_comes_late_does_not_take_the_place_of_a_newer_one(panel, monkeypatch):
    late, asked, load = threading.Event(), threading.Event(), so3lab.datasets.load

    def slow(source, **units):
        if source == "slow.xyz":
            asked.set()
            assert late.wait(60)
            return data().select(range(10))
        return load(source, **units)

    monkeypatch.setattr(so3lab.datasets, "load", slow)
    monkeypatch.setattr(jobs, "_PATIENCE_S", 0.05)  # whoever is held up is not waited for
    panel.load_data("slow.xyz")
    old = panel.data.job
    assert asked.wait(60)
    panel.load_data("ala2")
    panel.wait()
    late.set()
    old.join()
    assert len(panel.data.dataset) > 1000
    assert panel.data.source.value == "ala2"
    assert panel.data.message.sentence == ""


def test_a_refusal_that_comes_late_is_not_said_of_a_newer_set(panel, monkeypatch):
    late, load = threading.Event(), so3lab.datasets.load

    def slow(source, **units):
        if source == "slow.xyz":
            assert late.wait(60)
            raise ValueError("slow.xyz holds nonsense")
        return load(source, **units)

    monkeypatch.setattr(so3lab.datasets, "load", slow)
    monkeypatch.setattr(jobs, "_PATIENCE_S", 0.05)
    panel.load_data("slow.xyz")
    old = panel.data.job
    panel.load_data("ethanol")
    panel.wait()
    late.set()
    old.join()
    assert panel.data.message.sentence == ""


def test_an_evaluation_that_ends_late_is_not_shown_with_another_set(panel):
    late, begun = threading.Event(), threading.Event()

    def slow(*given, **options):
        begun.set()
        assert late.wait(60)
        return fake_evaluate(*given, **options)

    trained(panel)
    panel.parity._evaluate = slow
    panel.evaluate()
    assert begun.wait(60)
    panel.load_data(data().select(range(10)))
    panel.data.job.join()
    late.set()
    panel.parity.job.join()
    assert panel.parity.found is None
    assert panel.parity.message.sentence == ""
    assert "meV" not in panel.view.readout.value


def test_nobody_waits_for_a_download_when_a_panel_closes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    closed, asked, waited, ended = (threading.Event() for _ in range(4))

    def fetch(name, *, progress):
        asked.set()
        if not closed.wait(20):
            waited.set()
        try:
            progress(1_000_000, None)
        finally:
            ended.set()
        pytest.fail("a download went on that nobody wants")

    monkeypatch.setattr(so3lab.datasets, "fetch", fetch)
    monkeypatch.setattr(jobs, "_PATIENCE_S", 60.0)
    panel = TrainPanel("rmd17-aspirin", train=fake_train)
    assert asked.wait(60)
    panel.close()
    closed.set()
    assert ended.wait(60)
    panel.data.job.join()
    assert not waited.is_set()
    assert panel.data.job.error == "something else was asked for"
    assert not any("Traceback" in line for line in panel.data.job.log)


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
    import ase.io

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


def test_frames_of_the_session_are_labelled_and_learned_from_a_model_in_hand(panel, tmp_path):
    frames = [atoms.copy() for atoms in panel.data.dataset][:24]
    panel.shared.trajectory = frames
    panel.found.take_button.click()
    assert len(panel.found.frames) == 24
    panel.found.level.value = "emt"
    panel.found.bar.start_button.click()
    panel.found.wait()
    assert panel.found.bar.message.sentence == ""
    panel.wait()
    assert len(panel.data.dataset) == 24
    assert panel.data.source.value == str(Path("runs") / "found-1.extxyz")
    frames[5].calc = EMT()
    assert panel.data.dataset.energies[5] == pytest.approx(frames[5].get_potential_energy())
    panel.shared.potential = so3lab.load("ethanol")
    panel.hand.fine_tune_button.click()
    assert panel.part.value == "Train"
    assert so3lab.load(panel.form.fields["start"].value).checksum == panel.shared.potential.checksum
    trained(panel)
    assert panel.runs().set_index("run").loc["run-1", "network"].startswith("from ")
    lines = panel.session()
    for line in ("panel.found.take('trajectory', at_most=50)", "panel.found.start()", "panel.fine_tune()"):
        assert line in lines


def test_frames_that_are_given_are_few_or_refused(panel):
    panel.frames = [panel.data.dataset[0], panel.data.dataset[1]]
    assert "2 frames to be labelled" in panel.found.words.value
    with pytest.raises(TypeError, match="frames must be Atoms, got str"):
        panel.frames = ["ethanol"]
    panel.found.level.value = "nonsense"
    panel.found.bar.start_button.click()
    assert "a level must be one of" in panel.found.bar.message.sentence
    for source, sentence in (
        ("minima", "the session has no minima yet"),
        ("structure", "the session has no structure"),
    ):
        panel.found.source.value = source
        panel.found.take_button.click()
        assert sentence in panel.found.bar.message.sentence
    panel.frames = []
    panel.found.level.value = "emt"
    panel.found.bar.start_button.click()
    assert "there are no frames to be labelled" in panel.found.bar.message.sentence


def test_labels_of_another_method_are_not_added_to_a_set(panel, tmp_path):
    panel.frames = list(panel.data.dataset)[:5]
    panel.found.level.value, panel.found.together.value = "emt", True
    panel.found.start()
    panel.found.wait()
    wait_for(lambda: "check that all energies have one unit" in panel.found.bar.message.sentence, "the refusal")
    assert len(panel.data.dataset) == FRAMES
    assert not (tmp_path / "runs" / "found-1.extxyz").exists()
    panel.found.together.value = False
    panel.found.start()  # what has been computed is there
    panel.found.wait()
    panel.wait()
    assert len(panel.data.dataset) == 5


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="preset must be one of"):
        TrainPanel(preset="huge")
    with pytest.raises(TypeError):
        TrainPanel(colour="red")
