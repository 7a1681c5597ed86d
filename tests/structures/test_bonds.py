"""Which of many structures still have the bonds of the first, and how stretched are they?"""

import importlib

import ase
import numpy as np
import pytest
from ase.build import molecule
from ase.data import covalent_radii

from so3lab.pretrained import random_cluster
from so3lab.structures import molecular_graph, read_structure
from so3lab.structures.bonds import bonds, keep_bonds, stretched_bonds


@pytest.mark.parametrize("atoms", [read_structure("ala2"), molecule("CH3CH2OH"), random_cluster(5, seed=1)])
@pytest.mark.parametrize("block", [4_000_000, 300])
def test_many_structures_keep_bonds_where_each_does(atoms, block, monkeypatch):
    monkeypatch.setattr(importlib.import_module("so3lab.structures.bonds"), "_BLOCK", block)  # distances at a time
    rng, graph = np.random.default_rng(0), molecular_graph(atoms)
    shifts = rng.normal(0.0, np.linspace(0.0, 0.4, 40)[:, None, None], (40, len(atoms), 3))
    expected = []
    for shift in shifts:
        other = atoms.copy()
        other.positions += shift
        expected.append(molecular_graph(other).key == graph.key)
    assert keep_bonds(graph.numbers, graph.bonds, atoms.positions + shifts).tolist() == expected
    assert expected[0]
    assert all(expected) == (not len(graph.bonds)), "some break, where there are any"


def test_stretches_tell_loose_bonds_from_those_of_a_tighter_rule():
    atoms = read_structure("ala2")
    found, stretches = stretched_bonds(atoms, 1.8)
    assert found[stretches < 1.15].tolist() == bonds(atoms).tolist()
    assert 1.15 < stretches.max() < 1.8, "the looser rule finds more"


def test_of_a_bond_with_several_images_the_shortest_counts():
    carbon = ase.Atoms("C2", [[0.0, 0.0, 0.0], [1.4, 0.0, 0.0]], cell=[2.9, 12.0, 12.0], pbc=True)
    found, stretches = stretched_bonds(carbon)
    assert found.tolist() == [[0, 1]]
    np.testing.assert_allclose(stretches, 1.4 / (2 * covalent_radii[6]))
