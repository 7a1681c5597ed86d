"""The same minimum is found again, another one never, and the rule may be changed afterwards."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from scipy.spatial.transform import Rotation

from so3lab.minima import DuplicateRule, KnownMinima, distinct
from so3lab.structures import from_smiles


def moved(atoms, seed, noise=0.0):
    """The same structure, its atoms in another order, turned, shifted and shaken."""
    rng = np.random.default_rng(seed)
    other = atoms[rng.permutation(len(atoms))]
    shaken = other.positions + rng.normal(0, noise, other.positions.shape)
    other.positions = Rotation.random(random_state=seed).apply(shaken) + rng.normal(0, 5, 3)
    return other


@pytest.fixture(scope="module")
def conformers():
    """Thirty embeddings of one molecule, no two of them alike by the default rule."""
    known, found = KnownMinima(), []
    for seed in range(1, 60):
        atoms = from_smiles("CC(C)CCOCC(=O)N", seed=seed)
        if known.find(atoms, 0.0) is None:
            known.add(atoms, 0.0)
            found.append(atoms)
    return found[:30]


def test_every_copy_finds_its_original(conformers):
    known = KnownMinima()
    for atoms in conformers:
        known.add(atoms, 1.0)
    for number, atoms in enumerate(conformers):
        match = known.find(moved(atoms, seed=number, noise=0.02), 1.0005)
        assert match.number == number
        assert match.energy_difference == pytest.approx(5e-4)
        assert 0.01 < match.rmsd < 0.05


def test_cheap_bounds_dismiss_nothing_that_is_close_enough(conformers):
    """What the bound lets pass is what superposing all of them finds."""
    shaken = [moved(atoms, seed=7, noise=0.03) for atoms in conformers[:10]]
    known = KnownMinima(DuplicateRule(max_rmsd=10.0))
    known.add(conformers[0], 0.0)
    for other in shaken:
        apart = known.find(other, 0.0).rmsd
        for limit, expected in ((0.999 * apart, False), (1.001 * apart, True)):
            narrow = KnownMinima(DuplicateRule(max_rmsd=limit))
            narrow.add(conformers[0], 0.0)
            assert (narrow.find(other, 0.0) is not None) == expected


def test_energies_that_differ_too_much_make_two(conformers):
    known = KnownMinima(DuplicateRule(max_energy_difference=0.002))
    known.add(conformers[0], 0.0)
    assert known.find(conformers[0], 0.0019) is not None
    assert known.find(conformers[0], -0.0021) is None
    with pytest.raises(ValueError, match="energy"):
        known.find(conformers[0], np.nan)


def test_mirror_images_are_merged_or_kept_and_labelled(conformers):
    image = moved(conformers[0], seed=1)
    image.positions[:, 1] *= -1
    merged, kept = (KnownMinima(DuplicateRule(mirror_images=both)) for both in ("merged", "kept"))
    for known in (merged, kept):
        known.add(conformers[0], 0.0)
    assert merged.find(image, 0.0).mirrored
    assert kept.find(image, 0.0) is None
    assert kept.find_mirror_image(image, 0.0).number == 0
    assert kept.find_mirror_image(moved(conformers[0], seed=2), 0.0) is None


def test_stereoisomers_stay_two_however_wide_the_rule():
    cis, trans = (from_smiles(smiles) for smiles in ("CC(C)(C)[C@H]1CC[C@@H](O)CC1", "CC(C)(C)[C@H]1CC[C@H](O)CC1"))
    known = KnownMinima(DuplicateRule(max_energy_difference=10.0, max_rmsd=10.0))
    known.add(cis, 0.0)
    assert known.find(trans, 0.0) is None
    assert known.find(moved(cis, seed=1), 0.0).rmsd < 1e-4


def test_the_lowest_stands_for_its_group_and_the_rule_may_change(conformers):
    structures = [*conformers[:4], *(moved(atoms, seed=3) for atoms in conformers[:4])]
    energies = [0.0, 0.1, 0.2, 0.3, -0.0005, 0.1005, 0.1995, 0.3005]
    stands_for = distinct(structures, energies, DuplicateRule())
    assert stands_for.tolist() == [4, 1, 6, 3, 4, 1, 6, 3]
    narrow = distinct(structures, energies, DuplicateRule(max_energy_difference=1e-4))
    assert narrow.tolist() == list(range(8))
    assert distinct([], [], DuplicateRule()).tolist() == []


@pytest.mark.parametrize(
    "atoms", [Atoms("He"), Atoms("Ar2", [[0, 0, 0], [0, 0, 3.8]]), from_smiles("O"), from_smiles("[Na+].O")]
)
def test_small_and_odd_structures_are_known_again(atoms):
    known = KnownMinima()
    known.add(atoms, 0.0)
    assert known.find(moved(atoms, seed=2), 0.0).rmsd < 1e-4


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match="periodic"):
        KnownMinima().find(bulk("Cu"), 0.0)
    with pytest.raises(ValueError, match="finite"):
        KnownMinima().add(Atoms("He", [[np.nan, 0, 0]]), 0.0)
    for wrong in ({"max_rmsd": 0.0}, {"max_energy_difference": np.nan}, {"max_rmsd": 1e300}, {"mirror_images": "both"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            DuplicateRule(**wrong)
