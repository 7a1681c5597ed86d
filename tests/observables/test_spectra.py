"""Spectra peak where springs vibrate, with the area that theory gives; normal modes are those of ASE."""

import numpy as np
import pandas as pd
import pytest
from ase.build import molecule
from ase.calculators.emt import EMT
from ase.optimize import BFGS
from ase.vibrations.data import VibrationsData
from scipy.signal import find_peaks

from so3lab import observables, units

WATER = np.array([[0.0, 0.0, 0.0], [0.757, 0.586, 0.0], [-0.757, 0.586, 0.0]])
WATER_MASSES = np.array([15.999, 1.008, 1.008])
_SPRINGS = ((0, 1, 50.0), (0, 2, 50.0), (1, 2, 15.0))  # eV/Å²


def water_forces(positions: np.ndarray) -> np.ndarray:
    """Three springs at rest in ``WATER``."""
    forces = np.zeros_like(positions)
    for i, j, stiffness in _SPRINGS:
        bond = positions[j] - positions[i]
        length = np.sqrt(bond @ bond)
        pull = stiffness * (length - np.linalg.norm(WATER[j] - WATER[i])) * bond / length
        forces[i] += pull
        forces[j] -= pull
    return forces


def motion(forces, positions, velocities, masses, interval_fs: float, frames: int) -> np.ndarray:
    """Velocities of a run with velocity Verlet."""
    h, inverse = interval_fs * units.fs, 1.0 / masses[:, None]
    force, kept = forces(positions), []
    for _ in range(frames):
        half = velocities + 0.5 * h * inverse * force
        positions = positions + h * half
        force = forces(positions)
        velocities = half + 0.5 * h * inverse * force
        kept.append(velocities)
    return np.array(kept)


def integral(table: pd.DataFrame) -> float:
    step = table["wavenumber_per_cm"][1] - table["wavenumber_per_cm"][0]
    return float(table.iloc[:, 1].sum() * step)


@pytest.mark.parametrize("wavenumber", [400.0, 2300.0])
def test_diatomic_vibrates_at_its_wavenumber(wavenumber):
    """Velocity Verlet moves it to (2 / h) arcsin(ω h / 2), which is taken into account."""
    masses, interval_fs = np.array([12.011, 15.999]), 1.0
    omega = 2 * np.pi * wavenumber * units.per_cm
    stiffness = omega**2 * masses.prod() / masses.sum()

    def forces(positions):
        stretch = positions[1, 0] - positions[0, 0] - 1.1
        return np.array([[stiffness * stretch, 0, 0], [-stiffness * stretch, 0, 0]])

    start = np.array([[0, 0, 0], [1.12, 0, 0]])
    velocities = motion(forces, start, np.zeros((2, 3)), masses, interval_fs, 8000)
    table = observables.vibrational_spectrum(velocities, interval_fs * np.arange(8000), masses)
    h = interval_fs * units.fs
    moved = 2 / h * np.arcsin(omega * h / 2) / (2 * np.pi * units.per_cm)
    assert table.loc[table["intensity"].idxmax(), "wavenumber_per_cm"] == pytest.approx(moved, abs=3.0)
    assert integral(table) == pytest.approx(1.0, abs=0.01)
    far = (table["wavenumber_per_cm"] - moved).abs() > 60.0
    assert integral(table[far | (table.index < 2)].reset_index(drop=True)) < 1e-4  # Hann's window leaks little


def test_spectrum_of_water_shows_its_normal_modes_and_nothing_else():
    hessian = observables.finite_difference_hessian(water_forces, WATER)
    modes = observables.normal_modes(hessian, WATER_MASSES, WATER)
    assert modes.wavenumbers_per_cm.shape == (3,)
    velocities = 2e-3 * np.einsum("m,max->ax", [1.0, 0.7, 1.3], modes.modes)
    run = motion(water_forces, WATER, velocities, WATER_MASSES, 0.25, 16000)
    table = observables.vibrational_spectrum(run, 0.25 * np.arange(16000), WATER_MASSES, highest_per_cm=6000.0)
    peaks, _ = find_peaks(table["intensity"], height=1e-3 * table["intensity"].max())
    places = table["wavenumber_per_cm"].to_numpy()[peaks]
    np.testing.assert_allclose(places, modes.wavenumbers_per_cm, rtol=0.004, atol=3.0)
    energies = modes.reduced_masses * np.array([1.0, 0.7, 1.3]) ** 2  # kinetic at the start; a band holds its share
    for place, share in zip(places, energies / energies.sum(), strict=True):
        band = table[(table["wavenumber_per_cm"] - place).abs() < 60].reset_index(drop=True)
        assert integral(band) == pytest.approx(share, rel=0.02)


@pytest.mark.parametrize("frames", [500, 501])
@pytest.mark.parametrize("zero_padding", [1, 2, 5])
def test_power_of_noise_is_its_mean_square(frames, zero_padding):
    noise = 3.0 * np.random.default_rng(0).normal(size=(frames, 4)) + 1.0
    nyquist = observables.nyquist_per_cm(2.0)
    table = observables.power_spectrum(
        noise,
        2.0 * np.arange(frames),
        window="boxcar",
        zero_padding=zero_padding,
        resolution_per_cm=2 * nyquist / frames,
        highest_per_cm=nyquist,
    )
    assert integral(table) == pytest.approx(np.sum(noise**2) / frames, rel=1e-9)


@pytest.mark.parametrize("window", ["hann", "hamming", "blackman", "boxcar"])
def test_every_window_keeps_the_area_of_a_peak_and_its_stated_width(window):
    time_fs, resolution = 1.0 * np.arange(20000), 20.0
    wave = 3.0 * np.cos(2 * np.pi * 1500.0 * units.per_cm * units.fs * time_fs)
    table = observables.power_spectrum(
        wave[:, None], time_fs, window=window, resolution_per_cm=resolution, zero_padding=16
    )
    assert integral(table) == pytest.approx(4.5, rel=0.01)
    assert table.loc[table["power"].idxmax(), "wavenumber_per_cm"] == pytest.approx(1500.0, abs=0.5)
    above = table["power"] > 0.5 * table["power"].max()
    width = above.sum() * table["wavenumber_per_cm"][1] / resolution
    assert width == pytest.approx({"hann": 1.4, "hamming": 1.3, "blackman": 1.6, "boxcar": 0.9}[window], abs=0.1)


def test_frames_too_far_apart_are_refused_with_the_limit():
    series = np.zeros((100, 1))
    with pytest.raises(ValueError, match=r"less than 4.17 fs .* 10 fs apart reach 1668 cm⁻¹ \(Nyquist\)"):
        observables.power_spectrum(series, 10.0 * np.arange(100))
    assert len(observables.power_spectrum(series, 10.0 * np.arange(100), highest_per_cm=1600.0))


def test_spectra_refuse_gaps_too_little_and_unknown_options():
    velocities, time_fs, masses = np.ones((100, 2, 3)), 1.0 * np.arange(100), np.ones(2)
    spectrum = observables.vibrational_spectrum
    with pytest.raises(ValueError, match="window must be one of hann, hamming, blackman, boxcar, got 'flat'"):
        observables.power_spectrum(velocities[:, 0], time_fs, window="flat")
    with pytest.raises(ValueError, match=r"resolution_per_cm must lie between 334 and .* got 5.0, which takes 6671"):
        spectrum(velocities, time_fs, masses, resolution_per_cm=5.0)
    with pytest.raises(ValueError, match="zero_padding must be 1"):
        spectrum(velocities, time_fs, masses, zero_padding=0)
    with pytest.raises(ValueError, match="saved without velocities"):
        spectrum(np.zeros((100, 2, 3)), time_fs, masses)
    with pytest.raises(ValueError, match="masses must be positive"):
        spectrum(velocities, time_fs, 0 * masses)
    with pytest.raises(ValueError, match="longest_fs must lie between 0 and 99 fs, got 200"):
        observables.velocity_autocorrelation(velocities, time_fs, longest_fs=200.0)
    time_fs[40:] += 1.0
    with pytest.raises(ValueError, match="from frame 39 to 40 it is 2 fs; use one unbroken run"):
        spectrum(velocities, time_fs, masses)
    time_fs[40:] -= 1.0
    velocities[3] = np.nan
    with pytest.raises(ValueError, match="velocities must be finite, frame 3 is not"):
        observables.velocity_autocorrelation(velocities, time_fs)


@pytest.mark.parametrize("masses", [None, np.array([1.0, 16.0, 12.0])])
def test_velocity_autocorrelation_is_the_plain_double_sum(masses):
    velocities = np.cumsum(np.random.default_rng(1).normal(size=(80, 3, 3)), axis=0)
    table = observables.velocity_autocorrelation(velocities, 0.5 * np.arange(80), masses, longest_fs=39.5)
    weights = np.ones(3) if masses is None else masses
    plain = [np.mean(np.einsum("a,fax,fax->f", weights, velocities[: 80 - lag], velocities[lag:])) for lag in range(80)]
    np.testing.assert_allclose(table["vacf"], np.array(plain) / plain[0], atol=1e-10)
    assert table["lag_fs"].iloc[-1] == 39.5
    assert len(observables.velocity_autocorrelation(velocities, 0.5 * np.arange(80))) == 40


@pytest.mark.parametrize(("wavenumber", "interval_fs"), [(1200.0, 1.0), (3500.0, 4.0)])
def test_infrared_band_has_the_area_of_the_double_harmonic_formula(wavenumber, interval_fs):
    """1 D²/(Å² amu) is 42.2561 km/mol; the second case is close to Nyquist, where differences of frames lag most."""
    slope = 0.2081943  # one debye per Å and root amu, in e per root amu
    kT, time_fs = units.kB * 300.0, interval_fs * np.arange(12000)
    omega = 2 * np.pi * wavenumber * units.per_cm
    amplitude = np.sqrt(2 * kT) / omega  # mean square of the mass-weighted velocity is kT
    direction = np.array([0.6, 0.0, 0.8])
    dipole = np.outer(slope * amplitude * np.cos(omega * units.fs * time_fs + 0.3), direction) + 5.0
    table = observables.infrared_spectrum(dipole, time_fs, 300.0)
    assert list(table) == ["wavenumber_per_cm", "intensity_km_cm_per_mol"]
    assert integral(table) == pytest.approx(42.2561, rel=0.01)
    peak = table["intensity_km_cm_per_mol"].idxmax()
    assert table["wavenumber_per_cm"][peak] == pytest.approx(wavenumber, abs=3.0)
    x = table["wavenumber_per_cm"][peak] / (300.0 * 0.6950348)  # k_B in cm⁻¹/K
    for correction, factor in (("standard", np.tanh), ("schofield", np.sinh)):
        other = observables.infrared_spectrum(dipole, time_fs, 300.0, correction=correction)
        ratio = other["intensity_km_cm_per_mol"][peak] / table["intensity_km_cm_per_mol"][peak]
        assert ratio == pytest.approx(2 * factor(x / 2) / x, rel=1e-5)
    with pytest.raises(ValueError, match="correction must be 'harmonic', 'standard' or 'schofield', got 'exact'"):
        observables.infrared_spectrum(dipole, time_fs, 300.0, correction="exact")
    with pytest.raises(ValueError, match="temperature_K must be positive, got 0"):
        observables.infrared_spectrum(dipole, time_fs, 0.0)


@pytest.mark.parametrize(("name", "count"), [("H2O", 3), ("N2", 1), ("NH3", 6)])
def test_normal_modes_are_those_of_ase(name, count):
    atoms = molecule(name)
    atoms.calc = EMT()
    BFGS(atoms, logfile=None).run(fmax=1e-6, steps=500)

    def forces(positions):
        atoms.positions = positions
        return atoms.get_forces()

    rest = atoms.get_positions()
    hessian = observables.finite_difference_hessian(forces, rest)
    atoms.positions = rest
    ours = observables.normal_modes(hessian, atoms.get_masses(), rest)
    theirs = np.sort(VibrationsData.from_2d(atoms, hessian).get_frequencies().real)[-count:]
    assert ours.wavenumbers_per_cm.shape == (count,)
    np.testing.assert_allclose(ours.wavenumbers_per_cm, theirs, rtol=1e-4, atol=0.5)
    np.testing.assert_allclose(np.linalg.norm(ours.modes, axis=(1, 2)), 1.0)
    momenta = np.einsum("a,max->mx", atoms.get_masses(), ours.modes)
    np.testing.assert_allclose(momenta, 0.0, atol=1e-8)


def test_normal_modes_of_a_hill_are_negative_and_a_cell_keeps_its_rotations():
    mass, stiffness = 1.008, 30.0
    block = np.outer([1.0, -1.0], [1.0, -1.0])
    hessian = stiffness * np.kron(block, np.diag([1.0, 0.0, 0.0]))
    positions = np.array([[0.0, 0, 0], [0.74, 0, 0]])
    expected = np.sqrt(2 * stiffness / mass) / (2 * np.pi * units.per_cm)
    modes = observables.normal_modes(-hessian, np.full(2, mass), positions)
    assert modes.wavenumbers_per_cm == pytest.approx([-expected])
    assert modes.reduced_masses == pytest.approx([mass])
    cell = observables.normal_modes(hessian, np.full(2, mass))
    np.testing.assert_allclose(cell.wavenumbers_per_cm, [0.0, 0.0, expected], atol=1e-3)


def test_normal_modes_refuse_what_is_no_hessian():
    with pytest.raises(ValueError, match=r"hessian must be 6 x 6 for 2 masses, got \(9, 9\)"):
        observables.normal_modes(np.eye(9), np.ones(2))
    with pytest.raises(ValueError, match="hessian must be symmetric and finite"):
        observables.normal_modes(np.triu(np.ones((6, 6))), np.ones(2))
    with pytest.raises(ValueError, match="masses must be positive"):
        observables.normal_modes(np.eye(6), np.zeros(2))
    with pytest.raises(ValueError, match="forces must give finite numbers of shape"):
        observables.finite_difference_hessian(lambda x: np.full_like(x, np.nan), WATER)
    with pytest.raises(ValueError, match="step must be positive"):
        observables.finite_difference_hessian(water_forces, WATER, step=0.0)
