"""Proposals are other conformers of the same compound, and walkers do as they were told."""

import numpy as np
import pytest
from ase.cluster import Icosahedron

from so3lab.minima import Account, Minimum
from so3lab.minima.proposals import (
    ClusterMoves,
    Embeddings,
    Given,
    TorsionMoves,
    check_electrons,
    proposers_for,
    renumbered,
)
from so3lab.minima.proposals.walkers import Walkers
from so3lab.minima.torsions import rotatable_dihedrals, turned
from so3lab.pretrained import lennard_jones
from so3lab.structures import bonds, from_smiles, molecular_graph


def minimum(atoms, number=0, energy=0.0, visits=1):
    return Minimum(number, atoms, energy, "start", None, visits)


@pytest.mark.parametrize(
    ("smiles", "turnable"),
    [("CC", 0), ("CCO", 1), ("CCCC", 1), ("C1CCCCC1", 0), ("C=C", 0), ("CC(=O)NC", 1), ("CC#CC", 0), ("OO", 1)],
)
def test_bonds_turn_where_turning_makes_another_conformer(smiles, turnable):
    assert len(rotatable_dihedrals(from_smiles(smiles))) == turnable


def test_turning_changes_one_dihedral_by_the_angle_and_no_bond():
    atoms = from_smiles("CCCCO", seed=2)
    graph = molecular_graph(atoms)
    for dihedral in rotatable_dihedrals(atoms, graph):
        other = atoms.copy()
        other.positions = turned(atoms.positions, graph, dihedral, 70.0)
        change = (other.get_dihedral(*dihedral) - atoms.get_dihedral(*dihedral)) % 360
        assert min(abs(change - 70), abs(change - 290)) < 1e-6
        for i, j in bonds(atoms):
            assert other.get_distance(i, j) == pytest.approx(atoms.get_distance(i, j))


def test_torsion_moves_keep_the_compound():
    atoms = from_smiles("CC(=O)NC(C)C(=O)NC")
    proposals = TorsionMoves(atoms, walkers=4).propose([minimum(atoms)], 12, np.random.default_rng(0))
    assert [one.walker for one in proposals] == [0, 1, 2, 3] * 3
    for one in proposals:
        assert molecular_graph(one.atoms).key == molecular_graph(atoms).key
        assert one.parent == 0
    with pytest.raises(ValueError, match="turn"):
        TorsionMoves(from_smiles("C"))


def test_moves_of_clusters_leave_no_atoms_upon_each_other():
    atoms = Icosahedron("Ar", 2, latticeconstant=5.4)
    proposals = ClusterMoves().propose([minimum(atoms)], 20, np.random.default_rng(1))
    for one in proposals:
        distances = one.atoms.get_all_distances()[np.triu_indices(len(atoms), 1)]
        assert distances.min() > 1.5
        assert not np.allclose(one.atoms.positions, atoms.positions)


def test_walkers_climb_no_more_than_their_window_which_follows_their_success():
    atoms = from_smiles("O")
    minima = [minimum(atoms), minimum(atoms, 1, energy=0.05), minimum(atoms, 2, energy=5.0)]
    walkers = Walkers(2, window=0.1)

    def account(walker, found):
        return Account(0, "torsions", 0, walker, "duplicate", atoms, 0.0, minimum=found)

    walkers.learn(minima, [account(0, 1), account(1, 2), account(1, 0)])
    assert walkers.at == [1, 0]
    assert walkers.windows[0] < 0.1 < walkers.windows[1]
    other = Walkers(2, window=1.0)
    other.restore(walkers.state())
    assert (other.at, other.windows) == (walkers.at, walkers.windows)


def test_structures_of_users_get_the_order_of_the_search():
    atoms = from_smiles("CC(O)CN", seed=1)
    other = from_smiles("NCC(C)O", seed=4)
    given = Given([other, from_smiles("CCCO")])
    first, second = given.propose([minimum(atoms)], 5, np.random.default_rng(0))
    assert molecular_graph(first.atoms).key == molecular_graph(atoms).key
    np.testing.assert_allclose(
        np.sort(first.atoms.get_all_distances().ravel()), np.sort(other.get_all_distances().ravel())
    )
    assert len(second.atoms) == 12  # another compound stays as it is
    assert given.propose([minimum(atoms)], 5, np.random.default_rng(0)) == []


@pytest.mark.parametrize(
    ("info", "said"),
    [
        ({"charge": -1}, r"structure 1 says a total charge of -1 e \(charge\), .* has a total charge of \+0 e"),
        ({"multiplicity": 3}, r"structure 1 says 2 unpaired electrons \(multiplicity\), .* has 0 unpaired electrons"),
    ],
)
def test_structures_that_say_other_electrons_are_refused(info, said):
    atoms, silent, other = (from_smiles("CCO", seed=seed) for seed in (1, 2, 3))
    silent.info.clear()
    other.info = info
    with pytest.raises(ValueError, match=said):
        check_electrons([silent, other], atoms)
    check_electrons([silent, other], other)  # who says nothing gets the electrons of the search


def test_embeddings_differ_whatever_the_seed_of_the_search():
    """A generator that gave seed 0 each time would make copies."""
    atoms = from_smiles("CCCCCC")
    made = Embeddings("CCCCCC").propose([minimum(atoms)], 6, np.random.default_rng(0))
    ends = [one.atoms.get_distance(0, 5) for one in made]
    assert len(set(np.round(ends, 2))) > 2


def test_what_suits_a_structure():
    def names(atoms, **options):
        return [one.name for one in proposers_for(lennard_jones(), atoms, **options)]

    assert names(from_smiles("CCO")) == ["torsions", "hopping"]
    assert names(from_smiles("CCO"), smiles="CCO") == ["torsions", "embeddings", "hopping"]
    assert names(from_smiles("O")) == ["hopping"]
    assert names(Icosahedron("Ar", 2)) == ["cluster moves"]
    with pytest.raises(ValueError, match="some of"):
        names(from_smiles("O"), names=["magic"])
    with pytest.raises(ValueError, match="SMILES"):
        names(from_smiles("O"), names=["embeddings"])


def test_renumbering_mends_clusters_too():
    atoms = Icosahedron("Ar", 2)
    atoms.numbers[3] = 10
    other = atoms[::-1]
    np.testing.assert_array_equal(renumbered(other, atoms).numbers, atoms.numbers)
