"""Clusters and molecules whose minima are known, with the potentials and the minimiser that people use."""

import numpy as np
import pytest
from mmff import relax_by_mmff

import so3lab
from so3lab import units
from so3lab.minima import DuplicateRule, Search
from so3lab.pretrained import lennard_jones, random_cluster
from so3lab.structures import from_smiles, read_structure

pytestmark = pytest.mark.study


def lj(size, seed):
    return Search(lennard_jones(), random_cluster(size, seed=seed), seed=seed, max_force=1e-4)


def energies(search, **budget):
    for _ in search.run(**budget):
        pass
    return sorted(one.energy for one in search.minima)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_seven_atoms_have_four_minima(seed):
    """J. P. K. Doye and D. J. Wales, J. Chem. Phys. 116, 3777 (2002)."""
    known = [-16.505384, -15.935043, -15.593211, -15.533060]
    np.testing.assert_allclose(energies(lj(7, seed), proposals=200), known, atol=1e-6)


def test_eight_atoms_have_eight_minima():
    found = energies(lj(8, 1), proposals=800)
    assert len(found) == 8
    assert found[0] == pytest.approx(-19.821489, abs=1e-6)


def test_thirteen_atoms_end_as_an_icosahedron():
    """D. J. Wales and J. P. K. Doye, J. Phys. Chem. A 101, 5111 (1997)."""
    assert energies(lj(13, 0), proposals=300)[0] == pytest.approx(-44.326801, abs=1e-6)


def test_ethanol_is_trans_or_gauche_of_two_hands():
    potential, atoms = so3lab.load("ethanol", "float64"), read_structure("ethanol")
    for mirror_images, count in (("merged", 2), ("kept", 3)):
        rule = DuplicateRule(mirror_images=mirror_images)
        search = Search(potential, atoms, proposals=["torsions"], rule=rule, max_force=1e-4, max_gain_meV=1e-4)
        assert len(energies(search, proposals=64)) == count
    (image,) = (one for one in search.minima if one.mirror_image_of is not None)
    assert image.energy == pytest.approx(search.minima[image.mirror_image_of].energy, abs=1e-6)


def test_three_seeds_agree_on_the_low_minima_of_a_chain():
    """All minima of pentanol within 1.5 kcal/mol of the lowest: the same ones, whichever seed looked for them."""
    found = []
    for seed in (0, 1, 2):
        search = Search(
            lennard_jones(), from_smiles("CCCCCO"), proposals=["torsions"], relax=relax_by_mmff("CCCCCO"), seed=seed
        )
        every = np.array(energies(search, saturation=0.95))
        found.append(every[every <= every[0] + 1.5 * units.kcal_per_mol])
    assert len(found[0]) >= 5
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], atol=1e-4)
