"""Pair lists of moving atoms are complete at every step, whatever the atoms do, and come back exactly."""

import ase
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from argon import ARGON
from ase.build import bulk, molecule
from compiled_programs import programs_of
from structures import STRUCTURES

from so3lab.dynamics import Limits, Simulation, SimulationError, compiled_loop
from so3lab.dynamics.control import Control
from so3lab.engine.energy_model import precision
from so3lab.engine.pair_lists import ALL_PAIRS_UP_TO, OVERFLOW, SKIN, STALE, PairLists, pairs_at
from so3lab.network.pairwise.long_range import LongRangeNeeds
from so3lab.structures.neighbors import complete_cell, pair_list

CUTOFF = 4.0


def gas(count: int, *, periodic: bool) -> ase.Atoms:
    """Atoms about 5 Å apart."""
    random, side = np.random.default_rng(1), int(np.ceil(count ** (1 / 3)))
    sites = np.stack(np.meshgrid(*[np.arange(side)] * 3), axis=-1).reshape(-1, 3)[:count]
    positions = 5.0 * sites + random.uniform(-0.4, 0.4, size=(count, 3))
    return ase.Atoms(f"Ar{count}", positions=positions, cell=[5.0 * side] * 3, pbc=periodic)


pairs_of = jax.jit(pairs_at, static_argnums=(1, 5))


def found_at(lists: PairLists, positions: np.ndarray):
    index = jnp.zeros(len(positions), jnp.int32)
    cells = None if lists.cells is None else jnp.asarray(lists.cells)
    return pairs_of(lists.candidates, lists.spec, jnp.asarray(positions), cells, index, 1)


def distances_of(positions, i, j, images, cell) -> np.ndarray:
    return np.sort(np.linalg.norm(positions[j] - positions[i] + np.asarray(images) @ cell, axis=1))


@pytest.mark.parametrize("name", STRUCTURES)
def test_pairs_are_complete_until_an_atom_has_moved_half_the_skin(name):
    atoms = STRUCTURES[name]()
    cell = complete_cell(np.asarray(atoms.cell), atoms.pbc) if atoms.pbc.any() else np.zeros((3, 3))
    with precision("float64"):
        lists = PairLists([atoms], CUTOFF, None, "float64")
        direction = np.random.default_rng(0).normal(size=(len(atoms), 3))
        direction /= np.linalg.norm(direction, axis=1)[:, None]
        moved = atoms.positions + 0.499 * SKIN * direction
        found = found_at(lists, moved)
        if found.pair_list_flags.any():  # more pairs than at the start need more room, never a new list
            assert int(found.pair_list_flags[0]) == OVERFLOW
            lists.reallocate(OVERFLOW, atoms.positions)
            found = found_at(lists, moved)
        assert int(found.pair_list_flags[0]) == 0
    expected = pair_list(moved, CUTOFF, cell, atoms.pbc)
    mask = np.asarray(found.pairs.mask)
    images = np.zeros((len(mask), 3)) if found.pairs.images is None else np.asarray(found.pairs.images)
    receivers, senders = np.asarray(found.pairs.receivers)[mask], np.asarray(found.pairs.senders)[mask]
    # Images count from where an atom was gathered, so that distances are what can be compared.
    np.testing.assert_allclose(
        distances_of(np.asarray(found.positions), receivers, senders, images[mask], cell),
        distances_of(moved, *expected, cell),
        atol=1e-12,
    )


def test_an_atom_that_moved_too_far_raises_the_flag():
    atoms = gas(40, periodic=True)
    with precision("float64"):
        lists = PairLists([atoms], CUTOFF, None, "float64")
        atoms.positions[3, 1] += 0.501 * SKIN
        assert int(found_at(lists, atoms.positions).pair_list_flags[0]) == STALE
        lists.reallocate(STALE, atoms.positions)
        assert int(found_at(lists, atoms.positions).pair_list_flags[0]) == 0


def test_small_molecules_never_gather_again():
    lists = PairLists([molecule("C6H6")], CUTOFF, None, "float32")
    assert lists.candidates.gathered_at is None
    assert "gathered_at" not in lists.state()
    many = PairLists([gas(ALL_PAIRS_UP_TO + 1, periodic=False)], CUTOFF, None, "float32")
    assert many.candidates.gathered_at is not None


def test_lists_come_back_exactly():
    atoms = gas(60, periodic=True)
    lists = PairLists([atoms], CUTOFF, None, "float32")
    lists.reallocate(STALE | OVERFLOW, atoms.positions + 50.0)
    again = PairLists([atoms], CUTOFF, None, "float32")
    again.restore(lists.state())
    assert again.spec == lists.spec
    for one, other in zip(lists.candidates.candidates, again.candidates.candidates, strict=True):
        np.testing.assert_array_equal(one, other)
    for name in ("origins", "gathered_at"):
        one, other = (getattr(x.candidates, name) for x in (lists, again))
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("periodic", [True, False])
def test_atoms_that_travel_far_meet_whom_they_should(periodic):
    """Through many gatherings the simulation is the one whose list is gathered before every step."""
    atoms = gas(ALL_PAIRS_UP_TO + 20, periodic=periodic)
    atoms.set_velocities(np.random.default_rng(2).normal(scale=0.05, size=(len(atoms), 3)))
    one, other = (Simulation(ARGON, atoms, ensemble="nve", seed=0) for _ in range(2))
    one.control.timestep_fs = other.control.timestep_fs = 4.0
    first = one.advance(30, 10)
    assert np.abs(first.positions[-1] - atoms.positions).max() > 3 * SKIN
    for _ in range(30):
        for _ in range(10):
            other.lists.rebuild(np.asarray(other.state.positions))
            last = other.advance(1, 1)
    np.testing.assert_allclose(first.positions[-1], last.positions[0], atol=1e-7)
    np.testing.assert_allclose(first.potential_energy[-1], last.potential_energy[0], atol=1e-7)


@pytest.mark.study
def test_a_cell_under_pressure_shrinks_by_a_seventh_and_compiles_nothing():
    atoms = bulk("Ar", "fcc", a=5.35, cubic=True) * (4, 4, 4)
    control = Control(150.0, timestep_fs=4.0, thermostat_fs=20.0, barostat_fs=200.0)
    simulation = Simulation(ARGON, atoms, ensemble="npt", control=control)
    before, programs = simulation.advance(1, 1).volume[0], programs_of(compiled_loop.run_chunk)
    control.pressure_GPa = 1.0
    assert simulation.advance(20, 50).volume[-1] < 0.87 * before
    assert programs_of(compiled_loop.run_chunk) == programs


def test_a_leap_ends_the_run_with_a_sentence():
    atoms = gas(30, periodic=True)
    atoms.set_velocities(np.full((30, 3), 1e-3))
    simulation = Simulation(ARGON, atoms, ensemble="nve", limits=Limits(None, None, None))
    simulation.control.timestep_fs = 1e5
    with pytest.raises(SimulationError, match="an atom leapt by more than half the skin of the pair list at step 1"):
        simulation.advance(2, 10)


def test_waves_of_a_cell_that_was_stretched_far_come_back():
    """Waves are chosen anew where a cell has been stretched too far for them, and so for cells of the past."""
    atoms = bulk("NaCl", "rocksalt", 5.6, cubic=True)
    needs = LongRangeNeeds(None, None, 0.6)
    lists = PairLists([atoms], CUTOFF, needs, "float64", cells_change=True)
    first = len(lists.candidates.fixed.waves[0])
    for stretch in (1.075, 1.10):  # the second one is near enough to the first
        lists.rebuild(stretch * atoms.positions, np.asarray(atoms.cell)[None] * stretch)
    waves = np.asarray(lists.candidates.fixed.waves)
    again = PairLists([atoms], CUTOFF, needs, "float64", cells_change=True)
    again.restore(lists.state())
    np.testing.assert_array_equal(np.asarray(again.candidates.fixed.waves), waves)
    assert np.count_nonzero(waves.any(axis=-1)) != first
