"""The ASE calculator agrees with the potential and does not compile while atoms move."""

import pickle

import ase
import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.optimize import BFGS
from compile_report import programs_so_far

from so3lab.engine import pair_lists
from so3lab.engine.pair_lists import PairLists
from so3lab.network.settings import ModelSettings
from so3lab.potential import Potential


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
    for atoms in (molecule("CH3CH2OH"), bulk("Si", cubic=True)):
        atoms.calc = potential64.calculator()
        atoms.get_forces()
        compiled = programs_so_far()
        for seed in range(5):
            atoms.rattle(0.05, seed=seed)
            atoms.get_forces()
        assert programs_so_far() == compiled
    assert compiled > 0


def test_room_grows_when_atoms_come_together(potential64):
    line = ase.Atoms("C8", positions=[[3.5 * k, 0, 0] for k in range(8)])
    line.calc = potential64.calculator()
    line.get_forces()
    line.positions *= 0.4
    np.testing.assert_allclose(line.get_forces(), potential64(line).forces, atol=1e-10)


@pytest.mark.parametrize("mode", ["exact", "compat"])
def test_moving_cells_and_molecules_have_the_potential_s_numbers(mode):
    """Atoms that move a little, a lot, out of the cell; a cell that changes; another charge, another molecule."""
    settings = ModelSettings(
        num_features=8, num_layers=1, num_heads=2, degrees=(1, 2), cutoff=3.0, num_radial=8, energy_hidden=8,
        mean_neighbors=4.0, charge_embedding=True, electrostatics=mode, dispersion=True,
        long_range_cutoff=None if mode == "exact" else 6.0,
    )  # fmt: skip
    potential = Potential.initial(settings, seed=4, dtype="float64")
    calculator, random = potential.calculator(), np.random.default_rng(5)

    seen, found = [], []

    def look(atoms):
        """What the calculator says now, to be compared with what the potential says of all in one batch."""
        atoms.calc = calculator
        stress = atoms.get_stress() if atoms.pbc.any() else None
        found.append((atoms.get_potential_energy(), atoms.get_forces(), atoms.get_charges(), stress))
        seen.append(atoms.copy())

    cell = ase.Atoms(
        "CONHFH", random.uniform(0, 5, (6, 3)), cell=[[5.4, 0, 0], [0.5, 5.1, 0], [-0.3, 0.4, 5.7]], pbc=True
    )
    ethanol = molecule("CH3CH2OH")
    for atoms in (cell, ethanol):
        for shake in (0.02, 0.5) if mode == "exact" or atoms is cell else (0.02,):
            atoms.positions += random.normal(0, shake, atoms.positions.shape)
            look(atoms)
        atoms.positions[0] += [40.0, 0.0, 0.0] if atoms is cell else [0.1, 0.0, 0.0]
        look(atoms)
    if mode == "exact":  # of which waves depend on the cell
        cell.set_cell(cell.cell.array * 1.03, scale_atoms=True)
        look(cell)
    cell.set_cell(cell.cell.array @ np.diag([0.7, 1.0, 1.0 / 0.7]), scale_atoms=True)  # of the same volume
    look(cell)
    ethanol.info["charge"] = 1.0
    look(ethanol)
    look(molecule("CH3OCH3"))
    for expected, (energy, forces, charges, stress) in zip(potential.predict(seen), found, strict=True):
        assert energy == pytest.approx(expected.energy, abs=1e-8)
        np.testing.assert_allclose(forces, expected.forces, atol=1e-8)
        np.testing.assert_allclose(charges, expected.partial_charges, atol=1e-9)
        if stress is not None:
            np.testing.assert_allclose(stress, expected.stress, atol=1e-8)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pair_lists_last_while_atoms_move_little(potential64, dtype, monkeypatch):
    potential = potential64.astype(dtype)
    atoms = bulk("Si", cubic=True)
    atoms.calc = potential.calculator()
    atoms.get_forces()
    random, rebuild = np.random.default_rng(0), PairLists.rebuild
    made = []
    monkeypatch.setattr(PairLists, "rebuild", lambda *lists, **how: (made.append(1), rebuild(*lists, **how)))
    for _ in range(5):
        atoms.positions += random.uniform(-0.05, 0.05, atoms.positions.shape)
        atoms.get_forces()
    assert made == []
    atoms.positions[0] += 1.0
    forces, fresh = atoms.get_forces(), atoms.copy()
    atoms.positions += 0.01
    atoms.get_forces()
    assert made == [1]
    fresh.calc = potential.calculator()  # lists that are made for these positions
    np.testing.assert_allclose(forces, fresh.get_forces(), rtol=1e-5, atol=1e-4)


def test_lists_whose_making_was_interrupted_are_made_at_the_next_call(potential64, monkeypatch):
    atoms = bulk("Si", cubic=True)
    atoms.calc = potential64.calculator()
    atoms.get_forces()
    atoms.set_cell(atoms.cell.array * 1.1, scale_atoms=True)

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(pair_lists, "pair_list", interrupted)
    with pytest.raises(KeyboardInterrupt):
        atoms.get_forces()
    monkeypatch.undo()
    np.testing.assert_allclose(atoms.get_forces(), potential64(atoms).forces, atol=1e-9)


def test_what_the_calculator_is_told_later_counts(potential64, ethanol):
    other = Potential.initial(potential64.settings, seed=9, dtype="float64")
    ethanol.calc = potential64.calculator()
    ethanol.get_forces()
    ethanol.calc.potential = other
    np.testing.assert_allclose(ethanol.get_forces(), other(ethanol).forces, atol=1e-10)
    again = pickle.loads(pickle.dumps(ethanol))
    again.positions += 0.01 * np.arange(27).reshape(9, 3)
    np.testing.assert_allclose(again.get_forces(), other(again).forces, atol=1e-10)


def test_relaxation_with_ase_lowers_the_energy(potential64, ethanol):
    ethanol.calc = potential64.calculator()
    before = ethanol.get_potential_energy()
    BFGS(ethanol, logfile=None).run(fmax=0.05, steps=20)
    assert ethanol.get_potential_energy() < before
