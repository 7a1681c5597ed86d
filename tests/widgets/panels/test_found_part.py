"""Frames that were found elsewhere are labelled in the training panel, and trained on."""

from pathlib import Path

import pytest
from ase.calculators.emt import EMT
from training_panel import FRAMES, trained
from waiting import wait_for

import so3lab


@pytest.fixture
def panel(train_panel):
    return train_panel


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
