"""Texts behind options of ``so3lab md`` become what the library takes."""

import numpy as np
import pytest
from ase.build import molecule
from ase.constraints import FixAtoms

from so3lab.app import md_values
from so3lab.engine.biases import Pull, Restraint, SphericalWall
from so3lab.structures.constraints import held_atoms


def test_a_ramp_is_in_steps_of_the_run():
    assert md_values.ramp_of("0:300,10:1000,50:100", 0.5) == [(0, 300.0), (20_000, 1000.0), (100_000, 100.0)]
    assert md_values.ramp_of("0:300,0.001:400", 1.0) == [(0, 300.0), (1, 400.0)]
    with pytest.raises(ValueError, match=r"at least a time step \(2.0 fs\) apart"):
        md_values.ramp_of("0:300,0.001:400", 2.0)


def test_atoms_are_held_besides_those_that_are_held_anyway():
    atoms = molecule("CH3CH2OH")
    atoms.set_constraint(FixAtoms([8]))
    held = md_values.with_held_atoms(atoms, "heavy")
    assert np.flatnonzero(held_atoms(held)).tolist() == [0, 1, 2, 8]
    assert np.flatnonzero(held_atoms(atoms)).tolist() == [8]  # the caller's own stay


def test_biases_are_those_of_the_library():
    assert md_values.restraint_of("1,2,3,4=-60:0.5", 9) == Restraint((1, 2, 3, 4), -60.0, 0.5)
    assert md_values.pull_of("1,5=-0.1", 9) == Pull((1, 5), -0.1)
    assert md_values.pull_of("3=0,0,0.1", 9) == Pull((3,), (0.0, 0.0, 0.1))
    assert md_values.sphere_of("8") == SphericalWall(8.0)
    assert md_values.sphere_of("8:2") == SphericalWall(8.0, 2.0)


@pytest.mark.parametrize(("text", "limit"), [("2.5", 2.5), ("1e3", 1000.0), ("none", None)])
def test_a_limit_is_a_number_or_none(text, limit):
    assert md_values.limit_of("--limit-heat", text) == limit


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "None", ""])
def test_what_is_no_limit_is_refused(text):
    with pytest.raises(ValueError, match="--limit-heat must be a positive number, or none for no limit, got"):
        md_values.limit_of("--limit-heat", text)
