"""Pairs equal ASE's, pair by pair, on the host and inside compiled code."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.neighborlist import neighbor_list

from so3lab.neighbors import bucket, candidate_pairs, complete_cell, find_pairs, pair_list, wrap


def skewed_cell() -> Atoms:
    cell = [[2.1, 0.0, 0.0], [1.3, 2.4, 0.0], [-0.9, 0.7, 2.2]]
    return Atoms("NaCl", scaled_positions=[[0.1, 0.2, 0.3], [0.6, 0.9, 0.4]], cell=cell, pbc=True)


def slab() -> Atoms:
    atoms = fcc111("Al", size=(2, 2, 3), vacuum=None)
    atoms.rattle(0.1, seed=2)
    return atoms


STRUCTURES = {
    "molecule": lambda: molecule("C6H6"),
    "far molecule": lambda: Atoms("CO", positions=[[500, 500, 500], [501.1, 500, 500]]),
    "single atom": lambda: Atoms("Ar"),
    "one atom, own images": lambda: bulk("Cu"),
    "diamond": lambda: bulk("C").repeat((2, 1, 1)),
    "skewed": skewed_cell,
    "slab without third vector": slab,
    "wire": lambda: Atoms("CC", positions=[[0, 0, 0], [1, 1, 0]], cell=[2.5, 0, 0], pbc=[True, False, False]),
    "outside its cell": lambda: Atoms("CO", positions=[[-7, 3, 11], [1, 1, 1]], cell=[4, 5, 6], pbc=True),
}


def both_directions(i, j, images) -> list[tuple[int, ...]]:
    forward = np.column_stack([i, j, images])
    backward = np.column_stack([j, i, -np.asarray(images)])
    return sorted(map(tuple, np.concatenate([forward, backward]).tolist()))


def ase_pairs(atoms: Atoms, cutoff: float) -> list[tuple[int, ...]]:
    atoms = atoms.copy()
    if atoms.pbc.any():
        atoms.cell = complete_cell(np.asarray(atoms.cell), atoms.pbc)
    i, j, images = neighbor_list("ijS", atoms, cutoff)
    return sorted(map(tuple, np.column_stack([i, j, images]).tolist()))


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("cutoff", [2.0, 5.0])
def test_host_pairs_equal_ase(name, cutoff):
    atoms = STRUCTURES[name]()
    found = pair_list(atoms.positions, cutoff, np.asarray(atoms.cell), atoms.pbc)
    assert both_directions(*found) == ase_pairs(atoms, cutoff)


@pytest.mark.parametrize("name", STRUCTURES)
def test_compiled_pairs_equal_ase(name):
    atoms, cutoff = STRUCTURES[name](), 4.0
    cell = complete_cell(np.asarray(atoms.cell), atoms.pbc) if atoms.pbc.any() else None
    candidates = candidate_pairs(len(atoms), cutoff, cell, atoms.pbc)
    with jax.enable_x64(True):
        positions = jnp.asarray(atoms.positions)
        if cell is not None:
            positions = wrap(positions, jnp.asarray(cell), jnp.asarray(atoms.pbc))
            atoms.positions = np.asarray(positions)
        expected = ase_pairs(atoms, cutoff)
        room = max(len(expected) // 2, 1)
        box = None if cell is None else jnp.asarray(cell)
        found = jax.jit(find_pairs, static_argnums=(2, 3))(positions, candidates, cutoff, room, box)
    mask = np.asarray(found.mask)
    images = np.zeros((room, 3), int) if found.images is None else np.asarray(found.images)
    assert not found.overflow
    assert (
        both_directions(
            np.asarray(found.receivers)[mask], np.asarray(found.senders)[mask], images[: len(mask)][mask]
        )
        == expected
    )


def test_overflow_raises_the_flag_and_never_earlier():
    atoms = molecule("C6H6")
    count = len(pair_list(atoms.positions, 3.0).receivers)
    candidates = candidate_pairs(len(atoms), 3.0)
    for room, overflow in ((count, False), (count - 1, True)):
        found = find_pairs(jnp.asarray(atoms.positions, jnp.float32), candidates, 3.0, room)
        assert bool(found.overflow) is overflow


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="positions must be finite, atom 1 is at"):
        pair_list(np.array([[0, 0, 0], [np.nan, 0, 0]], float), 3.0)
    with pytest.raises(ValueError, match="lattice vector along every periodic direction"):
        pair_list(np.zeros((1, 3)), 3.0, np.diag([1.0, 0, 0]), np.array([True, True, False]))
    with pytest.raises(ValueError, match="linearly independent"):
        pair_list(np.zeros((1, 3)), 3.0, np.ones((3, 3)), np.array([True, True, True]))


def test_buckets_hold_and_are_few():
    sizes = {bucket(count) for count in range(1, 10_000)}
    assert all(bucket(count) >= count for count in range(1, 10_000))
    assert len(sizes) < 40
