"""Any ASE calculator can be relaxed by the same method, with the habits of ASE's optimisers."""

import io

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms, FixedPlane
from ase.io import read
from ase.optimize import BFGS

from so3lab.minimize import MoleculeOptimizer


def hot_ethanol():
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.05, seed=3)
    atoms.positions += [400.0, 0, 0]
    atoms.calc = EMT()
    return atoms


def test_a_molecule_reaches_the_minimum_in_fewer_steps_than_with_bfgs(tmp_path):
    ours, theirs, log = hot_ethanol(), hot_ethanol(), io.StringIO()
    optimizer = MoleculeOptimizer(ours, logfile=log, trajectory=str(tmp_path / "steps.traj"))
    assert optimizer.run(fmax=0.01, steps=200)
    slow = BFGS(theirs, logfile=None)
    slow.run(fmax=0.01, steps=500)
    assert np.linalg.norm(ours.get_forces(), axis=1).max() < 0.01
    assert ours.get_potential_energy() == pytest.approx(theirs.get_potential_energy(), abs=0.02)
    assert optimizer.nsteps < slow.nsteps
    frames = read(tmp_path / "steps.traj", ":")
    assert len(frames) == optimizer.nsteps + 1 == len(log.getvalue().splitlines()) - 1
    np.testing.assert_allclose(frames[-1].positions, ours.positions)


def test_metals_and_fixed_atoms():
    atoms = bulk("Cu", cubic=True) * (2, 2, 1)
    atoms.rattle(0.1, seed=1)
    atoms.set_constraint(FixAtoms([0, 1]))
    atoms.calc = EMT()
    before = atoms.positions[:2].copy()
    assert MoleculeOptimizer(atoms, logfile=None).run(fmax=0.01, steps=200)
    np.testing.assert_array_equal(atoms.positions[:2], before)


def test_other_constraints_are_refused():
    atoms = hot_ethanol()
    atoms.set_constraint(FixedPlane([0], (0, 0, 1)))
    with pytest.raises(ValueError, match="FixAtoms only"):
        MoleculeOptimizer(atoms)
