"""Maps place structures by two torsions or by what differs most, whichever way they are turned."""

import builtins

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from so3lab.landscape import NeighbourMap, PrincipalMap, TorsionMap, maps_for, ramachandran_maps
from so3lab.minima.torsions import rotatable_dihedrals, turned
from so3lab.pretrained import random_cluster
from so3lab.structures import from_smiles, molecular_graph, read_structure


@pytest.fixture(scope="module")
def pentanes():
    atoms, rng = from_smiles("CCCCC", seed=1), np.random.default_rng(0)
    graph, torsions = molecular_graph(atoms), rotatable_dihedrals(atoms)
    made = []
    for angles in [(180, 180), (180, 62), (62, 180), (62, 62), (-62, 180), (180, -62), (-62, -62)]:
        other = atoms.copy()
        for torsion, angle in zip(torsions, angles, strict=True):
            turn = angle + rng.normal(0.0, 6.0) - other.get_dihedral(*torsion)
            other.positions = turned(other.positions, graph, torsion, turn)
        made.append(other)
    return made


def test_a_peptide_has_a_map_of_each_residue():
    for name, axes in (("ala2", [("φ (°)", "ψ (°)")]), ("ala3", [(f"φ{k} (°)", f"ψ{k} (°)") for k in "₁₂₃"])):
        atoms = read_structure(name)
        maps = ramachandran_maps(atoms)
        assert [one.axes for one in maps] == axes
        for one in maps:
            placed = one.place([atoms])[0]
            expected = [atoms.get_dihedral(*one.first), atoms.get_dihedral(*one.second)]
            np.testing.assert_allclose((placed - expected + 180) % 360 - 180, 0.0, atol=1e-6)


def test_two_torsions_make_a_map_and_more_are_told_by_components(pentanes):
    first, second = maps_for(pentanes)
    assert isinstance(first, TorsionMap)
    assert first.periodic
    assert isinstance(second, PrincipalMap)
    assert not second.periodic
    assert len(maps_for([random_cluster(7, seed=1), random_cluster(7, seed=2)])) == 1
    assert maps_for([random_cluster(7, seed=1)]) == []


@pytest.mark.parametrize("of", ["fingerprint", "positions"])
def test_components_do_not_depend_on_how_structures_are_turned(pentanes, of):
    plane = PrincipalMap(pentanes, of=of)
    placed = plane.place(pentanes)
    np.testing.assert_allclose(placed.mean(axis=0), 0.0, atol=1e-8)
    assert placed[:, 0].var() >= placed[:, 1].var()
    assert 1.0 >= plane.shares[0] >= plane.shares[1] > 0.0
    turned_ones = [one.copy() for one in pentanes]
    for one in turned_ones:
        one.positions = Rotation.random(random_state=1).apply(one.positions) + 3.0
    np.testing.assert_allclose(plane.place(turned_ones), placed, atol=1e-6)
    assert "% of the variance" in plane.axes[0]
    assert ("(Å)" in plane.axes[0]) == (of == "positions")


def test_components_of_positions_know_equal_atoms_of_clusters():
    clusters = [random_cluster(6, seed=seed) for seed in range(5)]
    plane, rng = PrincipalMap(clusters, of="positions"), np.random.default_rng(3)
    shuffled = [one[rng.permutation(6)] for one in clusters]
    np.testing.assert_allclose(plane.place(shuffled), plane.place(clusters), atol=1e-6)


def test_two_structures_differ_in_one_direction(pentanes):
    assert PrincipalMap(pentanes[:2]).shares == pytest.approx((1.0, 0.0))
    with pytest.raises(ValueError, match="at least two"):
        PrincipalMap(pentanes[:1])
    with pytest.raises(ValueError, match="'fingerprint' or 'positions'"):
        PrincipalMap(pentanes, of="energies")


def test_a_missing_umap_is_said_with_the_way_to_install_it(pentanes, monkeypatch):
    wanted = builtins.__import__

    def without_umap(name, *rest):
        if name == "umap":
            raise ImportError(name)
        return wanted(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_umap)
    with pytest.raises(ImportError, match=r"pip install 'so3lab\[maps\]'"):
        NeighbourMap(pentanes)
