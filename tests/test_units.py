"""Units fit together, and the time unit follows from energy, length and mass."""

import ase.units
import pytest

from so3lab import units


def test_energies_per_mole_are_those_of_thermochemistry():
    assert units.kcal_per_mol == pytest.approx(0.0433641, rel=1e-5)
    assert units.kcal_per_mol / units.kJ_per_mol == pytest.approx(4.184, rel=1e-12)
    assert 1000.0 * units.kcal_mol_per_meV * units.kcal_per_mol == pytest.approx(1.0, rel=1e-12)


def test_time_unit_is_that_of_one_ev_one_angstrom_and_one_amu():
    seconds = ((ase.units._amu * 1e-20) / ase.units._e) ** 0.5
    assert units.fs * seconds == pytest.approx(1e-15, rel=1e-9)
    assert units.ps == pytest.approx(1000.0 * units.fs, rel=1e-12)


def test_light_of_one_wavenumber_has_one_energy_and_one_frequency():
    planck = ase.units._hplanck / ase.units._e / 1e-15 * units.fs  # eV times ASE's unit of time
    assert planck * units.per_cm == pytest.approx(units.photon_per_cm, rel=1e-7)
    assert units.coulomb_constant == pytest.approx(14.3996, rel=1e-5)
