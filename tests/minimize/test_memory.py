"""What limited memory makes of steps and gradients is what BFGS makes of matrices."""

import numpy as np
import pytest

from so3lab.minimize.memory import Memory

SIZE, MOST = 6, 5
RNG = np.random.default_rng(0)
ROOT = RNG.normal(size=(SIZE, SIZE))
HESSIAN = ROOT @ ROOT.T + np.eye(SIZE)
SCALE = 0.3


def steps_of(count):
    steps = RNG.normal(size=(count, SIZE))
    return steps, steps @ HESSIAN


def by_matrices(steps, changes):
    """The inverse Hessian, updated as a whole: J. Nocedal and S. J. Wright, equation 6.17."""
    inverse = SCALE * np.eye(SIZE)
    for step, change in zip(steps, changes, strict=True):
        weight = 1.0 / (step @ change)
        left = np.eye(SIZE) - weight * np.outer(step, change)
        inverse = left @ inverse @ left.T + weight * np.outer(step, step)
    return inverse


@pytest.mark.parametrize("count", [0, 1, 4, MOST, MOST + 4])
def test_the_last_steps_are_those_of_bfgs(count):
    memory, rows = Memory(SIZE, 3, MOST), np.array([2])
    steps, changes = steps_of(count)
    for step, change in zip(steps, changes, strict=True):
        memory.learn(rows, step[None], change[None])
    vector = RNG.normal(size=(1, SIZE))
    found = memory.solve(rows, vector, lambda vectors: SCALE * vectors)
    np.testing.assert_allclose(found[0], by_matrices(steps[-MOST:], changes[-MOST:]) @ vector[0], rtol=1e-10)


def test_rows_remember_and_forget_for_themselves():
    memory, rows = Memory(SIZE, 2, MOST), np.array([0, 1])
    steps, changes = steps_of(3)
    for step, change in zip(steps, changes, strict=True):
        memory.learn(rows, np.stack([step, 2.0 * step]), np.stack([change, 2.0 * change]))
    memory.learn(rows[:1], steps[:1], changes[:1])
    memory.forget(rows[:1])
    vectors = RNG.normal(size=(2, SIZE))
    found = memory.solve(rows, vectors, lambda vectors: SCALE * vectors)
    np.testing.assert_allclose(found[0], SCALE * vectors[0], rtol=1e-12)
    np.testing.assert_allclose(found[1], by_matrices(steps, changes) @ vectors[1], rtol=1e-10)
    newest = changes[-1]
    np.testing.assert_allclose(memory.scale(rows, 7.0), [7.0, (steps[-1] @ newest) / (newest @ newest)], rtol=1e-12)


def test_steps_without_curvature_are_damped_or_left_out():
    memory, row = Memory(SIZE, 1, MOST), np.array([0])
    step, change = RNG.normal(size=(1, SIZE)), np.zeros((1, SIZE))
    change -= step  # downhill on both sides
    memory.learn(row, step, change)
    vector = RNG.normal(size=(1, SIZE))
    np.testing.assert_array_equal(memory.solve(row, vector, lambda vectors: vectors), vector)
    memory.learn(row, step, change, expected=step)
    along = memory.solve(row, step, lambda vectors: vectors)
    np.testing.assert_allclose(along, 10.0 * step)  # a tenth of the curvature that was expected
