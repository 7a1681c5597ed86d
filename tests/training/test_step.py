"""Errors count by their square where they are small, and no more than linearly where they are not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from so3lab.training import TrainingSettings
from so3lab.training.step import Errors, huber, loss_of


def test_small_errors_count_squared_and_large_ones_by_their_length():
    delta = 0.5
    lengths = jnp.array([0.0, 0.1, 0.5, 2.0, 100.0])
    np.testing.assert_allclose(huber(lengths, delta)[:3], lengths[:3] ** 2, rtol=1e-6)
    slopes = jax.vmap(jax.grad(lambda length: huber(length, delta)))(lengths[1:])
    np.testing.assert_allclose(slopes, [0.2, 1.0, 1.0, 1.0], rtol=1e-6)  # one slope on both sides of delta


def test_the_loss_is_a_mean_so_that_more_frames_weigh_no_more():
    settings = TrainingSettings(epochs=1, energy_weight=0.25, force_weight=2.0, stress_weight=0.5)
    once = Errors(*(jnp.asarray(x) for x in (3.0, 0.0, 6.0, 0.0, 2.0, 12.0, 0.0, 0.0, 9.0, 0.0, 18.0)))
    assert loss_of(once, settings) == pytest.approx(0.25 * 3.0 / 2.0 + 2.0 * 6.0 / 12.0 + 0.5 * 9.0 / 18.0)
    assert loss_of(Errors(*(5 * x for x in once)), settings) == pytest.approx(float(loss_of(once, settings)))
