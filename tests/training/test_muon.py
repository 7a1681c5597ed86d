"""Steps of matrices are orthogonal, those of all else are Adam's, and both are of one size."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

from so3lab.engine.energy_model import abstract_network
from so3lab.network.settings import preset
from so3lab.training.muon import SIZE_OF_ADAM, Layout, Stretch, layout_of, scale_by_muon

LAYOUT = Layout((Stretch(3), Stretch(2 * 16 * 16, (2, 16, 16)), Stretch(5), Stretch(12 * 20, (1, 12, 20)), Stretch(1)))


def test_stacks_hold_all_weights_once_and_tables_by_element_are_no_matrices():
    """Of a network with every part that learns."""
    settings = preset("tiny", charge_embedding=True, spin_embedding=True, electrostatics="exact", dispersion=True)
    shapes = abstract_network(settings)[1]
    layout, count = layout_of(shapes), sum(leaf.size for leaf in jax.tree.leaves(shapes))
    vector = np.arange(count, dtype=np.float32)
    stacks = {kind: np.asarray(stack) for kind, stack in jax.jit(layout.stacks)(vector).items()}
    np.testing.assert_array_equal(jax.jit(layout.vector)(stacks), vector)
    assert sum(stack.size for stack in stacks.values()) == count
    first = 0
    for path, leaf in jax.tree_util.tree_leaves_with_path(shapes):
        name, numbers = jax.tree_util.keystr(path), vector[first : first + leaf.size]
        if ("kernel" in name or "blocks" in name) and leaf.shape[-1] > 1:  # each block is a matrix of its own
            rows, columns = leaf.shape[-2:]
            stack = stacks[f"{rows} x {columns}"]
            for matrix in numbers.reshape(-1, rows, columns):
                assert (stack == matrix).all(axis=(1, 2)).any(), name
        else:
            assert np.isin(numbers, stacks["others"]).all(), name
        first += leaf.size


def test_weights_of_a_network_stand_in_this_order_in_its_vector():
    shapes = abstract_network(preset("tiny"))[1]
    counter = iter(range(10**6))
    numbered = jax.tree.map(lambda leaf: np.full(leaf.shape, next(counter), np.float32), shapes)
    stacks = jax.jit(lambda leaves: layout_of(shapes).stacks(ravel_pytree(leaves)[0]))(numbered)
    for kind, stack in stacks.items():
        if kind != "others":
            assert (np.ptp(np.asarray(stack), axis=(1, 2)) == 0).all(), kind  # all of a matrix is of one leaf


def test_matrices_step_along_orthogonal_ones_and_all_else_as_adam_does():
    gradient = jnp.asarray(np.random.default_rng(0).normal(size=sum(s.size for s in LAYOUT.stretches)), "float32")
    steps, adam = scale_by_muon(LAYOUT), optax.scale_by_adam(nesterov=True)

    @jax.jit
    def first_steps(gradient):
        direction, _ = steps.update(gradient, steps.init(gradient), gradient)
        given = LAYOUT.stacks(gradient)
        of_adam, _ = adam.update(given["others"], adam.init(given["others"]))
        return LAYOUT.stacks(direction), given, of_adam

    found, given, of_adam = first_steps(gradient)
    np.testing.assert_allclose(found.pop("others"), of_adam, rtol=1e-4)
    assert set(found) == {"16 x 16", "12 x 20"}
    for kind, matrices in found.items():
        u, _, v = np.linalg.svd(np.asarray(given[kind], float), full_matrices=False)
        unit = np.asarray(matrices, float) / (SIZE_OF_ADAM * max(matrices.shape[1:]) ** 0.5)
        inside = u.swapaxes(1, 2) @ unit @ v.swapaxes(1, 2)  # diagonal, as directions are those of the gradient
        lengths = np.diagonal(inside, axis1=1, axis2=2)
        np.testing.assert_allclose(inside, lengths[:, :, None] * np.eye(lengths.shape[1]), atol=2e-3, err_msg=kind)
        assert np.quantile(lengths, 0.1) > 0.6, kind
        assert lengths.max() < 1.3, kind
    size = np.sqrt(np.mean(np.square(found["16 x 16"])))  # as far as Adam's, so that one learning rate serves both
    assert size == pytest.approx(SIZE_OF_ADAM, rel=0.3)


def test_a_step_needs_the_weights():
    with pytest.raises(ValueError, match="weights must be given"):
        scale_by_muon(LAYOUT).update(jnp.zeros(3), optax.EmptyState())
