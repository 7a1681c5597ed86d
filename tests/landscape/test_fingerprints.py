"""Fingerprints are the same however a structure is turned and numbered, and differ where conformations do."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from scipy.spatial.transform import Rotation

from so3lab.landscape import Fingerprints, distances_between, families
from so3lab.landscape.fingerprints import has_hand
from so3lab.minima.torsions import rotatable_dihedrals, turned
from so3lab.pretrained import random_cluster
from so3lab.structures import from_smiles, molecular_graph, read_structure

SMILES = ["CCCCC", "CC(C)Cc1ccccc1", "OC(=O)C1CCCCC1", "CP(C)CCN", "C#CCC(F)(F)F", "O=S(=O)(N)CC"]


def shuffled(atoms: Atoms, rng: np.random.Generator) -> Atoms:
    order = rng.permutation(len(atoms))
    turned_positions = Rotation.random(random_state=int(rng.integers(1000))).apply(atoms.positions) + rng.normal(size=3)
    return Atoms(atoms.numbers[order], turned_positions[order])


@pytest.mark.parametrize("smiles", SMILES)
def test_turns_and_numbers_change_nothing(smiles):
    atoms, rng = from_smiles(smiles, seed=3), np.random.default_rng(0)
    fingerprints = Fingerprints(atoms)
    copies = [shuffled(atoms, rng) for _ in range(4)]
    rows = fingerprints.vectors([atoms, *copies])
    np.testing.assert_allclose(rows, np.broadcast_to(rows[0], rows.shape), atol=1e-10)
    assert fingerprints.kind.unit == ("Å" if "#" in smiles else "°")  # nothing turns but a trifluoromethyl group


def test_one_turned_torsion_is_told_in_degrees():
    atoms = read_structure("ala2")
    graph, bonds = molecular_graph(atoms), Fingerprints(atoms).kind.bonds
    assert bonds == 4
    for torsion in rotatable_dihedrals(atoms):
        other = atoms.copy()
        other.positions = turned(atoms.positions, graph, torsion, 60.0)
        chord = 2 * np.sin(np.radians(30.0)) / np.sqrt(bonds)
        expected = np.degrees(2 * np.arcsin(chord / 2))
        assert distances_between([atoms, other])[0] == pytest.approx(expected, abs=1e-6)


def test_rings_are_told_by_their_torsions():
    ring = from_smiles("C1CCCCC1", seed=1)
    assert Fingerprints(ring).kind.bonds == 6
    flatter = ring.copy()
    flatter.positions[0] += 0.1 * (ring.positions[:6].mean(axis=0) - ring.positions[0])
    assert distances_between([ring, flatter])[0] > 2.0


def test_clusters_and_what_has_no_torsions_are_told_by_a_lower_bound_of_their_rmsd():
    rng = np.random.default_rng(1)
    for atoms in (random_cluster(7, seed=2), molecule("CH4"), molecule("H2O")):
        fingerprints = Fingerprints(atoms)
        assert fingerprints.kind.unit == "Å"
        other = atoms.copy()
        other.positions += rng.normal(0.0, 0.1, atoms.positions.shape)
        assert distances_between([atoms, shuffled(other, rng)])[0] > 0.0
        assert distances_between([atoms, shuffled(other, rng)]) <= distances_between([atoms, other], by="rmsd") + 1e-9
        assert distances_between([atoms, shuffled(atoms, rng)])[0] == pytest.approx(0.0, abs=1e-10)


def test_hands_are_known_from_the_graph():
    for smiles, expected in (("C[C@H](F)O", True), ("CCCCC", False), ("C1CCCCC1C", False), ("CC(O)CC", True)):
        assert has_hand(molecular_graph(from_smiles(smiles, seed=1))) is expected


def test_other_compounds_are_refused():
    with pytest.raises(ValueError, match="number 1, C2H6O"):
        Fingerprints(molecule("CH3CH2OH")).vectors([molecule("CH3CH2OH"), molecule("CH3OCH3")])


def test_many_structures_have_the_vectors_of_each():
    atoms, rng = from_smiles("CC(C)CO", seed=3), np.random.default_rng(2)
    fingerprints = Fingerprints(atoms)
    structures = [atoms, shuffled(atoms, rng)]
    for torsion in rotatable_dihedrals(atoms):
        other = atoms.copy()
        other.positions = turned(atoms.positions, fingerprints.graph, torsion, 100.0)
        structures += [other, shuffled(other, rng)]
    together = fingerprints.vectors(structures)
    alone = np.concatenate([fingerprints.vectors([one]) for one in structures])
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-12)


def test_families_follow_the_torsions_and_the_order():
    atoms = from_smiles("CCCC", seed=1)
    graph, (torsion,) = molecular_graph(atoms), rotatable_dihedrals(atoms)
    start = atoms.get_dihedral(*torsion)
    made = []
    for angle in (180.0, 62.0, 178.0, 65.0):
        other = atoms.copy()
        other.positions = turned(atoms.positions, graph, torsion, angle - start)
        made.append(other)
    for by, limit in (("fingerprint", 20.0), ("rmsd", 0.15)):
        labels = families(made, limit, by=by).tolist()
        assert labels == [0, 1, 0, 1]
        assert families(made, 1000.0 if by == "rmsd" else 179.0, by=by).tolist() == [0, 0, 0, 0]
    assert families(made[:1], 10.0).tolist() == [0]
    with pytest.raises(ValueError, match="limit must be positive"):
        families(made, 0.0)
    with pytest.raises(ValueError, match="'fingerprint' or 'rmsd'"):
        families(made, 1.0, by="energy")
