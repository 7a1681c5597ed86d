"""The stability protocol finds broken bonds at the right time, counts survivors and resumes; spectra show modes."""

import json

import ase
import ase.io
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from ase.optimize import BFGS
from scipy.signal import find_peaks

import so3lab
from so3lab import datasets, dynamics, observables, stability, units
from so3lab.app import main
from so3lab.engine.energy_model import EnergyModel
from so3lab.functions.safe import safe_norm
from so3lab.structures import read_structure
from so3lab.structures.graph import displacements, sum_pairs_per_structure

N2 = ase.Atoms("N2", [[0.0, 0.0, 0.0], [0.0, 0.0, 1.1]])


def pair_field(energy_of_distance, *parameters) -> EnergyModel:
    def energy(parameters, graph, strain=None):
        d = jnp.where(graph.pair_mask, safe_norm(displacements(graph, strain)), 1.0)
        return sum_pairs_per_structure(jnp.where(graph.pair_mask, energy_of_distance(d, *parameters), 0.0), graph)

    return EnergyModel(energy, parameters, 50.0, "float64")


def pushing(force_eV_A: float) -> EnergyModel:
    """Atoms push each other apart with a constant force."""
    return pair_field(lambda d, force: -force * d, force_eV_A)


MORSE = pair_field(lambda d, depth: depth * (1.0 - jnp.exp(-4.0 * (d - 1.1))) ** 2, 0.3)
COLD = {"ensemble": "langevin", "friction_per_ps": 1e-6, "temperatures_K": [1e-6]}


def result_of(*arguments, **options) -> stability.Stability:
    return list(stability.run_stability(*arguments, **options))[-1]


def test_a_bond_that_is_pushed_apart_breaks_when_mechanics_says_so():
    force = 0.05
    acceleration = 2.0 * force / N2.get_masses()[0]
    breaks_fs = np.sqrt(2.0 * 0.5 / acceleration) / units.fs
    reference = datasets.Dataset.from_arrays("n2", N2.numbers, N2.positions[None], np.zeros(1), np.zeros((1, 2, 3)))
    found = result_of(pushing(force), N2, replicas=2, ps=0.4, timestep_fs=0.25, interval=4, reference=reference, **COLD)
    rows = found.replicas
    expected = 0.001 * np.ceil(breaks_fs)  # the first frame, of one in each fs, after it
    np.testing.assert_allclose(rows["unstable_at_ps"], expected)
    np.testing.assert_allclose(rows["stable_ps"], expected)
    assert (rows["bond"] == "N0-N1").all()
    assert rows["largest_deviation_A"].between(0.5, 0.52).all()
    assert found.temperatures[["survived", "replicas"]].to_numpy().tolist() == [[0, 2]]
    assert found.progress == 1.0
    assert found.time_ps < 0.4, "when none is stable any more, the rest teaches nothing"


def test_a_run_that_bursts_between_two_frames_is_unstable_at_the_frame_it_never_reached():
    found = result_of(pushing(50.0), N2, replicas=2, ps=0.2, interval=100, timestep_fs=0.1, **COLD)
    np.testing.assert_allclose(found.replicas["unstable_at_ps"], 0.01)
    assert (found.replicas["largest_deviation_A"] == 0).all()
    assert found.temperatures["survived"].item() == 0


def test_each_temperature_is_judged_for_itself_and_survivors_go_on():
    found = result_of(
        MORSE, N2, temperatures_K=[50.0, 30_000.0], replicas=3, ps=1.5, ensemble="langevin", friction_per_ps=50.0,
        timestep_fs=0.25, interval=20, seed=5,
    )  # fmt: skip
    cold, hot = (rows for _, rows in found.temperatures.iterrows())
    assert (cold["survived"], hot["survived"]) == (3, 0)
    assert cold["stable_ps"] == pytest.approx(1.5)
    assert hot["stable_ps"] < 1.5
    assert found.replicas["seed"].tolist() == [5, 6, 7, 8, 9, 10]
    assert found.time_ps == pytest.approx(1.5)
    frames = found.deviations.groupby("replica").size()
    assert (frames[:3] == 301).all()
    assert (frames[3:] < 301).all()
    distances = found.distances[found.distances["temperature_K"] == 50.0]
    assert distances["simulated"].sum() * 0.02 == pytest.approx(1.0)
    assert distances["reference"].isna().all()
    assert found.replicas["h_error"].isna().all()


TINY = ("stability", "ethanol", "ethanol", "--temperatures-K", 300, 500, "--replicas", 2, "--interval", 10)


def run(capsys, *arguments) -> dict:
    assert main([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.study
def test_command_writes_tables_and_a_report_and_a_study_resumed_is_the_study(capsys, tmp_path):
    folder = tmp_path / "study"
    first = run(capsys, *TINY, "--ps", 0.05, "--out", folder)
    assert first["force_mae_kcal_mol_A"] == pytest.approx(0.173, abs=0.01)  # the frames kept aside
    assert [row["survived"] for row in first["temperatures"]] == [2, 2]
    for name in ("replicas", "temperatures", "distances", "deviations", "forces"):
        assert len(pd.read_csv(folder / f"{name}.csv"))
    page = (folder / "report.html").read_text("utf-8")
    for words in ("2 of 2", "Survival", "Force errors of 147 structures", "Interatomic distances at 500 K"):
        assert words in page
    resumed = run(capsys, *TINY, "--ps", 0.1, "--out", folder, "--resume")
    whole = run(capsys, *TINY, "--ps", 0.1, "--out", tmp_path / "whole")
    assert resumed["time_ps"] == pytest.approx(0.1)
    for one, other in zip(resumed["replicas"], whole["replicas"], strict=True):
        assert {name: one[name] for name in ("seed", "bond")} == {name: other[name] for name in ("seed", "bond")}
        for name in ("stable_ps", "largest_deviation_A", "mean_temperature_K", "h_error"):
            assert one[name] == pytest.approx(other[name], rel=1e-9)
    other = [*map(str, TINY), "--ps", "0.1", "--out", str(folder), "--resume", "--seed", "3"]
    assert main(other) == 1
    assert "seed must be that of the study" in " ".join(capsys.readouterr().err.split())
    assert main([*map(str, TINY), "--ps", "0.1", "--out", str(folder)]) == 1
    assert "exists" in capsys.readouterr().err
    assert main([*map(str, TINY), "--ps", "0.1", "--out", str(folder / "report.html")]) == 1
    assert "must be a folder, but" in " ".join(capsys.readouterr().err.split())


def test_what_cannot_be_studied_is_refused():
    argon = ase.Atoms("Ar2", [[0, 0, 0], [0, 0, 3.8]])
    with pytest.raises(ValueError, match="atoms must have bonds to watch"):
        result_of(MORSE, argon)
    with pytest.raises(ValueError, match="replicas must be at least 1, got 0"):
        result_of(MORSE, N2, replicas=0)
    with pytest.raises(ValueError, match="temperatures_K must differ"):
        result_of(MORSE, N2, temperatures_K=[300.0, 300.0])
    with pytest.raises(ValueError, match="ensemble must be one of langevin, nose-hoover, csvr, got 'nve'"):
        result_of(MORSE, N2, ensemble="nve")
    with pytest.raises(ValueError, match=r"ps must be at least the 0\.05 ps of one frame, got 0\.01"):
        result_of(MORSE, N2, ps=0.01)
    with pytest.raises(ValueError, match="reference must hold the same atoms"):
        result_of(MORSE, N2, reference=datasets.load("ethanol"))
    with pytest.raises(ValueError, match="resume needs out"):
        result_of(MORSE, N2, resume=True)


def test_reference_of_a_bundled_model_is_its_data_and_of_another_molecule_nothing():
    potential = so3lab.load("ala2")
    sampled, held_out = stability.reference_for(potential, read_structure("ala2"))
    assert set(sampled.labels["origin"]) == {"md"}
    assert len(held_out) == 483
    assert stability.reference_for(potential, read_structure("ethanol")) == (None, None)


@pytest.mark.study
def test_peaks_of_a_cold_run_stand_at_the_normal_modes():
    """Ethanol at constant energy, 10 K: harmonic, so that every clear peak is a mode.

    Velocity Verlet moves a mode of angular frequency ω to (2/h) arcsin(ωh/2), which is known and taken out: 19 cm⁻¹
    for the O-H stretch.
    """
    potential, timestep_fs = so3lab.load("ethanol", "float64"), 0.5
    atoms = read_structure("ethanol")
    atoms.calc = potential.calculator()
    BFGS(atoms, logfile=None).run(fmax=1e-4, steps=300)

    def forces(positions):
        moved = atoms.copy()
        moved.positions = positions
        return potential(moved).forces

    hessian = observables.finite_difference_hessian(forces, atoms.positions)
    modes = observables.normal_modes(hessian, atoms.get_masses(), atoms.positions).wavenumbers_per_cm
    assert len(modes) == 21
    assert modes.min() > 150, "a minimum"
    omega = 2.0 * np.pi * units.per_cm * modes
    h = timestep_fs * units.fs
    expected = modes * (2.0 / h) * np.arcsin(0.5 * h * omega) / omega

    chunks = list(dynamics.run(potential, atoms, steps=16_000, ensemble="nve", temperature_K=20.0, interval=4, seed=1))
    times = np.concatenate([chunk.time_fs for chunk in chunks])
    velocities = np.concatenate([chunk.velocities for chunk in chunks])
    spectrum = observables.vibrational_spectrum(velocities, times, atoms.get_masses(), resolution_per_cm=5.0)
    heights = spectrum["intensity"].to_numpy()
    peaks, _ = find_peaks(heights, height=0.01 * heights.max(), distance=5)
    found = spectrum["wavenumber_per_cm"].to_numpy()[peaks]
    assert len(found) >= 10
    errors = np.abs(found[:, None] - expected).min(axis=1)
    assert errors.max() < 8.0
    assert np.median(errors) < 3.0
