"""What graphs let a network see: layers between atoms, and pairs that see both ends."""

import ase
import numpy as np
import pytest

from so3lab.attention import cumulene, ends, layers_between, pairs_that_see_both, sees_torsion

CHAIN = ase.Atoms("C5", [[1.5 * number, 0, 0] for number in range(5)])


def test_layers_are_steps_from_neighbour_to_neighbour():
    np.testing.assert_array_equal(layers_between(CHAIN, 1.6)[0], [0, 1, 2, 3, 4])
    np.testing.assert_array_equal(layers_between(CHAIN, 3.1)[0], [0, 1, 1, 2, 2])
    apart = CHAIN + ase.Atoms("C", [[20.0, 0, 0]])
    assert (layers_between(apart, 3.1)[5, :5] == -1).all()


def test_pairs_that_see_both_ends_are_within_a_cutoff_of_each_other():
    assert pairs_that_see_both(CHAIN, [0], [4], 1.6).size == 0
    assert [2, 2] in pairs_that_see_both(CHAIN, [0], [4], 3.1).tolist(), "the middle one sees both"
    assert pairs_that_see_both(CHAIN, [0], [3], 1.6).tolist() == [[1, 2]]


@pytest.mark.parametrize(("cutoff", "longest"), [(4.5, 8), (5.0, 10)])
def test_the_edge_of_cumulenes_moves_by_two_carbons_with_half_an_angstrom(cutoff, longest):
    assert [sees_torsion(carbons, cutoff) for carbons in range(4, 13)] == [n <= longest for n in range(4, 13)]


def test_cumulenes_have_the_usual_bonds_and_planes():
    for carbons in (4, 7):
        atoms = cumulene(carbons)
        assert len(atoms) == carbons + 4
        (a, _), (c, _) = ends(atoms)
        torsion = atoms.get_dihedral(a, 2, len(atoms) - 3, c) % 180
        assert min(abs(torsion - 90 * (carbons % 2)), abs(180 - torsion - 90 * (carbons % 2))) < 1e-6
        for end, carbon in zip(ends(atoms), (2, len(atoms) - 3), strict=True):
            assert atoms.get_angle(end[0], carbon, end[1]) == pytest.approx(116.0)
            np.testing.assert_allclose(atoms.get_distances(carbon, end), 1.09)
    assert cumulene(5, 30.0).get_dihedral(0, 2, 6, 7) == pytest.approx(30.0)


def test_what_makes_no_sense_is_refused():
    for call, sentence in (
        (lambda: cumulene(1), "carbons must be at least 2, got 1"),
        (lambda: layers_between(CHAIN, 0.0), "cutoff must be positive"),
        (lambda: pairs_that_see_both(CHAIN, [], [4], 3.0), "one must be atoms 0 to 4"),
        (lambda: pairs_that_see_both(CHAIN, [0], [5], 3.0), "other must be atoms 0 to 4"),
    ):
        with pytest.raises(ValueError, match=sentence):
            call()
