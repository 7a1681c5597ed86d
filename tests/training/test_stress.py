"""Stresses in training and evaluation: derivatives of the energy, in the loss, and reported in GPa."""

from dataclasses import replace

import numpy as np
import pytest
from strained_crystals import strained

from so3lab import units
from so3lab.datasets import Dataset
from so3lab.network.settings import ModelSettings
from so3lab.potential import Potential
from so3lab.training import TrainingSettings, evaluate, train
from so3lab.training.batches import frames_from

TINY = ModelSettings(cutoff=3.5, num_features=16, num_layers=1, num_heads=2, degrees=(1, 2), num_radial=8)


def finite_difference(potential: Potential, dataset: Dataset, frame: int, step: float = 1e-4) -> np.ndarray:
    """Stress by energies of strained copies, eV/Å³."""
    atoms, stress = dataset[frame], np.zeros((3, 3))
    for row, column in np.ndindex(3, 3):
        energies = []
        for sign in (1.0, -1.0):
            strain = np.eye(3)
            strain[row, column] += 0.5 * sign * step
            strain[column, row] += 0.5 * sign * step
            copy = atoms.copy()
            copy.set_cell(atoms.cell[:] @ strain, scale_atoms=True)
            energies.append(potential(copy).energy)
        stress[row, column] = (energies[0] - energies[1]) / (2 * step * atoms.cell.volume)
    return stress


def test_reported_stresses_are_derivatives_of_the_energy():
    dataset = strained(frames=3)
    potential = Potential.initial(TINY, seed=1, dtype="float64")
    own = np.stack([finite_difference(potential, dataset, frame) for frame in range(2)] + [np.full((3, 3), np.nan)])
    found = evaluate(potential, replace(dataset, stresses=own))
    assert np.abs(own[:2]).max() > 1e-4
    row = found.summary.set_index("quantity").loc["stress (per Å³)"]
    assert row["count"] == 18
    assert row["mae_meV"] < 1e-3 * 1000 * np.abs(own[:2]).mean()
    np.testing.assert_array_equal(np.isfinite(found.structures["stress_mae_GPa"]), [True, True, False])


@pytest.mark.study
def test_training_learns_stresses_and_leaves_them_out_where_they_weigh_nothing():
    dataset = strained(frames=48)
    settings = TrainingSettings(epochs=80, batch_size=8, stress_weight=0.5, warmup_steps=10, learning_rate=1e-2)
    reports = list(train(dataset.select(slice(0, 40)), dataset.select(slice(40, 48)), TINY, settings))
    assert reports[-1].valid_stress_mae_GPa < 0.5 * reports[0].valid_stress_mae_GPa
    assert "valid_stress_mae_GPa" in reports[-1].row()
    assert frames_from(dataset, {29: 0.0}, 3.5, with_stress=False).stresses is None


def test_frames_without_a_stress_do_not_count_in_its_error():
    dataset = strained(frames=4)
    stresses = dataset.stresses.copy()
    stresses[1:3] = np.nan
    frames = frames_from(replace(dataset, stresses=stresses), {29: 0.0}, 3.5)
    assert frames.stress_mask.tolist() == [True, False, False, True]
    assert np.isfinite(frames.stresses).all()
    assert frames_from(replace(dataset, stresses=None), {29: 0.0}, 3.5).stresses is None
    assert units.GPa == pytest.approx(1 / 160.21766)
