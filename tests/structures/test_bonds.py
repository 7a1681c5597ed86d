"""Which of many structures still have the bonds of the first?"""

import importlib

import numpy as np
import pytest
from ase.build import molecule

from so3lab.pretrained import random_cluster
from so3lab.structures import molecular_graph, read_structure
from so3lab.structures.bonds import keep_bonds


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
