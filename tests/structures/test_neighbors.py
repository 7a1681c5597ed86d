"""Pairs equal ASE's, pair by pair, on the host and inside compiled code."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.neighborlist import neighbor_list
from structures import STRUCTURES

from so3lab.structures.neighbors import Candidates, all_pairs, bucket, complete_cell, find_pairs, pair_list


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
def test_compiled_pairs_among_candidates_equal_ase(name):
    """Candidates from a larger cutoff, with padding at their end."""
    atoms, cutoff = STRUCTURES[name](), 4.0
    cell = complete_cell(np.asarray(atoms.cell), atoms.pbc) if atoms.pbc.any() else None
    expected = ase_pairs(atoms, cutoff)
    near = pair_list(atoms.positions, cutoff + 1.0, cell, atoms.pbc)
    i, j, images = (np.pad(rows, [(0, 7)] + [(0, 0)] * (rows.ndim - 1)) for rows in near)
    candidates = Candidates(i, j, None if cell is None else images, len(near.receivers))
    with jax.enable_x64(True):
        capacity = max(len(expected) // 2, 1)
        moved = None if cell is None else jnp.asarray(images @ cell)
        find = jax.jit(find_pairs, static_argnums=(2, 3))
        found = find(jnp.asarray(atoms.positions), candidates, cutoff, capacity, moved)
    mask = np.asarray(found.mask)
    images = np.zeros((len(mask), 3), int) if found.images is None else np.asarray(found.images)
    assert not found.overflow
    pairs = (np.asarray(rows)[mask] for rows in (found.receivers, found.senders, images))
    assert both_directions(*pairs) == expected


def test_overflow_raises_the_flag_and_never_earlier():
    atoms = molecule("C6H6")
    count = len(pair_list(atoms.positions, 3.0).receivers)
    for capacity, overflow in ((count, False), (count - 1, True)):
        positions = jnp.asarray(atoms.positions, jnp.float32)
        found = find_pairs(positions, all_pairs(len(atoms)), 3.0, capacity)
        assert bool(found.overflow) is overflow


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="positions must be finite numbers in Å, atom 1 is at"):
        pair_list(np.array([[0, 0, 0], [np.nan, 0, 0]], float), 3.0)
    with pytest.raises(ValueError, match="lattice vector along every periodic direction"):
        pair_list(np.zeros((1, 3)), 3.0, np.diag([1.0, 0, 0]), np.array([True, True, False]))
    with pytest.raises(ValueError, match="linearly independent"):
        pair_list(np.zeros((1, 3)), 3.0, np.ones((3, 3)), np.array([True, True, True]))


def test_buckets_hold_and_are_few():
    sizes = {bucket(count) for count in range(1, 10_000)}
    assert all(bucket(count) >= count for count in range(1, 10_000))
    assert len(sizes) < 40
