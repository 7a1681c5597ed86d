"""The models that travel with so3lab are as accurate and as stable as the README says."""

import numpy as np
import pytest

import so3lab
from so3lab import datasets, dynamics, observables
from so3lab.structures import read_structure
from so3lab.training import evaluate

pytestmark = pytest.mark.study

LIMITS_KCAL = {"ethanol": 0.19, "ala2": 0.36, "ala3": 0.43}


@pytest.fixture(scope="module", params=LIMITS_KCAL)
def name(request):
    return request.param


def held_out(potential, name: str) -> datasets.Dataset:
    """The frames that were kept aside when the model was trained."""
    return datasets.load(name).select(potential.metadata["split"]["test_frames"])


def test_force_error_on_held_out_frames(name):
    potential = so3lab.load(name)
    summary = evaluate(potential, held_out(potential, name)).summary.set_index("quantity")
    assert summary.loc["force (per Å)", "mae_kcal_mol"] <= LIMITS_KCAL[name]


def test_energies_are_on_the_scale_of_the_data(name):
    potential = so3lab.load(name)
    summary = evaluate(potential, held_out(potential, name)).summary.set_index("quantity")
    assert summary.loc["energy per atom", "mae_meV"] < 2.0


def test_model_says_where_it_comes_from(name):
    metadata = so3lab.load(name).metadata
    assert metadata["dataset"] == name
    assert metadata["dataset_meta"]["level_of_theory"]
    assert metadata["valid_force_mae_meV_A"] > 0


def hot_run(name: str, ps: float, temperature_K: float = 500.0):
    """Steps of 1 fs: twice as long as people take for molecules with hydrogen, which asks more of a model."""
    chunks = list(
        dynamics.run(
            so3lab.load(name),
            read_structure(name),
            timestep_fs=1.0,
            steps=int(1000 * ps),
            temperature_K=temperature_K,
            friction_per_ps=10.0,
            interval=100,
        )
    )
    positions = np.concatenate([chunk.positions for chunk in chunks])
    times = np.concatenate([chunk.time_fs for chunk in chunks])
    temperature = np.concatenate([chunk.temperature for chunk in chunks])
    return observables.stability(positions, read_structure(name), times), temperature


def test_100_ps_at_500_K_are_stable(name):
    table, temperature = hot_run(name, 100.0)
    assert table["largest_deviation_A"].max() < 0.5
    assert temperature[100:].mean() == pytest.approx(500, rel=0.05)


def test_ethanol_holds_at_1000_K_of_which_it_has_seen_frames():
    table, temperature = hot_run("ethanol", 50.0, 1000.0)
    assert table["largest_deviation_A"].max() < 0.5
    assert temperature[100:].mean() == pytest.approx(1000, rel=0.05)


def test_frames_of_dynamics_that_ethanol_never_saw():
    potential = so3lab.load("ethanol")
    kept = held_out(potential, "ethanol")
    errors = evaluate(potential, kept).structures.sort_values("frame")["force_mae_meV_A"].to_numpy()
    assert errors[np.asarray(kept.labels["origin"]) == "md"].mean() < 6.5


def test_constant_energy_drift_in_double_precision(name):
    """Below 1e-5 of the total energy above the minimum per ps, at 0.5 fs."""
    potential, atoms = so3lab.load(name, "float64"), read_structure(name)
    minimum = potential(atoms).energy
    chunks = list(dynamics.run(potential, atoms, steps=4000, ensemble="nve", temperature_K=300))
    times = np.concatenate([chunk.time_fs for chunk in chunks])
    energy = np.concatenate([chunk.total_energy for chunk in chunks])
    drift = observables.energy_drift(times, energy)
    assert abs(drift) < 1e-5 * abs(energy[0])
    assert abs(drift) < 2e-3 * abs(energy[0] - minimum)
