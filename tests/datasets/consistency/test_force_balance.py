"""Net forces, torques and forces of exactly zero: what is right is left alone, and what was held is named."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from label_remarks import remarks_on
from labelled_springs import as_dataset, springs

from so3lab import datasets
from so3lab.datasets.sanity_checks import check_units_and_geometry


def test_nothing_acts_on_the_middle_of_a_symmetric_molecule():
    """Methane that breathes; of a held atom the force lacks in the sum of all."""
    rest, scales = molecule("CH4"), np.linspace(0.9, 1.1, 12)
    positions = rest.positions * scales[:, None, None]
    forces = -30.0 * (scales - 1.0)[:, None, None] * rest.positions
    energies = -1098.0 + 15.0 * (scales - 1.0) ** 2 * (rest.positions**2).sum()
    arrays = {"numbers": rest.numbers, "positions": positions, "forces": forces, "energies": energies}
    assert remarks_on(as_dataset(**arrays)) == ()
    held = forces.copy()
    held[:, 1] = 0.0
    assert any("were probably held" in remark for remark in remarks_on(as_dataset(**arrays | {"forces": held})))


@pytest.mark.parametrize(
    "frames", [[Atoms("Cu")] * 3, [bulk("Cu", a=edge, cubic=True) for edge in (3.5, 3.6, 3.7)]], ids=["atoms", "cells"]
)
def test_forces_of_single_atoms_and_symmetric_cells_are_zero(frames):
    """Energies of separate atoms, and curves of energy over volume, whose stresses are learned from."""
    dataset = datasets.Dataset(
        "zero",
        [atoms.numbers for atoms in frames],
        [atoms.positions for atoms in frames],
        np.array([-14.0, -14.2, -14.1]),
        [np.zeros((len(atoms), 3)) for atoms in frames],
        cells=np.array([np.asarray(atoms.cell) for atoms in frames]),
        pbc=np.array([atoms.pbc for atoms in frames]),
    )
    check_units_and_geometry(dataset)
    assert not [remark for remark in remarks_on(dataset) if "force" in remark]


def test_zeros_are_no_forces_of_atoms_that_move_in_their_cell():
    frames = [bulk("Cu", a=3.6, cubic=True) for _ in range(3)]
    for seed, atoms in enumerate(frames):
        atoms.rattle(0.05, seed=seed)
    dataset = datasets.Dataset(
        "zero",
        [atoms.numbers for atoms in frames],
        [atoms.positions for atoms in frames],
        np.array([-14.0, -14.2, -14.1]),
        [np.zeros((4, 3))] * 3,
        cells=np.array([np.asarray(atoms.cell) for atoms in frames]),
        pbc=np.ones((3, 3), bool),
    )
    with pytest.raises(ValueError, match="are all zero"):
        check_units_and_geometry(dataset)


def test_forces_that_pull_or_turn_molecules_are_warned_of():
    arrays = springs()
    pulled, turned = arrays["forces"].copy(), arrays["forces"].copy()
    pulled[7] += [0.3, 0.0, 0.0]
    (remark,) = remarks_on(as_dataset(**arrays | {"forces": pulled}))
    assert "forces of 1 of 40 isolated molecules do not add up to zero (frame 7; 2.7 eV/Å in frame 7)" in remark
    turned[:, [0, 1]] = turned[:, [1, 0]]  # in another order
    assert any("isolated molecules turn them" in r for r in remarks_on(as_dataset(**arrays | {"forces": turned})))


def test_atoms_without_a_force_are_warned_of():
    arrays = springs()
    held, forgotten = arrays["forces"].copy(), arrays["forces"].copy()
    held[:, 3:6] = 0.0
    assert any("exactly zero beside others" in r and "3 of 9 atoms" in r
               for r in remarks_on(as_dataset(**arrays | {"forces": held})))  # fmt: skip
    forgotten[[4, 9]] = 0.0
    (remark,) = remarks_on(as_dataset(**arrays | {"forces": forgotten}))
    assert "forces of 2 frames are all exactly zero (frames 4 and 9)" in remark


def test_one_held_atom_of_a_large_cell_is_named_and_not_refused():
    """What it lacks is little beside the sum of all squares, and as large as any force."""
    rest, rng = bulk("Cu", cubic=True) * (6, 6, 6), np.random.default_rng(0)
    forces = rng.normal(size=(3, len(rest), 3))
    forces -= forces.mean(axis=1, keepdims=True)
    arrays = {
        "numbers": rest.numbers,
        "positions": rest.positions + 0.03 * rng.normal(size=forces.shape),
        "energies": np.array([-3200.0, -3201.0, -3199.0]),
        "cells": np.broadcast_to(np.asarray(rest.cell), (3, 3, 3)),
        "pbc": np.ones((3, 3), bool),
    }
    assert not any("exactly zero" in remark for remark in remarks_on(as_dataset(**arrays, forces=forces)))
    held = forces.copy()
    held[:, 17] = 0.0
    assert any("exactly zero beside others that are pushed, in 3 frames (frames 0, 1 and 2; "
               "1 of 864 atoms in the first: Cu17): they were probably held" in remark
               for remark in remarks_on(as_dataset(**arrays, forces=held)))  # fmt: skip


def test_a_net_force_names_the_atom_without_a_force():
    arrays = springs()
    held = arrays["forces"].copy()
    held[4, 2] = 0.0
    remarks = remarks_on(as_dataset(**arrays | {"forces": held}))
    assert any("eV/Å in frame 4, where the force on O2 is exactly zero)" in remark for remark in remarks)
    assert any("in 1 frame (frame 4; 1 of 9 atoms in the first: O2)" in remark for remark in remarks)
