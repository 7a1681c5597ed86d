"""The ASE calculator agrees with the potential and does not compile while atoms move."""

import ase
import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.optimize import BFGS

from so3lab.potential.potential import _predict


def test_all_properties(potential64, ethanol):
    ethanol.calc = potential64.calculator()
    result = potential64(ethanol)
    assert ethanol.get_potential_energy() == pytest.approx(result.energy)
    assert ethanol.get_potential_energy(force_consistent=True) == ethanol.get_potential_energy()
    np.testing.assert_allclose(ethanol.get_forces(), result.forces, atol=1e-12)
    np.testing.assert_allclose(ethanol.get_potential_energies().sum(), result.energy)
    with pytest.raises(Exception, match="stress"):
        ethanol.get_stress()


def test_nothing_is_compiled_while_atoms_move(potential64):
    for atoms in (molecule("C6H6"), bulk("Si").repeat((2, 2, 2))):
        atoms.calc = potential64.calculator()
        atoms.get_forces()
        compiled = _predict._cache_size()
        for seed in range(5):
            atoms.rattle(0.05, seed=seed)
            atoms.get_forces()
        assert _predict._cache_size() == compiled


def test_room_grows_when_atoms_come_together(potential64):
    line = ase.Atoms("C8", positions=[[3.5 * k, 0, 0] for k in range(8)])
    line.calc = potential64.calculator()
    line.get_forces()
    line.positions *= 0.4
    np.testing.assert_allclose(line.get_forces(), potential64(line).forces, atol=1e-10)


def test_relaxation_with_ase_lowers_the_energy(potential64, ethanol):
    ethanol.calc = potential64.calculator()
    before = ethanol.get_potential_energy()
    BFGS(ethanol, logfile=None).run(fmax=0.05, steps=20)
    assert ethanol.get_potential_energy() < before
