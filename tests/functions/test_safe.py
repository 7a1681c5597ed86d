"""Values and gradients stay finite where a plain formula divides by zero, and are the formula's elsewhere."""

import jax
import jax.numpy as jnp
import numpy as np

from so3lab.functions.safe import masked, safe_norm, smooth_step, switch


def test_safe_operations_have_finite_gradients_where_the_plain_ones_do_not():
    assert np.isfinite(jax.grad(lambda v: safe_norm(v).sum())(jnp.zeros((2, 3)))).all()
    ramp = jax.vmap(jax.grad(smooth_step))(jnp.array([-1.0, 0.0, 1e-6, 1e-3, 0.5]))
    assert np.isfinite(ramp).all()


def test_lengths_are_lengths():
    vectors = jnp.asarray(np.random.default_rng(0).normal(size=(5, 3)))
    np.testing.assert_allclose(safe_norm(vectors), np.linalg.norm(vectors, axis=1), rtol=1e-6)
    units = jax.grad(lambda v: safe_norm(v).sum())(vectors)
    np.testing.assert_allclose(units, vectors / np.linalg.norm(vectors, axis=1, keepdims=True), rtol=1e-5)
    assert safe_norm(jnp.zeros(3)) == 0


def test_masked_rows_have_no_gradient_even_where_the_function_is_singular():
    mask = jnp.array([True, False, True])
    values = jnp.array([2.0, 0.0, 4.0])
    gradient = jax.grad(lambda x: jnp.sum(1.0 / masked(mask, x, 1.0)))(values)
    np.testing.assert_allclose(gradient, [-0.25, 0.0, -0.0625])
    np.testing.assert_array_equal(masked(mask, jnp.ones((3, 2)), -1.0)[1], -1.0)


def test_a_switch_falls_once_from_one_to_zero_and_halves_in_the_middle():
    distances = jnp.linspace(0.0, 6.0, 121)
    weights = switch(distances, 2.0, 4.0)
    assert (weights[distances <= 2.0] == 1).all()
    assert (weights[distances >= 4.0] == 0).all()
    assert (jnp.diff(weights) <= 0).all()
    np.testing.assert_allclose(weights + weights[::-1], 1.0, atol=1e-6)
