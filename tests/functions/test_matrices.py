"""The closed formula of the inverse is that of linear algebra."""

import jax.numpy as jnp
import numpy as np

from so3lab.functions.matrices import inverse_3x3


def test_inverse_times_matrix_is_one():
    cells = np.random.default_rng(0).normal(size=(50, 3, 3)) + 4.0 * np.eye(3)
    np.testing.assert_allclose(inverse_3x3(jnp.asarray(cells)) @ cells, np.tile(np.eye(3), (50, 1, 1)), atol=1e-5)


def test_left_handed_and_slanted_cells_are_inverted():
    cell = np.array([[0.0, 12.0, 0.0], [11.0, 3.0, 0.0], [-2.0, 4.0, 9.0]])
    assert np.linalg.det(cell) < 0
    np.testing.assert_allclose(inverse_3x3(jnp.asarray(cell)), np.linalg.inv(cell), atol=1e-6)
