"""The part of the training panel that loads data and shows what is in them, without a browser."""

import threading

import numpy as np
import pytest
from fake_training import fake_train
from labelled_springs import as_dataset, springs
from plot_page import from_page
from so3lab_widgets.panels.train_panel import TrainPanel
from so3lab_widgets.running import jobs
from training_panel import FRAMES, ODD, data
from waiting import wait_for

import so3lab


@pytest.fixture
def panel(train_panel):
    return train_panel


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
