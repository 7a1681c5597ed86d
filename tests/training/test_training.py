"""Training learns, reports, resumes exactly and stops with a sentence when it must."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from ase.build import molecule
from emt_frames import labelled

from so3lab import datasets
from so3lab.network.settings import ModelSettings
from so3lab.potential import Potential
from so3lab.potential.model_file import flat_parameters
from so3lab.training import TrainingSettings, evaluate, train
from so3lab.training.loop import learning_rates

TINY = ModelSettings(
    num_features=16, num_layers=1, num_heads=2, degrees=(1, 2), cutoff=4.0, num_radial=8, energy_hidden=16
)


@pytest.fixture(scope="module")
def data():
    whole = labelled()
    return whole.select(slice(0, 48)), whole.select(slice(48, 60))


@pytest.fixture(scope="module")
def run(data):
    """All reports of a short run."""
    return list(train(*data, TINY, TrainingSettings(epochs=40, batch_size=4)))


def test_errors_fall_and_the_best_is_kept(run, data):
    first, last = run[0], run[-1]
    assert last.valid_force_mae_meV_A < 0.4 * first.valid_force_mae_meV_A
    best = min(run, key=lambda report: report.valid_loss)
    assert last.best.metadata["epoch"] == best.epoch
    found = evaluate(last.best, data[1]).summary.set_index("quantity")
    assert found.loc["force (per Å)", "mae_meV"] == pytest.approx(best.valid_force_mae_meV_A, rel=1e-4)
    assert found.loc["energy", "mae_meV"] == pytest.approx(best.valid_energy_mae_meV, rel=1e-3)


def test_every_epoch_reports_its_numbers(run):
    assert [report.epoch for report in run] == list(range(1, 41))
    assert run[-1].progress == 1.0
    assert all(np.isfinite(list(report.row().values())).all() for report in run)
    assert run[0].learning_rate > run[-1].learning_rate > 0


def test_training_errors_are_those_of_the_same_weights_on_as_many_training_frames(run, data):
    report = next(one for one in reversed(run) if one.improved)
    watched = data[0].select(np.linspace(0, 47, 12).astype(int))
    for part, frames in (("train", watched), ("valid", data[1])):
        found = evaluate(report.best, frames, trained_on_too=True)
        summary, elements = found.summary.set_index("quantity"), found.elements.set_index("element")
        row = report.row()
        assert row[f"{part}_force_mae_meV_A"] == pytest.approx(summary.loc["force (per Å)", "mae_meV"], rel=1e-3)
        assert row[f"{part}_energy_mae_meV"] == pytest.approx(summary.loc["energy", "mae_meV"], rel=1e-2)
        for symbol in "HCO":
            expected = elements.loc[symbol, "force_mae_meV_A"]
            assert row[f"{part}_{symbol}_force_mae_meV_A"] == pytest.approx(expected, rel=1e-3)


def test_at_most_so_many_frames_are_evaluated(run, data):
    found = evaluate(run[-1].best, data[1], at_most=4)
    assert found.structures["frame"].tolist() == [0, 3, 7, 11]
    assert "4 of 12 frames, spread evenly" in found.note
    with pytest.raises(ValueError, match="at_most must be at least 1 frame, got 0"):
        evaluate(run[-1].best, data[1], at_most=0)


def same_weights(a: Potential, b: Potential) -> None:
    a, b = flat_parameters(a.parameters), flat_parameters(b.parameters)
    for name in a:
        np.testing.assert_array_equal(np.asarray(a[name]), np.asarray(b[name]), err_msg=name)


def test_runs_of_the_same_sizes_compile_once(data, caplog):
    """Whatever else is chosen: learning rate, length, seed."""

    def compiled(**choices) -> int:
        caplog.clear()
        settings = TrainingSettings(batch_size=4, huber_delta=0.02, **choices)  # that no other test has
        with jax.log_compiles(), caplog.at_level("WARNING"):
            list(train(*data, TINY, settings))
        return sum("Finished XLA compilation of jit(" in record.message for record in caplog.records)

    assert compiled(epochs=3) >= 2
    assert compiled(epochs=2, learning_rate=1e-4, seed=5) == 0


def test_stopped_and_resumed_run_ends_with_the_same_weights(run, data, tmp_path, monkeypatch):
    """Stopped after a third and continued from its checkpoint, a run agrees bit by bit with an uninterrupted one, as
    runs of one seed do."""
    monkeypatch.setattr("so3lab.training.loop.SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    settings = TrainingSettings(epochs=40, batch_size=4)
    reports = train(*data, TINY, settings, checkpoint=tmp_path / "c")
    while next(reports).epoch < 13:
        pass
    reports.close()
    rest = list(train(*data, TINY, settings, checkpoint=tmp_path / "c"))
    assert 1 < rest[0].epoch <= 14
    same_weights(rest[-1].best, run[-1].best)


def test_training_goes_on_from_another_potential(run, data):
    """The first epoch is already better than the first from scratch, on another molecule's energy scale too."""
    best = run[-1].best
    again = next(train(*data, TINY, TrainingSettings(epochs=5, batch_size=4, learning_rate=1e-4), start=best))
    assert again.valid_force_mae_meV_A < 1.1 * best.metadata["valid_force_mae_meV_A"]
    assert again.best.metadata["start"]["dataset"] == "emt"
    assert again.best.metadata["start"]["training"]["epochs"] == 40
    lifted = (
        replace(data[0], energies=data[0].energies + 123.0),
        replace(data[1], energies=data[1].energies + 123.0),
    )
    other = next(train(*lifted, TINY, TrainingSettings(epochs=5, batch_size=4, learning_rate=1e-4), start=best))
    assert other.valid_energy_mae_meV < 2 * run[0].valid_energy_mae_meV


LONG_RANGE = replace(
    TINY, electrostatics="exact", dispersion=True, charge_embedding=True, spin_embedding=True, num_layers=1
)


def test_mixed_sizes_train_and_evaluate_as_the_potential_predicts(data):
    """Batches of padded molecules hold the same far pairs as single structures, and as batches of equal ones."""
    small = labelled(8, "H2O")
    mixed = datasets.Dataset(
        "mixed",
        small.numbers + data[1].numbers,
        small.positions + data[1].positions,
        np.concatenate([small.energies, data[1].energies]),
        small.forces + data[1].forces,
    )
    last = list(train(mixed, mixed, LONG_RANGE, TrainingSettings(epochs=2, batch_size=4)))[-1]
    together = evaluate(last.best, mixed).structures["predicted_energy"]
    alone = evaluate(last.best, small).structures["predicted_energy"]
    np.testing.assert_allclose(alone, together[:8], atol=1e-5)
    frames = [0, len(mixed) - 1]
    for frame, result in zip(frames, last.best.predict(mixed.select(frames).to_atoms()), strict=True):
        assert together[frame] == pytest.approx(result.energy, abs=1e-4)


@pytest.mark.parametrize("with_a_molecule", [False, True])
def test_cells_with_long_range_terms_train_and_evaluate_as_the_potential_predicts(with_a_molecule):
    """Far pairs across faces and waves, in batches of cells, and of cells and molecules."""
    generator, count = np.random.default_rng(3), 5
    numbers, positions, cells, periodic = [], [], [], []
    for number in range(count):
        atoms = molecule("H2O")
        atoms.rattle(0.05, rng=generator)
        atoms.cell = np.diag([5.0, 6.0, 7.0]) + generator.normal(0, 0.3, (3, 3))
        numbers.append(atoms.numbers)
        positions.append(atoms.positions + 4.0)
        cells.append(np.array(atoms.cell))
        periodic.append([number != 2 or not with_a_molecule] * 3)
    data = datasets.Dataset(
        "cells",
        tuple(numbers),
        tuple(positions),
        generator.normal(size=count),
        tuple(generator.normal(size=(3, 3)) for _ in range(count)),
        cells=np.array(cells),
        pbc=np.array(periodic),
    )
    settings = TrainingSettings(epochs=2, batch_size=2)
    last = list(train(data, data, replace(LONG_RANGE, mean_neighbors=3.0), settings, dtype="float64"))[-1]
    found = evaluate(last.best, data)
    single = last.best.predict(data.to_atoms())
    np.testing.assert_allclose(found.structures["predicted_energy"], [r.energy for r in single], atol=1e-9)
    np.testing.assert_allclose(found.forces["predicted"], np.concatenate([r.forces.ravel() for r in single]), atol=1e-9)
    if with_a_molecule:
        with pytest.raises(ValueError, match="batch_size must be at least 2 where some frames are molecules"):
            next(train(data, data, LONG_RANGE, replace(settings, batch_size=1)))


def test_frames_of_several_charges_bring_a_charge_embedding(run, data):
    """And a network for spins tells that no frame had any."""
    ions = replace(data[0], total_charges=np.repeat([0.0, 2.0], 24))
    settings = TrainingSettings(epochs=1, batch_size=4)
    blind = run[-1].best
    seeing = next(train(ions, data[1], replace(TINY, spin_embedding=True), settings)).best
    assert not blind.settings.charge_embedding
    assert seeing.settings.charge_embedding
    assert seeing.metadata["total_charges"] == [0.0, 2.0]
    ethanol = molecule("CH3CH2OH")
    neutral = seeing(ethanol).energy
    ethanol.info["charge"] = 2
    assert seeing(ethanol).energy != neutral
    with pytest.raises(ValueError, match=r"charge must be \+0, that of the training data"):
        blind(ethanol)
    ethanol.info["spin"] = 2
    with pytest.raises(ValueError, match="spin must be 0"):
        seeing(ethanol)


def test_readout_alone_learns_when_asked(run, data):
    start = run[-1].best
    settings = TrainingSettings(epochs=2, batch_size=4, trainable="readout", learning_rate=1e-3)
    tuned = list(train(*data, TINY, settings, start=start))[-1].best
    before, after = flat_parameters(start.parameters), flat_parameters(tuned.parameters)
    changed = {name for name in before if np.any(np.asarray(before[name]) != np.asarray(after[name]))}
    assert changed
    assert {name.split(".")[0] for name in changed} == {"energy"}


def test_stopping_early_leaves_a_checkpoint_and_a_potential(data, tmp_path, monkeypatch):
    monkeypatch.setattr("so3lab.training.loop.SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    settings = TrainingSettings(epochs=10_000, batch_size=4)
    reports = train(*data, TINY, settings, checkpoint=tmp_path / "c")
    seen = [next(reports) for _ in range(3)]
    reports.close()
    assert np.isfinite(seen[-1].best(molecule("CH3CH2OH")).energy)
    assert next(train(*data, TINY, settings, checkpoint=tmp_path / "c")).epoch > 2
    with pytest.raises(ValueError, match="belongs to a run with other training settings"):
        next(train(*data, TINY, replace(settings, seed=1), checkpoint=tmp_path / "c"))


def test_patience_stops_a_run_that_does_not_improve(data):
    settings = TrainingSettings(
        epochs=500,
        batch_size=4,
        learning_rate=1e-12,
        final_learning_rate=0.0,
        warmup_steps=0,
        patience_epochs=5,
    )
    reports = list(train(*data, TINY, settings))
    assert len(reports) < 500
    assert len(reports) == reports[-1].best.metadata["epoch"] + 5


def test_what_somebody_does_between_reports_is_no_training(data, monkeypatch):
    """A run that was paused for an hour has its minutes still."""
    now = itertools.count(0.0, 0.125)
    pause = [0.0]
    monkeypatch.setattr("so3lab.training.loop.time", SimpleNamespace(monotonic=lambda: next(now) + pause[0]))
    reports = train(*data, TINY, TrainingSettings(minutes=0.1, batch_size=4))
    first = next(reports)
    pause[0] = 3600.0
    second = next(reports)
    assert second.seconds - first.seconds < 1.0
    assert second.progress < 1.0
    reports.close()


def test_minutes_are_kept(data, monkeypatch):
    """Compilation does not count, and a run ends with the epoch in which its time is up."""
    clock = itertools.count(0.0, 0.125)  # every look at it takes an eighth of a second
    monkeypatch.setattr("so3lab.training.loop.time", SimpleNamespace(monotonic=lambda: next(clock)))
    *_, before, last = train(*data, TINY, TrainingSettings(minutes=0.1, batch_size=4))
    assert before.progress < 1.0
    assert before.seconds < 6.0
    assert last.progress == 1.0
    assert 6.0 <= last.seconds < 6.0 + 2 * (last.seconds - before.seconds)


def test_a_loss_that_is_not_a_number_stops_with_a_sentence(data):
    with pytest.raises(
        FloatingPointError, match=r"the loss stopped being a finite number at step .* learning_rate below 1e"
    ):
        list(train(*data, TINY, TrainingSettings(epochs=20, batch_size=4, learning_rate=1e30, warmup_steps=0)))


def test_learning_rate_warms_up_and_decays():
    settings = TrainingSettings(epochs=10, learning_rate=1e-2, final_learning_rate=1e-4, warmup_steps=50)
    rates = learning_rates(settings, 0.0, 1.0, 0, 1000)
    assert rates[0] < 3e-4
    assert rates.argmax() in range(40, 70)
    assert rates[-1] == pytest.approx(1e-4, rel=0.1)


def test_too_large_batches_and_foreign_elements_are_refused(data):
    with pytest.raises(ValueError, match="batch_size must not exceed the 48 training frames, got 64"):
        next(train(*data, TINY, TrainingSettings(epochs=1, batch_size=64)))
    with pytest.raises(ValueError, match="occur in 'emt' but not in the training data"):
        next(train(labelled(8, "CH4"), data[1], TINY, TrainingSettings(epochs=1, batch_size=4)))


def test_evaluation_tables_agree_with_predictions(run, data):
    potential = run[-1].best
    found = evaluate(potential, data[1])
    forces = np.stack([result.forces for result in potential.predict(data[1].to_atoms())])
    np.testing.assert_allclose(found.forces["predicted"].to_numpy().reshape(forces.shape), forces, atol=2e-4)
    assert set(found.elements["element"]) == {"C", "O", "H"}
    assert len(found.structures) == 12
    assert set(found.parity()["kind"]) == {"energy", "force"}
