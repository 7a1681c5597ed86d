"""Splits are disjoint, the same everywhere, and keep together what belongs together."""

import numpy as np
import pytest
from ase.build import molecule

from so3lab import datasets
from so3lab.datasets import Dataset


def uniform(frames=20, **fields):
    """Waters at rest, each in another place."""
    water = molecule("H2O")
    rows = [water.positions + 0.01 * number for number in range(frames)]
    return Dataset("test", [water.numbers] * frames, rows, np.zeros(frames), [np.zeros((3, 3))] * frames, **fields)


def test_split_parts_are_disjoint_and_cover_the_set():
    dataset = uniform(100)
    parts = datasets.split(dataset, train=60, valid=15)
    assert [len(part) for part in parts] == [60, 15, 25]
    assert sorted(np.concatenate(parts)) == list(range(100))


def test_split_is_the_same_everywhere_and_differs_by_seed():
    dataset = uniform(20)
    golden = datasets.split(dataset, train=5, valid=3, test=4, seed=0)
    assert golden.train.tolist() == [11, 3, 13, 2, 15]
    assert golden.valid.tolist() == [14, 4, 10]
    assert golden.test.tolist() == [12, 16, 5, 9]
    other = datasets.split(dataset, train=5, valid=3, test=4, seed=1)
    assert other.train.tolist() != golden.train.tolist()


def test_more_training_frames_leave_the_other_parts_alone():
    dataset = uniform(100)
    small = datasets.split(dataset, train=10, valid=10, test=30, seed=4)
    large = datasets.split(dataset, train=50, valid=10, test=30, seed=4)
    np.testing.assert_array_equal(large.train[:10], small.train)
    np.testing.assert_array_equal(large.valid, small.valid)
    np.testing.assert_array_equal(large.test, small.test)


def with_copies(of):
    """Waters of which each is the copy of the one with this number."""
    water = molecule("H2O")
    rows = [water.positions + 0.01 * number for number in of]
    frames = len(rows)
    return Dataset("test", [water.numbers] * frames, rows, np.zeros(frames), [np.zeros((3, 3))] * frames)


@pytest.mark.parametrize("groups", [None, 2])
def test_copies_of_a_frame_stay_in_one_part(groups):
    of = np.arange(60) // 3
    parts = datasets.split(with_copies(of), 30, 9, seed=2, groups=groups)
    owners = [set(of[part]) for part in parts]
    assert all(owners)
    assert sum(len(owner) for owner in owners) == len(set.union(*owners))


def test_copies_join_the_groups_that_they_are_in():
    of = np.arange(40)
    of[-1] = 0  # the last frame is the first again, so that two groups become one
    groups = np.arange(40) // 4
    for seed in range(5):
        parts = datasets.split(with_copies(of), 16, 8, seed=seed, groups=groups)
        where = {int(frame): part for part, frames in enumerate(parts) for frame in frames}
        joined = {where[frame] for frame in (*range(4), *range(36, 40)) if frame in where}
        assert len(joined) <= 1


def test_nothing_to_test_on_is_refused():
    with pytest.raises(ValueError, match=r"do not fit into the 1 groups of 'test', only 1 of whose 60 frames differ"):
        datasets.split(with_copies(np.zeros(60)), 40, 10)


@pytest.mark.parametrize("test", [None, 20])
@pytest.mark.parametrize("groups", [10, "origin", "array"])
def test_groups_stay_together(groups, test):
    origin = np.repeat(np.arange(12), [1, 20, 3, 10, 10, 6, 10, 5, 5, 10, 10, 10])
    dataset = uniform(100, labels={"origin": origin})
    parts = datasets.split(dataset, 30, 10, test, seed=3, groups=origin if groups == "array" else groups)
    group_of = np.arange(100) // 10 if groups == 10 else origin
    assert len(parts.train) == 30
    assert len(parts.valid) == 10
    assert len(parts.test) == test if test else len(parts.test) > 0
    owners = [set(group_of[part]) for part in parts]
    assert sum(len(owner) for owner in owners) == len(set.union(*owners))
    assert len(set(np.concatenate(parts))) == sum(map(len, parts))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"train": 15, "valid": 4, "test": 2}, r"15 \+ 4 \+ 2 = 21 frames, but 'test' has 20"),
        ({"train": -1}, "train must be a whole number of frames, 0 or more, got -1"),
        ({"train": 5, "groups": "trajectory"}, r"groups must be one of the labels \[\], got 'trajectory'"),
        ({"train": 5, "groups": 0}, "at least 1 frame"),
        ({"train": 5, "groups": np.arange(3)}, r"groups must have shape \(20,\)"),
        ({"train": 10, "valid": 5, "groups": 20}, "do not fit into the 1 groups"),
    ],
)
def test_impossible_splits_are_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        datasets.split(uniform(20), **arguments)
