"""Infrared spectra from predicted dipoles have the bands and the intensities of normal modes."""

import ase
import numpy as np
import pytest
from ase.build import molecule
from ase.optimize import BFGS
from so3lr_reference import FOLDER

import so3lab
from so3lab import observables, units
from so3lab.dipoles import dipoles
from so3lab.dynamics import Limits, run
from so3lab.network.settings import preset
from so3lab.potential import Potential

KM_PER_MOL = 42.2561 * 4.80320**2
"""Intensity of 1 e²/amu: 42.2561 km/mol for 1 (debye/Å)²/amu, and 4.80320 debye for 1 e Å."""


@pytest.mark.study
def test_bands_of_water_are_where_and_as_strong_as_its_normal_modes_say(shared):
    potential = so3lab.load_so3lr(FOLDER, dtype="float64")
    water = molecule("H2O")
    water.calc = potential.calculator()
    BFGS(water, logfile=None).run(fmax=1e-4)
    masses, kT = water.get_masses(), units.kB * 10.0

    def forces(positions):
        return potential(ase.Atoms(water.numbers, positions)).forces

    hessian = observables.finite_difference_hessian(forces, water.positions)
    modes = observables.normal_modes(hessian, masses, water.positions)
    shapes = modes.modes / np.sqrt(np.einsum("a,max->m", masses, modes.modes**2))[:, None, None]
    step = 1e-3
    moved = [ase.Atoms(water.numbers, water.positions + sign * step * q) for q in shapes for sign in (1, -1)]
    there = dipoles(potential, moved).reshape(3, 2, 3)
    expected = KM_PER_MOL * np.sum(((there[:, 0] - there[:, 1]) / (2 * step)) ** 2, axis=1)

    water.set_velocities(np.sqrt(2 * kT) * shapes.sum(axis=0))  # kT in each mode
    water.calc = None
    chunks = list(run(potential, water, steps=8000, ensemble="nve", timestep_fs=0.25, interval=8, limits=Limits(None)))
    frames = [ase.Atoms(water.numbers, places) for chunk in chunks for places in chunk.positions]
    times = np.concatenate([chunk.time_fs for chunk in chunks])
    moments = dipoles(potential, frames)
    np.testing.assert_allclose(moments[7], potential(frames[7]).dipole, atol=1e-9)
    spectrum = observables.infrared_spectrum(moments, times, 10.0, highest_per_cm=4500.0)
    wavenumbers, heights = spectrum.to_numpy().T
    for place, intensity in zip(modes.wavenumbers_per_cm, expected, strict=True):
        near = np.abs(wavenumbers - place) < 60
        assert wavenumbers[near][np.argmax(heights[near])] == pytest.approx(place, abs=20)
        area = np.sum(heights[near]) * (wavenumbers[1] - wavenumbers[0])
        assert area == pytest.approx(intensity, rel=0.1, abs=0.5)


def test_what_has_no_dipole_is_refused():
    plain, water = Potential.initial(preset("tiny", mean_neighbors=7.0)), molecule("H2O")
    with pytest.raises(ValueError, match="potential must predict charges"):
        dipoles(plain, [water])


def test_frames_must_be_one_molecule(shared):
    potential, water = so3lab.load_so3lr(FOLDER), molecule("H2O")
    with pytest.raises(ValueError, match="frames must hold at least one structure"):
        dipoles(potential, [])
    with pytest.raises(ValueError, match=r"must all be the molecule H2O without a cell, got H3N .* as number 1"):
        dipoles(potential, [water, molecule("NH3")])
