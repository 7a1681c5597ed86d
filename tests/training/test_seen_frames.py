"""Evaluation tells frames apart that a model was trained on, and spins that a model cannot tell are refused."""

import warnings
from dataclasses import replace

import ase.io
import numpy as np
import pytest
from ase.build import molecule
from emt_frames import labelled
from labelled_springs import as_dataset, springs

import so3lab
from so3lab import datasets
from so3lab.app import main
from so3lab.datasets.frame_hashes import frame_hashes
from so3lab.network.settings import ModelSettings
from so3lab.training import TrainedOnWarning, TrainingSettings, evaluate, train
from so3lab.training.seen_frames import KEY, parts_of

TINY = ModelSettings(
    num_features=16, num_layers=1, num_heads=2, degrees=(1, 2), cutoff=4.0, num_radial=8, energy_hidden=16
)
ONE_EPOCH = TrainingSettings(epochs=1, batch_size=4)


@pytest.fixture(scope="module")
def whole():
    return labelled(30)


@pytest.fixture(scope="module")
def model(whole):
    """Trained on frames 0 to 15, validated on 16 to 19."""
    return next(train(whole.select(slice(0, 16)), whole.select(slice(16, 20)), TINY, ONE_EPOCH)).best


def test_energies_of_another_zero_are_said(model, whole):
    """Energies of all electrons beside a model that counts from separate atoms."""
    held_out = whole.select(slice(20, 30))
    found = evaluate(model, replace(held_out, energies=held_out.energies - 4000.0))
    assert "eV per atom above the reference: model and data count from different zeros" in found.note


def test_held_out_frames_are_what_is_reported(model, whole):
    with pytest.warns(TrainedOnWarning, match="20 of 30 frames had a part in training and are left out"):
        found = evaluate(model, whole)
    assert found.structures["frame"].tolist() == list(range(20, 30))
    assert set(found.structures["part"]) == {"held out"}
    assert set(found.forces["frame"]) == set(range(20, 30))
    assert found.summary["count"].tolist() == [10, 10, 270]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        alone = evaluate(model, whole.select(slice(20, 30)))
    assert alone.note == ""
    np.testing.assert_allclose(alone.summary["mae_meV"], found.summary["mae_meV"], rtol=1e-6)


def test_all_frames_when_asked_or_when_there_are_no_others(model, whole):
    with pytest.warns(TrainedOnWarning, match="20 of the 30 evaluated frames had a part in training"):
        found = evaluate(model, whole, trained_on_too=True)
    assert found.structures["part"].tolist() == ["train"] * 16 + ["valid"] * 4 + ["held out"] * 10
    with pytest.warns(TrainedOnWarning, match="4 of the 4 evaluated frames had a part in training: this is no test"):
        assert len(evaluate(model, whole.select(slice(0, 4))).structures) == 4


def test_frames_are_known_again_in_other_files_orders_and_after_saving(model, whole, tmp_path):
    order = np.random.default_rng(0).permutation(30)
    ase.io.write(tmp_path / "other.extxyz", whole.select(order).to_atoms())
    again = datasets.load(tmp_path / "other.extxyz", check=False)
    model.save(tmp_path / "m.so3.safetensors")
    parts = parts_of(so3lab.load(tmp_path / "m.so3.safetensors"), again)
    np.testing.assert_array_equal(parts.held_out, order >= 20)
    assert parts.note == ""


def test_what_a_model_began_with_counts(model, whole):
    more = whole.select(slice(8, 24)), whole.select(slice(21, 25))
    next_model = next(train(*more, TINY, ONE_EPOCH, start=model)).best
    np.testing.assert_array_equal(parts_of(next_model, whole).held_out, np.arange(30) >= 25)
    forgetful = replace(model, metadata={k: v for k, v in model.metadata.items() if k != KEY})
    tuned = next(train(*more, TINY, ONE_EPOCH, start=forgetful)).best
    with pytest.warns(TrainedOnWarning, match="5 of the 10 evaluated frames"):
        found = evaluate(tuned, whole.select(slice(20, 30)), trained_on_too=True)
    assert "began with another one, whose frames are not known" in found.note


def test_models_that_do_not_know_their_frames_say_so(model, whole):
    forgetful = replace(model, metadata={"dataset": "another"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = evaluate(forgetful, whole)
    assert "does not tell which frames it was trained on" in found.note
    assert len(found.structures) == 30


def test_models_of_older_files_know_their_test_frames_by_name():
    bundled, data = so3lab.load("ethanol"), datasets.load("ethanol")
    told = {key: value for key, value in bundled.metadata.items() if key != KEY}
    model = replace(bundled, metadata=told | {"train_frames": 1000})
    parts = parts_of(model, data)
    assert parts.held_out.sum() == 147 == model.metadata["test_frames"]
    assert "by the name and order of the set alone" in parts.note
    assert (parts_of(model, replace(data, name="mine")).of_frames == "unknown").all()


@pytest.mark.parametrize("name", ["ethanol", "ala2", "ala3"])
def test_bundled_models_know_their_frames_wherever_they_are(name):
    model, data = so3lab.load(name), datasets.load(name)
    parts = parts_of(model, replace(data, name="mine"))
    assert set(model.metadata["split"]["test_frames"]) <= set(np.flatnonzero(parts.held_out).tolist())
    assert (parts.of_frames == "train").sum() == model.metadata["train_frames"] - len(datasets.load(f"{name}-hot"))
    assert ("began with another one" in parts.note) == (name == "ala3"), "whose first weights are an older file's"
    assert (parts_of(model, datasets.load(f"{name}-hot")).of_frames == "train").all()


def test_hashes_tell_frames_apart_and_forgive_rounding(whole):
    marks = frame_hashes(whole)
    assert len(np.unique(marks)) == 30
    rounded = replace(whole, positions=tuple(np.float32(r) for r in whole.positions))
    np.testing.assert_array_equal(frame_hashes(rounded), marks)
    others = (
        replace(whole, positions=tuple(r + 0.002 for r in whole.positions)),
        replace(whole, total_charges=np.full(30, 2.0)),
        replace(whole, unpaired_electrons=np.full(30, 2.0)),
        replace(whole, numbers=(whole.numbers[0][::-1],) * 30),
        replace(whole, cells=np.tile(9.0 * np.eye(3), (30, 1, 1)), pbc=np.ones((30, 3), bool)),
    )
    for other in others:
        assert not np.isin(frame_hashes(other), marks).any()


def test_the_command_reports_held_out_frames(model, whole, tmp_path, capsys):
    ase.io.write(tmp_path / "a.extxyz", whole.to_atoms())
    model.save(tmp_path / "m.so3.safetensors")
    command = ["evaluate", str(tmp_path / "m.so3.safetensors"), str(tmp_path / "a.extxyz"), "--out", str(tmp_path)]
    assert main([*command, "--no-checks"]) == 0
    said = capsys.readouterr()
    assert "20 of 30 frames had a part in training and are left out" in " ".join(said.err.split())
    assert "on 10 frames of a" in said.out
    assert main([*command, "--no-checks", "--trained-on-too"]) == 0
    assert "on 30 frames of a" in capsys.readouterr().out


def test_training_and_evaluation_refuse_labels_that_contradict_each_other(model):
    arrays = springs()
    wrong = as_dataset(**arrays | {"forces": -arrays["forces"]})
    with pytest.raises(ValueError, match="wrong sign"):
        next(train(wrong, wrong, TINY, ONE_EPOCH))
    with pytest.raises(ValueError, match="wrong sign"):
        evaluate(model, wrong)


def test_frames_of_one_spin_mean_that_spin():
    radicals = as_dataset(**springs("CH3", frames=12))
    model = next(train(radicals, radicals, TINY, ONE_EPOCH)).best
    methyl = molecule("CH3")
    said = methyl.copy()
    said.info["multiplicity"] = 2
    assert model(methyl).energy == model(said).energy
    said.info["multiplicity"] = 4
    with pytest.raises(ValueError, match=r"spin must be 1 unpaired electrons, that of the training data.*got 3"):
        model(said)
    with pytest.raises(ValueError, match=r"spin must be 1 unpaired electrons.*got 0"):
        model.check_composition(molecule("CH4"))


def test_frames_of_several_spins_bring_a_spin_embedding():
    """A model of two spins has two energies for one geometry, and asks where nobody says the spin."""
    arrays = springs("CH2_s3B1d", frames=12)
    data = as_dataset(**arrays, unpaired_electrons=np.tile([2.0, 0.0], 6))
    model = next(train(data, data, TINY, replace(ONE_EPOCH, learning_rate=0.02, warmup_steps=0))).best
    assert model.settings.spin_embedding
    assert model.settings.spin_trained
    assert model.metadata["unpaired_electrons"] == [0.0, 2.0]
    methylene = molecule("CH2_s3B1d")
    methylene.info["spin"], methylene.arrays["initial_magmoms"] = 0, np.zeros(3)
    triplet = methylene.copy()
    triplet.info = {"multiplicity": 3}
    assert model(methylene).energy != model(triplet).energy
    with pytest.raises(ValueError, match="spin must be said: CH3 has an odd number of electrons"):
        model.check_composition(molecule("CH3", magmoms=np.zeros(4)))


def test_closed_shells_have_no_spin(model):
    ethanol = molecule("CH3CH2OH")
    ethanol.info["spin"] = 2
    with pytest.raises(ValueError, match="spin must be 0"):
        model(ethanol)
