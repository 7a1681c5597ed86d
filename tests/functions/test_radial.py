"""Radial bases and cutoffs equal their published values and join zero smoothly."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from so3lab.functions.radial import cutoff_weight, radial_basis
from so3lab.functions.safe import switch

CUTOFFS = ("phys", "cosine", "polynomial", "exponential")
basis_of, weight_of = jax.jit(radial_basis, static_argnums=(1, 2, 3)), jax.jit(cutoff_weight, static_argnums=(1, 2))


def test_published_bernstein_values():
    columns = [0, 5, 16, 24, 31]
    expected = {
        0.5: [7.0676064693e-14, 1.4952262169e-07, 6.7897952205e-02, 3.3587722071e-02, 4.3610719873e-07],
        1.0: [2.3613700082e-07, 4.1733608433e-03, 5.0791130652e-02, 1.1888621920e-05, 1.9018948879e-13],
        2.0: [6.2279261252e-03, 1.8915933655e-01, 1.9032116371e-06, 1.6791543426e-14, 3.6172041645e-26],
        4.0: [4.8865496755e-01, 5.7863977864e-04, 1.1617032177e-18, 9.0401023133e-34, 1.3084165968e-51],
    }
    with jax.enable_x64(True):
        found = np.asarray(basis_of(jnp.array(list(expected)), "bernstein", 32, 4.5))
    np.testing.assert_allclose(found[:, columns], list(expected.values()), rtol=1e-7)


def test_published_cutoff_and_switch_values():
    with jax.enable_x64(True):
        weights = cutoff_weight(jnp.array([0.5, 1.0, 2.0, 4.0]), "phys", 4.5)
        steps = switch(jnp.array([0.3, 0.75, 1.2]), 0.0, 1.5)
    np.testing.assert_allclose(weights, [0.9884672052, 0.9235888838, 0.6033125032, 0.0115327948], atol=1e-10)
    np.testing.assert_allclose(steps, [0.9770226301, 0.5, 0.0229773699], atol=1e-10)


@pytest.mark.parametrize(
    ("ours", "theirs"), [("bernstein", "bernstein"), ("physnet", "physnet"), ("bessel", "fourier")]
)
def test_bases_equal_the_reference_code(shared, ours, theirs):
    stored = np.load(shared / "reference" / "mlff" / "mlff_v1_basis.npz")
    distances = stored["r"]
    for count, cutoff in ((16, 5.0), (32, 4.5)):
        reference = stored[f"rbf/{theirs}/n{count}_rc{cutoff}"]
        inside = (distances > 0.05) & (distances < cutoff)
        with jax.enable_x64(True):
            found = np.asarray(basis_of(jnp.asarray(distances), ours, count, cutoff))
        np.testing.assert_allclose(found[inside], reference[inside], atol=3e-6)


@pytest.mark.parametrize("kind", ["cosine", "phys", "exponential"])
def test_cutoffs_equal_the_reference_code(shared, kind):
    stored = np.load(shared / "reference" / "mlff" / "mlff_v1_basis.npz")
    for cutoff in (5.0, 4.5):
        with jax.enable_x64(True):
            found = np.asarray(weight_of(jnp.asarray(stored["r"]), kind, cutoff))
        np.testing.assert_allclose(found, stored[f"cutoff/{kind}/rc{cutoff}"], atol=1e-6)


@pytest.mark.parametrize("kind", CUTOFFS)
def test_cutoff_and_its_slope_vanish_at_the_radius(kind):
    with jax.enable_x64(True):
        both = jax.jit(jax.vmap(jax.value_and_grad(lambda d: cutoff_weight(d[None], kind, 5.0)[0])))
        (near, beyond), (slope_near, slope_beyond) = both(jnp.array([5.0 - 1e-6, 5.0]))
        assert abs(float(near)) < 1e-10
        assert abs(float(slope_near)) < 1e-5
        assert float(beyond) == 0.0
        assert float(slope_beyond) == 0.0


@pytest.mark.parametrize("kind", CUTOFFS)
def test_cutoff_gradient_is_finite_everywhere(kind):
    distances = jnp.linspace(0.0, 6.0, 601)
    slopes = jax.jit(jax.grad(lambda d: cutoff_weight(d, kind, 5.0).sum()))(distances)
    assert np.isfinite(slopes).all()


def test_unknown_names_are_refused_with_the_choices():
    with pytest.raises(ValueError, match=r"radial_basis must be one of \('bernstein'"):
        radial_basis(jnp.ones(2), "chebyshev", 8, 5.0)
    with pytest.raises(ValueError, match="cutoff_function must be one of"):
        cutoff_weight(jnp.ones(2), "step", 5.0)
