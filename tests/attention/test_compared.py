"""Means over frames, curves along them, and differences between two structures."""

import numpy as np
import pandas as pd
import pytest
from ase.build import molecule

from so3lab.attention import (
    Channel,
    attention_difference,
    attention_matrix,
    attention_table,
    look_inside,
    mean_over_frames,
    pair_series,
)

ONE = Channel(1, "euclidean", 2)
KEYS = ["layer", "kind", "head_or_degree", "receiver", "sender"]


@pytest.fixture(scope="module")
def frames(structure):
    made = [structure.copy() for _ in range(3)]
    for number, atoms in enumerate(made):
        atoms.rattle(0.1, seed=number)
    return made


def test_curves_follow_pairs_through_frames(potential64, frames):
    pairs = [(0, 1), (2, 8)]
    curves = np.stack(list(pair_series(potential64, frames, pairs, ONE)))
    assert curves.shape == (3, 2)
    matrix = attention_matrix(look_inside(potential64, frames[1]), ONE)
    np.testing.assert_allclose(curves[1], [matrix[0, 1] + matrix[1, 0], matrix[2, 8] + matrix[8, 2]])
    with pytest.raises(ValueError, match="pairs must be of atoms 0 to 8"):
        next(pair_series(potential64, frames, [(0, 9)]))


def test_means_are_those_of_the_tables(potential64, frames):
    mean = mean_over_frames(potential64, frames).set_index(KEYS)
    tables = [attention_table(potential64, atoms).set_index(KEYS)["weight"] for atoms in frames]
    weights = pd.concat(tables, axis=1).fillna(0.0)
    assert len(mean) == len(weights)
    np.testing.assert_allclose(mean["weight"], weights.mean(axis=1).reindex(mean.index), atol=1e-12)
    np.testing.assert_allclose(mean["deviation"], weights.std(axis=1, ddof=0).reindex(mean.index), atol=1e-9)
    assert mean["share"].between(1 / 3, 1).all()


def test_differences_count_what_one_does_not_have_as_zero(potential64, structure, frames):
    one, other = (attention_table(potential64, atoms) for atoms in (structure, frames[2]))
    found = attention_difference(one, other[other["receiver"] != 3])
    assert len(found) == len(one.merge(other, on=KEYS, how="outer"))
    missing = found[found["receiver"] == 3]
    np.testing.assert_allclose(missing["difference"], -missing["weight_one"])
    assert missing["distance_other"].isna().all()
    assert attention_difference(one, one)["difference"].abs().max() == 0
    np.testing.assert_allclose(
        attention_difference(other, one)["difference"].sum(), one["weight"].sum() - other["weight"].sum()
    )


def test_what_cannot_be_averaged_is_refused(potential64, structure):
    with pytest.raises(ValueError, match="at least one structure, got none"):
        mean_over_frames(potential64, [])
    with pytest.raises(ValueError, match="frames must be of the same atoms, got CH4 as number 1"):
        mean_over_frames(potential64, [structure, molecule("CH4")])
