"""Matrices, links and per-atom sums say what the table says; signs stay where there is one channel."""

import numpy as np
import pytest
from lennard_jones import cluster_in_reduced_units

from so3lab.attention import (
    Channel,
    attention_links,
    attention_matrix,
    attention_received,
    fragments,
    grouped_matrix,
    look_inside,
    nearest_distances,
    table_of,
)

ONE = Channel(2, "features", 1)


@pytest.fixture(scope="module")
def summed(inside):
    """Sizes of all weights, listeners in rows."""
    table, matrix = table_of(inside), np.zeros((9, 9))
    np.add.at(matrix, (table["receiver"], table["sender"]), table["weight"].abs())
    return matrix


def test_a_channel_keeps_its_signs_and_sums_are_of_sizes(inside, summed):
    table = table_of(inside)
    one = table[(table["layer"] == 2) & (table["kind"] == "features") & (table["head_or_degree"] == 1)]
    matrix = attention_matrix(inside, ONE)
    np.testing.assert_allclose(matrix[one["receiver"], one["sender"]], one["weight"])
    assert matrix.min() < 0 < matrix.max()
    np.testing.assert_allclose(attention_matrix(inside), summed, rtol=1e-12)
    parts = attention_matrix(inside, Channel(kind="features")) + attention_matrix(inside, Channel(kind="euclidean"))
    np.testing.assert_allclose(parts, summed, rtol=1e-12)
    layers = sum(attention_matrix(inside, Channel(layer)) for layer in (1, 2))
    np.testing.assert_allclose(layers, summed, rtol=1e-12)


def test_links_are_the_strongest_pairs_both_ways(inside, summed):
    both = np.triu(summed + summed.T)
    pairs, weights = attention_links(inside, most=5)
    assert (pairs[:, 0] < pairs[:, 1]).all()
    np.testing.assert_allclose(weights, np.sort(both.ravel())[::-1][:5], rtol=1e-12)
    np.testing.assert_allclose(both[pairs[:, 0], pairs[:, 1]], weights, rtol=1e-12)
    matrix = attention_matrix(inside, ONE)
    pairs, weights = attention_links(inside, ONE, most=10)
    assert (np.diff(np.abs(weights)) <= 0).all()
    np.testing.assert_allclose(weights, (matrix + matrix.T)[pairs[:, 0], pairs[:, 1]])


def test_atoms_are_heard_as_often_as_the_table_says(inside, summed):
    np.testing.assert_allclose(attention_received(inside), summed.sum(axis=0), rtol=1e-12)


def test_fragments_hear_what_their_atoms_hear(inside, structure, summed):
    groups = fragments(structure)
    found = grouped_matrix(attention_matrix(inside), groups)
    assert found.shape == (3, 3)
    np.testing.assert_allclose(found[0, 2], summed[np.ix_(groups == 0, groups == 2)].sum())
    with pytest.raises(ValueError, match="fragments must be 9 numbers, one per atom, got 2"):
        grouped_matrix(attention_matrix(inside), groups[:2])


def test_nothing_is_heard_beyond_the_cutoff(inside, structure):
    distances = structure.get_all_distances()
    far = distances >= inside.settings.cutoff
    assert (attention_matrix(inside)[far] == 0).all()
    found = nearest_distances(inside)
    np.testing.assert_array_equal(np.isinf(found), far | np.eye(9, dtype=bool))
    np.testing.assert_allclose(found[np.isfinite(found)], distances[np.isfinite(found)])


def test_a_model_without_attention_is_refused(structure):
    with pytest.raises(TypeError, match="potential must be a SO3krates network, which alone has attention"):
        look_inside(cluster_in_reduced_units(), structure)
