"""Spherical harmonics equal closed forms and keep the convention that weights depend on."""

import jax
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from so3lab.functions.spherical import contract, num_orders, order_to_degree, parity, spherical_harmonics

DEGREES = (1, 2, 3, 4)


@pytest.fixture(scope="module")
def directions():
    vectors = np.random.default_rng(0).normal(size=(40, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def harmonics(unit_vectors, degrees=DEGREES):
    with jax.enable_x64(True):
        return np.asarray(spherical_harmonics(jax.numpy.asarray(unit_vectors), degrees))


def test_published_values():
    """Section 8.1 of the specification: u = (1, 2, -2)/3."""
    expected = """
    0.3257350079 -0.3257350079 0.1628675040 0.2427885401 -0.4855770803 0.1051305218 -0.2427885401 -0.1820914051
    -0.0437069326 -0.4282387322 0.3724076885 0.1934988391 0.1862038442 0.3211790492 -0.2403881292 -0.1854328105
    0.0874138652 0.4438844252 -0.0330393355 -0.3617604506 -0.0165196677 -0.3329133189 0.4807762585 -0.0540845697
    """
    found = harmonics(np.array([[1.0, 2.0, -2.0]]) / 3)[0]
    np.testing.assert_allclose(found, np.array(expected.split(), float), atol=2e-10)


def test_equal_scipy_associated_legendre(directions):
    from scipy.special import sph_harm_y

    polar, azimuth = np.arccos(directions[:, 2]), np.arctan2(directions[:, 1], directions[:, 0])
    for degree in range(5):
        found = harmonics(directions, (degree,))
        for order in range(-degree, degree + 1):
            value = sph_harm_y(degree, abs(order), polar, azimuth)
            sign = (-1) ** order * np.sqrt(2)
            closed = value.real if order == 0 else sign * (value.imag if order < 0 else value.real)
            np.testing.assert_allclose(found[:, order + degree], closed, atol=1e-12)


def test_orthonormal_on_the_sphere():
    nodes, weights = np.polynomial.legendre.leggauss(10)
    azimuth = np.arange(20) * 2 * np.pi / 20
    z, phi = np.meshgrid(nodes, azimuth, indexing="ij")
    sine = np.sqrt(1 - z**2)
    grid = np.stack([sine * np.cos(phi), sine * np.sin(phi), z], axis=-1).reshape(-1, 3)
    values = harmonics(grid, (0, *DEGREES))
    measure = np.repeat(weights, 20) * 2 * np.pi / 20
    np.testing.assert_allclose(values.T @ (measure[:, None] * values), np.eye(25), atol=1e-12)


def test_reversal_changes_the_sign_of_odd_degrees(directions):
    np.testing.assert_allclose(harmonics(-directions), harmonics(directions) * parity(DEGREES), atol=1e-14)


def test_contraction_is_invariant_and_has_its_closed_form(directions):
    rotated = directions @ Rotation.random(random_state=1).as_matrix().T
    mixture = np.random.default_rng(1).normal(size=(5, 40))
    with jax.enable_x64(True):
        before, after = (
            np.asarray(contract(jax.numpy.asarray(mixture @ harmonics(d)), DEGREES)) for d in (directions, rotated)
        )
        one = np.asarray(contract(jax.numpy.asarray(harmonics(directions)), DEGREES))
    np.testing.assert_allclose(before, after, rtol=1e-12)
    np.testing.assert_allclose(one, np.tile(np.sqrt(2 * np.array(DEGREES) + 1) / (4 * np.pi), (40, 1)), rtol=1e-12)


def test_spread_repeats_each_degree():
    np.testing.assert_array_equal(np.array([3.0, 7.0]) @ order_to_degree((1, 2)).T, [3, 3, 3, 7, 7, 7, 7, 7])
    assert num_orders(DEGREES) == 24


def test_degrees_beyond_four_are_refused():
    with pytest.raises(ValueError, match=r"degrees must be .* 0 to 4, got \(5,\)"):
        spherical_harmonics(np.eye(3, dtype=np.float32) + 0 * jax.numpy.ones((3, 3)), (5,))
