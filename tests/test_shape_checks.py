"""Shapes in annotations are checked while tests run; what people give and functions refuse is left to the functions."""

import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import TypeCheckError

from so3lab import observables
from so3lab.functions.radial import cutoff_weight
from so3lab.structures.neighbors import complete_cell


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: cutoff_weight(jnp.ones((2, 2)), "cosine", 5.0),
        lambda: complete_cell(np.eye(2), np.ones(3, bool)),
        lambda: observables.minimum_image(np.zeros(3), np.zeros(3)),
    ],
)
def test_wrong_shapes_are_found(wrong):
    with pytest.raises(TypeCheckError):
        wrong()


def test_right_shapes_pass():
    assert float(cutoff_weight(jnp.zeros(1), "cosine", 5)[0]) == 1.0
