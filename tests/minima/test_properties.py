"""What is said of minima in numbers, and why two of them are two."""

import numpy as np
import pytest
from mmff import relax_by_mmff

from so3lab import units
from so3lab.minima import DuplicateRule, Search, compare, merge, properties
from so3lab.minima.accounts import Minimum
from so3lab.pretrained import lennard_jones, random_cluster
from so3lab.structures import from_smiles, read_structure

MODEL = lennard_jones()


@pytest.fixture(scope="module")
def pentane():
    """Its minima, mirror images kept."""
    rule = DuplicateRule(mirror_images="kept")
    search = Search(
        MODEL, from_smiles("CCCCC"), proposals=["torsions"], rule=rule, relax=relax_by_mmff("CCCCC"), round_size=10
    )
    for _ in search.run(proposals=100):
        pass
    return search.minima


def test_a_row_says_energy_shape_and_torsions(pentane):
    table = properties(pentane)
    assert table["number"].tolist() == list(range(len(pentane)))
    lowest = min(one.energy for one in pentane)
    np.testing.assert_allclose(
        table["above_lowest_kcal_mol"], [(one.energy - lowest) / units.kcal_per_mol for one in pentane]
    )
    torsions = [name for name in table.columns if name.startswith("torsion ")]
    assert len(torsions) == 2
    stretched = table.loc[table["above_lowest_kcal_mol"].idxmin()]
    np.testing.assert_allclose(np.abs(stretched[torsions].to_numpy(float)), 180.0, atol=3.0)
    assert table["radius_of_gyration_A"].idxmax() == stretched.name


def test_a_peptide_has_phi_and_psi_and_its_other_torsions():
    atoms = read_structure("ala2")
    table = properties([Minimum(0, atoms, -1.0, "start", None)])
    assert [name for name in table.columns if name.endswith("_deg")][:2] == ["phi_deg", "psi_deg"]
    assert len({*table.columns}) == len(table.columns)


def test_nothing_is_said_of_torsions_in_another_order_of_atoms(pentane):
    other = pentane[0].atoms[::-1]
    table = properties([pentane[0], Minimum(1, other, 0.0, "given", None)])
    torsions = [name for name in table.columns if name.startswith("torsion ")]
    assert table.loc[1, torsions].isna().all()
    assert table["visits"].tolist() == [pentane[0].visits, 1]


def test_two_are_two_by_the_numbers_of_the_rule(pentane):
    by_energy = sorted(pentane, key=lambda one: one.energy)
    far = compare(by_energy[0], by_energy[-1])
    assert not far.same
    assert far.energy_difference == pytest.approx(by_energy[-1].energy - by_energy[0].energy)
    assert f"Minima {by_energy[0].number} and {by_energy[-1].number} are two: energies differ by" in far.why
    assert "Å, more than 0.125 Å" in far.why
    assert far.torsions["difference_deg"].abs().max() > 60
    wide = compare(by_energy[0], by_energy[-1], DuplicateRule(10.0, 10.0))
    assert wide.same
    assert "are one by this rule" in wide.why


def test_mirror_images_differ_only_where_they_are_kept_apart(pentane):
    image = next(one for one in pentane if one.mirror_image_of is not None)
    original = pentane[image.mirror_image_of]
    merged = compare(original, image, DuplicateRule(mirror_images="merged"))
    kept = compare(original, image, DuplicateRule(mirror_images="kept"))
    assert merged.same
    assert merged.mirrored
    assert merged.torsions["difference_deg"].abs().max() < 3
    assert not kept.same
    assert kept.rmsd > kept.rule.max_rmsd
    assert kept.torsions["difference_deg"].abs().max() > 60


def test_clusters_are_compared_whatever_the_numbers_of_their_atoms():
    atoms = random_cluster(7)
    other = atoms[[3, 1, 6, 0, 5, 2, 4]]
    other.rotate(40, "y")
    here = Minimum(0, atoms, -1.0, "start", None)
    assert compare(here, Minimum(1, other, -1.0, "cluster", None)).rmsd < 1e-6
    assert "different compounds" in compare(here, Minimum(1, random_cluster(8), -1.0, "cluster", None)).why


def test_another_rule_merges_what_was_kept_apart(pentane):
    found = merge(pentane, DuplicateRule(mirror_images="merged"))
    assert len(pentane) == 7
    assert len(found) == 4
    assert [one.number for one in found] == [0, 1, 2, 3]
    assert sum(one.visits for one in found) == sum(one.visits for one in pentane)
    assert np.all(np.diff([one.energy for one in found]) >= 0)
