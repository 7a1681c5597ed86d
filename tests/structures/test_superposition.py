"""Structures are the same however they are turned and numbered, and never because another compound looks similar."""

import numpy as np
import pytest
from ase import Atoms
from ase.cluster import Icosahedron
from scipy.spatial.transform import Rotation

from so3lab.structures import Matching, equivalent_atoms, from_smiles, molecular_graph
from so3lab.structures.assignment import superpose_unbonded

SYMMETRIC = {
    "trimethylphosphine": "CP(C)C",
    "phenyl and tert-butyl": "c1ccccc1CC(C)(C)C",
    "nine methyls": "CC(C)(C)P(C(C)(C)C)C(C)(C)C",
    "twelve methyls": "C[Si](C)(C)[Si]([Si](C)(C)C)([Si](C)(C)C)[Si](C)(C)C",
    "several molecules": "O.O.CCO",
    "linear": "N#CC#N",
    "two atoms": "[H][H]",
}


def moved(atoms, seed):
    """The same structure, its atoms in another order, turned and shifted."""
    rng = np.random.default_rng(seed)
    other = atoms[rng.permutation(len(atoms))]
    other.positions = Rotation.random(random_state=seed).apply(other.positions) + rng.normal(0, 5, 3)
    return other


def distance(one, other, **options):
    matching = Matching(molecular_graph(one), one.positions, molecular_graph(other))
    return matching.superpose(one.positions, other.positions[None], **options)


@pytest.mark.parametrize("smiles", SYMMETRIC.values(), ids=SYMMETRIC)
def test_numbers_and_turns_do_not_matter(smiles):
    atoms = from_smiles(smiles, seed=1)
    other = moved(atoms, seed=3)
    found = distance(atoms, other, limit=0.125)
    assert found.rmsd[0] < 1e-4
    partners = found.partners[0]
    assert sorted(partners) == list(range(len(atoms)))
    np.testing.assert_array_equal(atoms.numbers, other.numbers[partners])
    np.testing.assert_allclose(atoms.get_all_distances(), other[partners].get_all_distances(), atol=1e-3)


def test_exchanged_methyls_do_not_make_a_rotamer():
    """As numbered the two are 1.6 Å apart; only the numbers differ."""
    atoms = from_smiles("CP(C)C")
    (carbons,) = (group for group in equivalent_atoms(atoms) if len(group) == 3)
    hydrogens = [[n for n in molecular_graph(atoms).neighbours(c) if atoms.numbers[n] == 1] for c in carbons]
    one, two = ([carbon, *near] for carbon, near in zip(carbons[:2], hydrogens[:2], strict=True))
    order = np.arange(len(atoms))
    order[one + two] = two + one
    assert np.linalg.norm(atoms.positions - atoms.positions[order]) > 1.0
    assert distance(atoms, atoms[order]).rmsd[0] < 0.02


def test_the_superposition_of_a_known_displacement_is_exact():
    atoms = from_smiles("CC(C)(C)CO", seed=2)
    rng = np.random.default_rng(5)
    shaken = atoms.copy()
    shaken.positions += rng.normal(0, 0.03, shaken.positions.shape)
    rotation, _ = Rotation.align_vectors(
        atoms.positions - atoms.positions.mean(axis=0), shaken.positions - shaken.positions.mean(axis=0)
    )
    placed = rotation.apply(shaken.positions - shaken.positions.mean(axis=0))
    expected = np.sqrt(np.mean(np.sum((placed - atoms.positions + atoms.positions.mean(axis=0)) ** 2, axis=1)))
    found = distance(atoms, moved(shaken, seed=8), mirror_images=False)
    assert found.rmsd[0] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CC(C)(C)[C@H]1CC[C@@H](O)CC1", "CC(C)(C)[C@H]1CC[C@H](O)CC1"),
        ("C/C=C/C", "C/C=C\\C"),
        ("C[C@H](O)[C@H](O)C", "C[C@H](O)[C@@H](O)C"),
        ("CCO", "COC"),
        ("CCCC", "CC(C)C"),
    ],
)
def test_another_compound_is_never_the_same(one, other):
    """However large the limit: RMSDs of 0.3 Å between diastereomers exist."""
    found = distance(from_smiles(one), from_smiles(other))
    assert np.isinf(found.rmsd[0])


def test_mirror_images_are_told_apart_when_asked():
    atoms = from_smiles("OCCO", seed=1)
    mirrored = moved(atoms, seed=2)
    mirrored.positions[:, 0] *= -1
    merged, kept = (distance(atoms, mirrored, limit=0.125, mirror_images=both) for both in (True, False))
    assert merged.rmsd[0] < 1e-4
    assert merged.mirrored[0]
    assert np.isinf(kept.rmsd[0])
    enantiomers = [from_smiles(smiles) for smiles in ("C[C@H](O)F", "C[C@@H](O)F")]
    assert np.isinf(distance(*enantiomers, mirror_images=False).rmsd[0])


def test_beyond_the_limit_nothing_is_said_and_below_it_everything():
    one, *others = (from_smiles("CCCCCO", seed=seed) for seed in range(6))
    apart, other = max(((distance(one, other).rmsd[0], other) for other in others), key=lambda pair: pair[0])
    assert 0.2 < apart < np.inf
    assert np.isinf(distance(one, other, limit=0.9 * apart).rmsd[0])
    assert distance(one, other, limit=1.1 * apart).rmsd[0] == pytest.approx(apart)


def test_equivalent_atoms_are_those_of_the_graph_not_of_the_element():
    atoms = from_smiles("CCO")
    assert sorted(map(len, equivalent_atoms(atoms))) == [1, 1, 1, 1, 2, 3]
    with pytest.raises(ValueError, match="space group"):
        molecular_graph(Atoms("Cu", cell=[3, 3, 3], pbc=True))


@pytest.mark.parametrize("handed", [False, True])
def test_clusters_are_the_same_however_turned_and_numbered(handed):
    atoms = Icosahedron("Ar", 2) if not handed else Atoms("Ar6Ne", np.random.default_rng(1).normal(0, 2, (7, 3)))
    other = moved(atoms, seed=4)
    other.positions[:, 2] *= -1
    options = {"limit": 0.1, "numbers_of_others": other.numbers}
    found = superpose_unbonded(atoms.numbers, atoms.positions, other.positions[None], **options)
    assert found.rmsd[0] < 1e-6
    assert found.mirrored[0] == handed
    kept = superpose_unbonded(atoms.numbers, atoms.positions, other.positions[None], mirror_images=False, **options)
    assert np.isinf(kept.rmsd[0]) == handed


def test_other_clusters_are_others():
    rng = np.random.default_rng(2)
    one, other = rng.normal(0, 2, (2, 8, 3))
    numbers = np.full(8, 18)
    assert np.isinf(superpose_unbonded(numbers, one, other[None], limit=0.1).rmsd[0])
    assert superpose_unbonded(numbers[:1], one[:1], other[None, :1], limit=0.1).rmsd[0] == 0.0
    line = np.array([[0.0, 0, 0], [1, 0, 0], [3, 0, 0]])
    assert superpose_unbonded(numbers[:3], line, line[None, ::-1, [1, 0, 2]], limit=0.1).rmsd[0] < 1e-9
