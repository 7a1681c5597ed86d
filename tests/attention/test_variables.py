"""Numbers per atom that no rotation changes, and colours in which alike is alike."""

import numpy as np
import pandas as pd

from so3lab.attention import atom_table, look_inside, principal_components


def test_numbers_do_not_depend_on_orientation_but_euclidean_variables_do(inside, potential64, structure):
    turned = structure.copy()
    turned.rotate(70, (3, 1, 2))
    after = look_inside(potential64, turned)
    assert np.abs(inside.euclidean_variables - after.euclidean_variables).max() > 1e-3
    pd.testing.assert_frame_equal(atom_table(inside), atom_table(after), atol=1e-9, rtol=1e-7)


def test_the_table_has_a_row_per_atom_and_a_norm_per_degree(inside, structure):
    table = atom_table(inside)
    assert list(table["element"]) == structure.get_chemical_symbols()
    assert {"feature_norm", "euclidean_norm_1", "euclidean_norm_2", "energy_eV"} <= set(table)
    np.testing.assert_allclose(
        table["euclidean_norm_1"] ** 2 + table["euclidean_norm_2"] ** 2, np.sum(inside.euclidean_variables**2, axis=1)
    )


def test_components_keep_distances_where_features_have_no_more_directions():
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(7, 2)) @ rng.normal(size=(2, 20)) + 5.0
    scores = principal_components(plane)
    apart = lambda x: np.linalg.norm(x[:, None] - x[None], axis=-1)  # noqa: E731
    np.testing.assert_allclose(apart(scores), apart(plane), atol=1e-9)
    assert (np.abs(scores[:, 2]) < 1e-9).all()
    assert (scores[np.abs(scores).argmax(axis=0), range(3)] > 0).all()
    np.testing.assert_allclose(principal_components(plane + 3.0), scores, atol=1e-9)
