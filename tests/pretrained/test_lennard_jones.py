"""The model of clusters is Lennard and Jones's wherever minima have pairs, and smooth where they have none."""

import numpy as np
import pytest
from ase import Atoms

from so3lab.engine.forces import ForceEvaluator
from so3lab.pretrained import lennard_jones, random_cluster
from so3lab.pretrained.lennard_jones import CORE


def test_two_atoms_attract_as_the_formula_says_and_repel_straight_in_the_core():
    evaluator = ForceEvaluator(lennard_jones(), [Atoms("Ar2", [[0, 0, 0], [1, 0, 0]])])

    def at(distance):
        found = evaluator(np.array([[0.0, 0.0, 0.0], [distance, 0.0, 0.0]]), None)
        return float(found.energy[0]), float(found.forces[1, 0])

    assert at(2 ** (1 / 6)) == pytest.approx((-1.0, 0.0), abs=1e-10)
    for distance in (0.9, 1.0, 1.5, 4.0):
        sixth = distance**-6
        assert at(distance) == pytest.approx((4 * (sixth**2 - sixth), 24 * (2 * sixth**2 - sixth) / distance))
    inside, outside = at(CORE - 1e-9), at(CORE + 1e-9)
    assert inside == pytest.approx(outside, rel=1e-6)
    assert at(0.3)[1] == pytest.approx(inside[1])


@pytest.mark.parametrize("size", [1, 2, 13, 60])
def test_random_clusters_have_room_and_follow_their_seed(size):
    atoms, again, other = (random_cluster(size, seed=seed) for seed in (0, 0, 1))
    distances = atoms.get_all_distances()[np.triu_indices(size, 1)]
    assert (distances > 0.94).all()
    np.testing.assert_array_equal(atoms.positions, again.positions)
    assert not np.array_equal(atoms.positions, other.positions)
    with pytest.raises(ValueError, match="size"):
        random_cluster(0)
