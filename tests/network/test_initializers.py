"""Weights at the start have the distributions that the papers ask for, and the same numbers whatever else is drawn."""

import jax
import numpy as np
from flax import nnx

from so3lab.network.initializers import AbstractRngs, embedding_normal, lecun, lecun_of_heads, ones, zeros

KEY = jax.random.key(7)


def test_numbers_are_those_of_flax():
    ours = [lecun(KEY, (24, 30)), lecun_of_heads(KEY, (4, 5, 6)), embedding_normal(16)(KEY, (119, 16))]
    theirs = [
        nnx.initializers.lecun_normal()(KEY, (24, 30)),
        nnx.initializers.lecun_normal(-1, -2, batch_axis=0)(KEY, (4, 5, 6)),
        nnx.initializers.normal(0.25)(KEY, (119, 16)),
    ]
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-6)


def test_sums_over_inputs_keep_their_size():
    random = np.random.default_rng(0)
    for kernel, axis in ((lecun(KEY, (64, 500)), -2), (lecun_of_heads(KEY, (8, 100, 64)), -1)):
        assert abs(np.std(kernel) * 8.0 - 1.0) < 0.02
        x = random.normal(size=64)
        assert abs(np.std(np.tensordot(np.asarray(kernel), x, (axis, 0))) / np.linalg.norm(x) * 8.0 - 1.0) < 0.1


def test_a_longer_weight_begins_with_the_numbers_of_a_shorter_one():
    draw = embedding_normal(4)
    np.testing.assert_array_equal(draw(KEY, (500, 4))[:10], draw(KEY, (10, 4)))


def test_shapes_alone_and_constants_draw_nothing():
    for initializer in (lecun, zeros, ones, embedding_normal(3)):
        assert initializer(AbstractRngs(), (2, 3)) == jax.ShapeDtypeStruct((2, 3), np.float32)
    np.testing.assert_array_equal(zeros(KEY, (3,)), np.zeros(3))
    np.testing.assert_array_equal(ones(KEY, (3,)), np.ones(3))
