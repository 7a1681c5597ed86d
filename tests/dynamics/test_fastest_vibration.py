"""The fastest bond of a molecule is known well enough to say which time step can follow it."""

import pytest
from ase import Atoms
from ase.build import molecule
from ase.constraints import FixAtoms

from so3lab.dynamics import Limits
from so3lab.dynamics.fastest_vibration import check_timestep, fastest_vibration, long_timestep
from so3lab.dynamics.limits import StopReason, failure_message
from so3lab.structures import from_smiles

MEASURED = {"C6H6": 3062, "H2O": 3756, "CH4": 3019, "HCl": 2991, "N2": 2359, "CO": 2170, "SO2": 1362, "Cl2": 560,
            "SiH4": 2191, "CCl4": 776}  # fmt: skip
"""Wavenumbers in 1/cm of the highest fundamentals; Shimanouchi's tables and the NIST WebBook."""


@pytest.mark.parametrize("name", MEASURED)
def test_periods_are_those_of_spectra(name):
    vibration = fastest_vibration(molecule(name))
    assert vibration is not None
    assert vibration.period_fs == pytest.approx(33356.4 / MEASURED[name], rel=0.12)


def test_five_femtoseconds_are_too_long_for_benzene_and_one_is_good():
    benzene = from_smiles("c1ccccc1")
    for timestep_fs in (4.0, 5.0, 20.0):
        with pytest.raises(ValueError, match=r"bond C\d+-H\d+ vibrates with a period of about 1[12] fs.* 1 fs or less"):
            check_timestep(benzene, timestep_fs)
    for timestep_fs in (0.25, 1.0, 2.0):
        check_timestep(benzene, timestep_fs)
        assert long_timestep(benzene, timestep_fs) == ""
    check_timestep(benzene, 3.0)
    assert "is long" in long_timestep(benzene, 3.0)


def test_heavy_hydrogen_atoms_and_held_ones_allow_more():
    light = molecule("CH4")
    heavy = molecule("CH4")
    heavy.set_masses([12.011, 4.0, 4.0, 4.0, 4.0])
    held = molecule("CH4")
    held.set_constraint(FixAtoms([1, 2, 3, 4]))
    periods = [vibration.period_fs for vibration in map(fastest_vibration, (light, heavy, held)) if vibration]
    assert periods[0] < periods[1] < periods[2]


def test_what_has_no_bonds_has_no_such_limit():
    for atoms in (Atoms("Ar"), Atoms("Ar2", [[0, 0, 0], [0, 0, 3.8]]), Atoms("Na")):
        assert fastest_vibration(atoms) is None
        check_timestep(atoms, 1000.0)


def blown_up(atoms: Atoms, timestep_fs: float) -> str:
    zeros = 0.0 * atoms.positions
    flags = StopReason.ENERGY_JUMP
    return failure_message(flags, 2, atoms, atoms.positions, zeros, zeros, Limits(), timestep_fs)


def test_a_long_time_step_is_blamed_and_not_the_model():
    said = blown_up(molecule("C6H6"), 3.0)
    assert "The time step of 3 fs is the likely reason: the bond C0-H6" in said
    assert "does not know this geometry" not in said


def test_a_start_that_cannot_be_is_blamed_and_not_the_model():
    pressed = molecule("C6H6")
    pressed.positions[7] += 0.4 * (pressed.positions[1] - pressed.positions[7])
    said = blown_up(pressed, 0.2)
    assert "The start structure is the likely reason: C1 and H7 are 0.65 Å apart" in said
    assert "does not know this geometry" not in said
    assert "does not know this geometry" in blown_up(molecule("C6H6"), 0.5)
