"""Observables equal known values, and the stability code its published fixture."""

import json

import ase
import ase.io
import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.geometry.rdf import get_rdf

from so3lab import observables, units
from so3lab.observables.checks import times_of


def test_drift_is_the_slope():
    time_fs = np.linspace(0, 5000, 101)
    assert observables.energy_drift(time_fs, 3.0 + 2e-4 * time_fs) == pytest.approx(0.2)
    with pytest.raises(ValueError, match="at least two frames, got 1"):
        observables.energy_drift(np.zeros(1), np.zeros(1))


def test_temperature_of_known_velocities():
    velocities = np.ones((4, 2, 3))
    expected = (3 * 1.0 + 3 * 2.0) / (6 * units.kB)
    table = observables.kinetic_temperature(velocities, np.array([1.0, 2.0]), 6, np.arange(4.0))
    np.testing.assert_allclose(table["temperature_K"], expected)
    assert table["time_fs"].tolist() == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="one time per frame, got 3 times for 4 frames"):
        times_of(np.arange(3.0), 4)
    with pytest.raises(ValueError, match="freedom must be positive, got 0"):
        observables.kinetic_temperature(velocities, np.array([1.0, 2.0]), 0, np.arange(4.0))


def test_pressure_of_an_ideal_gas_and_of_compressed_copper():
    gas = observables.pressure(np.array([1.5 * 100 * units.kB * 300.0]), np.zeros((1, 3, 3)), 4.0e5)
    assert gas["pressure_eV_A3"].item() == pytest.approx(100 * units.kB * 300.0 / 4.0e5)
    assert gas["kinetic_GPa"].item() == pytest.approx(1.0355e-3, rel=1e-4)  # 10.2 atm at 300 K, pV = NkT in SI
    energies, volumes = [], []
    for a in (3.499, 3.5, 3.501):
        copper = bulk("Cu", cubic=True, a=a)
        copper.calc = EMT()
        energies.append(copper.get_potential_energy())
        volumes.append(a**3)
        if a == 3.5:
            stress = copper.get_stress(voigt=False)
    cold = observables.pressure(np.zeros(1), stress[None], 3.5**3)
    slope = (energies[2] - energies[0]) / (volumes[2] - volumes[0])
    assert cold["virial_GPa"].item() == pytest.approx(-slope / units.GPa, rel=1e-4)
    assert cold["pressure_GPa"].item() > 5.0
    with pytest.raises(ValueError, match=r"volume must be positive \(Å³\), got 0.0; a molecule"):
        observables.pressure(np.zeros(1), np.zeros((1, 3, 3)), 0.0)


def test_bonds_of_ethanol():
    bonds = observables.bonds(molecule("CH3CH2OH"))
    assert len(bonds) == 8


def test_distance_histogram_is_normalised_and_places_a_pair():
    positions = np.zeros((10, 2, 3))
    positions[:, 1, 0] = 1.23
    table = observables.pair_distance_histogram(positions)
    assert table["h"].sum() * 0.02 == pytest.approx(1.0)
    assert table.loc[table["h"].idxmax(), "r"] == pytest.approx(1.23, abs=0.02)
    assert observables.histogram_error(table, table) == 0.0


def test_stability_names_the_bond_and_the_moment():
    atoms = molecule("H2O")
    positions = np.repeat(atoms.positions[None], 100, axis=0)
    positions[60:, 1] += 0.9
    table = observables.stability(positions[:, :], atoms, 10.0 * np.arange(100), np.full(2, 0.97))
    broken = table[table["unstable_at_fs"].notna()]
    assert broken["unstable_at_fs"].tolist() == [600.0]
    assert broken["bond"].tolist() == ["O0-H1"]


def test_published_aspirin_trajectory(shared):
    """A DimeNet run at 500 K published with "Forces are not enough": largest bond deviation 0.208 Å, stable, and an
    h(r) error of 0.050 against revised-MD17 frames."""
    folder = shared / "public_data"
    frames = ase.io.read(folder / "mdsim_aspirin" / "atoms.traj", index=":")
    assert json.loads((folder / "mdsim_aspirin" / "test_metric.json").read_text())
    reference = np.load(folder / "aspirin_pbe_rmd17.npz")
    positions = np.stack([atoms.positions for atoms in frames])
    first = ase.Atoms(reference["z"], reference["R"][0])
    assert (frames[0].numbers == reference["z"]).all()
    bonds = observables.bonds(first)
    mean = observables.bond_lengths(reference["R"], bonds).mean(axis=0)
    table = observables.stability(positions, first, np.arange(len(frames), dtype=float), mean)
    assert table["unstable_at_fs"].isna().all()
    assert table["largest_deviation_A"].max() == pytest.approx(0.208, abs=0.005)
    error = observables.histogram_error(
        observables.pair_distance_histogram(positions), observables.pair_distance_histogram(reference["R"])
    )
    assert error == pytest.approx(0.050, abs=0.004)


def test_radial_distribution_of_an_ideal_gas_is_one_and_of_a_crystal_its_shells():
    random = np.random.default_rng(0)
    gas = ase.Atoms("Ar150Ne50", positions=np.zeros((200, 3)), cell=[10.0, 11.0, 12.0], pbc=True)
    frames = random.uniform(-20, 20, size=(60, 200, 3))
    for kinds in ((None, None), ("Ar", "Ar"), ("Ar", "Ne")):
        table = observables.radial_distribution(frames, gas, *kinds, longest=5.0, bins=10)
        np.testing.assert_allclose(table["g"][3:], 1.0, atol=0.05)
    crystal = bulk("Cu", cubic=True)
    table = observables.radial_distribution(crystal.positions[None], crystal, longest=4.0, bins=80)
    shells = table["g"] * 4 * np.pi * table["r"] ** 2 * 0.05 * 3 / crystal.cell.volume
    at = lambda r: shells[np.argmin(np.abs(table["r"] - r))]  # noqa: E731
    assert at(3.61 / np.sqrt(2)) == pytest.approx(12, rel=0.01)
    assert at(3.61) == pytest.approx(6, rel=0.01)
    assert np.count_nonzero(shells > 1e-6) == 2
    with pytest.raises(ValueError, match=r"atoms.pbc must be True in all directions for g\(r\)"):
        observables.radial_distribution(frames, ase.Atoms("Ar200"))
    with pytest.raises(ValueError, match="atoms must hold Xe, got"):
        observables.radial_distribution(frames, gas, "Xe")
    with pytest.raises(ValueError, match="atoms must hold two atoms of O, got one"):
        observables.radial_distribution(np.zeros((1, 3, 3)), ase.Atoms("OH2", cell=[9] * 3, pbc=True), "O", "O")


def test_radial_distribution_of_a_cell_that_changes():
    """An ideal gas has none, whatever the volumes of its frames."""
    random, gas = np.random.default_rng(0), ase.Atoms("Ar100", cell=[10.0] * 3, pbc=True)
    cells = np.array([10.0, 14.0])[np.arange(80) % 2, None, None] * np.eye(3)
    frames = random.uniform(size=(80, 100, 3)) @ cells
    table = observables.radial_distribution(frames, gas, longest=5.0, bins=10, cells=cells)
    np.testing.assert_allclose(table["g"][3:], 1.0, atol=0.05)
    with pytest.raises(ValueError, match="cells must be one for each of 80 frames, got shape"):
        observables.radial_distribution(frames, gas, cells=cells[:3])


def test_radial_distribution_agrees_with_that_of_ase():
    liquid = ase.Atoms("OH2" * 20, cell=[9.0, 9.5, 10.0], pbc=True)
    liquid.positions = np.random.default_rng(3).uniform(0, 9, (60, 3))
    mixed = observables.radial_distribution(liquid.positions[None], liquid, "O", "H", longest=4.4, bins=22)
    theirs, distances = get_rdf(liquid, 4.4, 22, elements=(8, 1))
    np.testing.assert_allclose(mixed["r"], distances)
    np.testing.assert_allclose(mixed["g"], theirs)
    everything = observables.radial_distribution(liquid.positions[None], liquid, longest=4.4, bins=22)
    theirs, _ = get_rdf(liquid, 4.4, 22)
    np.testing.assert_allclose(everything["g"] * 59 / 60, theirs)  # ASE counts an atom as its own neighbour
