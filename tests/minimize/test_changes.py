"""What happened to a molecule is seen, and nothing else: bonds made and broken, centres and double bonds inverted."""

import ase
import numpy as np
import pytest
from ase.build import molecule

from so3lab.minimize.changes import bonds_at_start, changed_bonds, inverted
from so3lab.structures import bonds, from_smiles


def test_a_hot_molecule_keeps_its_bonds():
    atoms = molecule("CH3CH2OH")
    before = bonds(atoms)
    hot = atoms.copy()
    hot.set_distance(0, 1, 1.2 * atoms.get_distance(0, 1), fix=1)
    np.testing.assert_array_equal(bonds_at_start(hot), before)
    assert changed_bonds(bonds_at_start(hot), atoms) == ([], [])


def test_hydrogens_that_come_near_are_not_bonded():
    near = ase.Atoms("OH2", [[0, 0, 0], [0.95, 0.385, 0], [0.95, -0.385, 0]])  # 0.77 Å: between the two tolerances
    assert bonds_at_start(near).tolist() == [[0, 1], [0, 2]]


def test_metals_change_their_neighbours_as_they_like():
    before, after = ase.Atoms("Au2", [[0, 0, 0], [2.6, 0, 0]]), ase.Atoms("Au2", [[0, 0, 0], [4.0, 0, 0]])
    assert len(bonds_at_start(before)) == 1
    assert changed_bonds(bonds_at_start(before), after) == ([], [])


def test_bonds_made_and_broken_are_named():
    atoms = molecule("CH3CH2OH")
    away = atoms.copy()
    away.positions[5] += [0, 0, 5.0]
    bond = next((i, j) for i, j in bonds(atoms).tolist() if 5 in (i, j))
    assert changed_bonds(bonds(atoms), away) == ([], [bond])
    assert changed_bonds(bonds(away), atoms) == ([bond], [])


def mirrored(atoms: ase.Atoms) -> ase.Atoms:
    other = atoms.copy()
    other.positions[:, 0] *= -1
    return other


@pytest.mark.parametrize(
    ("smiles", "centres"),
    [("C[C@H](O)F", 1), ("CC(O)C", 0), ("C[C@H]1CC[C@@H](O)CC1", 2), ("C1CCCCC1", 0), ("[C@](F)(Cl)(Br)I", 1)],
)
def test_a_mirror_image_inverts_every_centre(smiles, centres):
    atoms = from_smiles(smiles)
    found, turned = inverted(bonds(atoms), atoms.positions, mirrored(atoms))
    assert len(found) == centres
    assert turned == []
    assert inverted(bonds(atoms), atoms.positions, atoms) == ([], [])


@pytest.mark.parametrize(
    ("smiles", "middle", "turns"),
    [
        ("C/C=C/C", (1, 2), True),
        ("CC(C)=CC", (1, 3), False),
        ("CC(=O)NC", (1, 3), False),
        ("C=CC=C", (1, 2), False),
        ("C/C=N/C", (1, 2), True),
        ("CC#CC", (1, 2), False),
    ],
)
def test_double_bonds_that_turned_are_named_and_others_turn_freely(smiles, middle, turns):
    atoms = from_smiles(smiles)
    other, pairs = atoms.copy(), bonds(atoms).tolist()
    ends = [next(b if a == i else a for a, b in pairs if i in (a, b) and {a, b} != set(middle)) for i in middle]
    now = atoms.get_dihedral(ends[0], *middle, ends[1])
    other.set_dihedral(ends[0], *middle, ends[1], now + 180, indices=beyond(pairs, *middle))
    centres, turned = inverted(bonds(atoms), atoms.positions, other)
    assert centres == []
    assert turned == ([tuple(sorted(middle))] if turns else [])


def beyond(pairs: list[list[int]], near: int, far: int) -> list[int]:
    """Atoms on the far side of a bond."""
    found, ahead = {near, far}, [far]
    while ahead:
        here = ahead.pop()
        new = {b if a == here else a for a, b in pairs if here in (a, b)} - found
        found |= new
        ahead += new
    return sorted(found - {near, far})
