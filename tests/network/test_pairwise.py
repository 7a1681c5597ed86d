"""Electrostatics and dispersion by themselves: known limits, known sums, exact gradients."""

import functools
import math

import ase
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase.neighborlist import neighbor_list
from scipy.special import erf, erfc

from so3lab import units
from so3lab.engine.energy_model import precision
from so3lab.functions.safe import safe_norm
from so3lab.network.pairwise import dispersion_term, electrostatics_term
from so3lab.network.pairwise.electrostatics import screened_coulomb, truncated_coulomb
from so3lab.network.pairwise.long_range import long_range_needs, with_long_range
from so3lab.network.pairwise.mesh import mesh_factors
from so3lab.network.settings import ModelSettings
from so3lab.structures.graph import build_graph, displacements

SIGMA = 4.0


def ions(seed: int = 0, size: int = 24, edge: float = 7.0) -> tuple[ase.Atoms, np.ndarray]:
    """Random charges in a skewed cell, neutral together."""
    random = np.random.default_rng(seed)
    cell = edge * np.array([[1, 0, 0], [0.2, 1, 0], [0.1, -0.1, 1.1]])
    atoms = ase.Atoms("O" * size, scaled_positions=random.uniform(size=(size, 3)), cell=cell, pbc=True)
    charges = random.normal(size=size)
    return atoms, charges - charges.mean()


def rock_salt() -> tuple[ase.Atoms, np.ndarray]:
    corners = np.array([[0, 0, 0], [1, 1, 0], [1, 0, 1], [0, 1, 1], [1, 1, 1], [0, 0, 1], [0, 1, 0], [1, 0, 0]]) / 2
    atoms = ase.Atoms("O4H4", scaled_positions=corners, cell=[5.64] * 3, pbc=True)
    return atoms, np.array([1.0] * 4 + [-1.0] * 4)


@functools.partial(jax.jit, static_argnames="settings")
def _value(settings, graph, charges, strain):
    def energy(positions, strain):
        far = graph._replace(positions=positions).long_range_graph
        distances = safe_norm(displacements(far, strain))
        term = electrostatics_term(charges, distances, far, strain, settings)
        return term.energies.sum(), term

    (_, term), gradients = jax.value_and_grad(energy, (0, 1), has_aux=True)(graph.positions, strain)
    return term, gradients


def electrostatics(atoms, charges, mode="exact", cutoff=None, mesh=False, dtype="float64", strain=None):
    """Energy, forces, strain derivative and atomic energies of fixed charges."""
    settings = ModelSettings(electrostatics=mode, long_range_cutoff=cutoff, screening_length=SIGMA)
    graph = with_long_range(build_graph([atoms], 2.0, dtype=dtype), [atoms], long_range_needs(settings))
    if mesh:
        factors = mesh_factors(np.asarray(atoms.cell), SIGMA)
        graph = graph._replace(long_range=graph.long_range._replace(waves=None, mesh=factors))
    with precision(dtype):
        graph = jax.tree.map(jnp.asarray, graph)
        strain = jnp.zeros((1, 3, 3)) if strain is None else jnp.asarray(strain)[None]
        term, (gradient, virial) = _value(settings, graph, jnp.asarray(charges, dtype), strain)
        return (
            float(term.energies[0]),
            -np.asarray(gradient),
            np.asarray(virial[0]),
            np.asarray(term.atomic_energies),
        )


def test_interaction_is_the_formula_and_smooth_at_zero():
    with precision("float64"):
        far = np.array([0.039, 0.041, 0.5, 3.0, 20.0])
        np.testing.assert_allclose(screened_coulomb(jnp.asarray(far), SIGMA), erf(far / SIGMA) / far, rtol=1e-12)
        slope = jax.jit(jax.vmap(jax.grad(lambda r: screened_coulomb(r, SIGMA))))(jnp.array([0.0, 0.02, 1.0]))
    assert screened_coulomb(jnp.zeros(()), SIGMA) == pytest.approx(2 / (math.sqrt(math.pi) * SIGMA), rel=1e-6)
    expected = [0.0] + [
        2 * math.exp(-((r / SIGMA) ** 2)) / (math.sqrt(math.pi) * SIGMA * r) - erf(r / SIGMA) / r**2
        for r in (0.02, 1.0)
    ]
    np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-12)


def test_truncated_interaction_ends_without_jump_in_value_or_slope():
    with precision("float64"):
        energy = lambda r: truncated_coulomb(r, SIGMA, 12.0)  # noqa: E731
        both = jax.jit(jax.vmap(jax.value_and_grad(energy)))
        values, slopes = both(jnp.array([12.0 - 1e-4, 12.0, 12.5]))
        assert np.abs(values).max() < 1e-7
        assert np.abs(slopes).max() < 1e-5
        # within 0.45 cutoffs only a constant is subtracted
        inside = np.array([1.0, 5.0, 5.0])
        shifts = both(jnp.asarray(inside))[0] - erf(inside / SIGMA) / inside
        np.testing.assert_allclose(shifts, -erf(3.0) / 12.0, rtol=1e-12)


def test_cell_has_the_madelung_energy():
    """erf(r/σ)/r is 1/r less the short-ranged erfc(r/σ)/r: the Madelung constant of rock salt must come out."""
    atoms, charges = rock_salt()
    i, j, d = neighbor_list("ijd", atoms, 24.0)
    near = 0.5 * units.coulomb_constant * np.sum(charges[i] * charges[j] * erfc(d / SIGMA) / d)
    madelung = -4 * 1.7475645946 * units.coulomb_constant / (5.64 / 2)
    assert electrostatics(atoms, charges)[0] == pytest.approx(madelung - near, abs=1e-8)


def test_repeated_cell_has_the_same_energy_per_cell():
    atoms, charges = ions(size=6, edge=5.0)
    one, eight = electrostatics(atoms, charges), electrostatics(atoms.repeat(2), np.tile(charges, 8))
    assert eight[0] == pytest.approx(8 * one[0], abs=1e-6)
    np.testing.assert_allclose(eight[1][:6], one[1], atol=1e-7)


def test_choice_of_unit_cell_changes_nothing():
    atoms, charges = ions()
    other = atoms.copy()
    other.set_cell([atoms.cell[0], atoms.cell[1] + atoms.cell[0], atoms.cell[2] - 2 * atoms.cell[0]])
    other.positions += 3 * atoms.cell[1]
    np.testing.assert_allclose(electrostatics(other, charges)[0], electrostatics(atoms, charges)[0], atol=1e-6)
    np.testing.assert_allclose(electrostatics(other, charges)[1], electrostatics(atoms, charges)[1], atol=1e-6)


def test_mesh_equals_the_sum_over_waves():
    """Charges of half an elementary charge, as in water, and up to 0.7 eV/Å of force: equal to 1e-5 eV/Å."""
    atoms, charges = ions(size=96, edge=11.0)
    direct, mesh = (electrostatics(atoms, 0.5 * charges, mesh=way) for way in (False, True))
    assert np.abs(direct[1]).max() > 0.2
    np.testing.assert_allclose(mesh[1], direct[1], atol=1e-5)
    assert abs(mesh[0] - direct[0]) < 1e-6 * len(atoms)
    np.testing.assert_allclose(mesh[2], direct[2], atol=1e-3)
    np.testing.assert_allclose(mesh[3], direct[3], atol=1e-5)


@pytest.mark.parametrize("way", ["waves", "mesh", "wolf", "compat"])
def test_forces_and_strain_derivative_are_exact_gradients(way):
    atoms, charges = ions(size=10, edge=6.0)
    options = {"mode": way, "cutoff": 9.0} if way in ("wolf", "compat") else {"mesh": way == "mesh"}
    _, forces, virial, _ = electrostatics(atoms, charges, **options)
    step = 1e-4
    for axis in range(2):
        moved = [atoms.copy(), atoms.copy()]
        for sign, image in zip((1, -1), moved, strict=True):
            image.positions[3, axis] += sign * step
        plus, minus = (electrostatics(image, charges, **options)[0] for image in moved)
        assert -(plus - minus) / (2 * step) == pytest.approx(forces[3, axis], abs=1e-6)
    for a, b in ((0, 0), (0, 2)):
        strain = np.zeros((3, 3))
        strain[a, b] = step
        plus, minus = (electrostatics(atoms, charges, strain=s * strain, **options)[0] for s in (1, -1))
        assert (plus - minus) / (2 * step) == pytest.approx(virial[a, b], abs=1e-5)


def test_strain_argument_equals_a_strained_structure():
    atoms, charges = ions(size=10, edge=6.0)
    strain = np.array([[0.01, 0.004, 0], [0.004, -0.02, 0.003], [0, 0.003, 0.005]])
    strained = atoms.copy()
    strained.set_cell(atoms.cell @ (np.eye(3) + strain), scale_atoms=True)
    for options in ({}, {"mesh": True}):
        given = electrostatics(atoms, charges, strain=strain, **options)[0]
        assert given == pytest.approx(electrostatics(strained, charges, **options)[0], abs=2e-5)


def test_large_cutoffs_of_a_molecule_approach_the_exact_energy():
    atoms, charges = ions(size=10)
    atoms.set_pbc(False)
    exact = electrostatics(atoms, charges)[0]
    distances = atoms.get_all_distances()[np.triu_indices(10, 1)]
    products = np.outer(charges, charges)[np.triu_indices(10, 1)]
    assert exact == pytest.approx(units.coulomb_constant * np.sum(products * erf(distances / 4) / distances))
    assert electrostatics(atoms, charges, "wolf")[0] == pytest.approx(exact, abs=1e-10)
    assert electrostatics(atoms, charges, "compat")[0] == pytest.approx(exact, abs=1e-10)
    for cutoff in (100.0, 1000.0):
        wolf, compat = (electrostatics(atoms, charges, mode, cutoff)[0] for mode in ("wolf", "compat"))
        self_term = 0.5 * units.coulomb_constant / cutoff * np.sum(charges**2)
        assert compat - exact == pytest.approx(self_term, rel=0.05)
        assert abs(wolf - exact) < 1e-3 * abs(compat - exact) * (100 / cutoff)


@pytest.mark.parametrize("way", ["exact", "mesh", "wolf", "compat"])
def test_atomic_energies_sum_to_the_energy(way):
    atoms, charges = ions(size=10, edge=6.0)
    options = {"mesh": True} if way == "mesh" else {"mode": way}
    energy, _, _, atomic = electrostatics(atoms, charges, **options)
    assert atomic.sum() == pytest.approx(energy, abs=1e-9)


@pytest.mark.parametrize("mesh", [False, True])
def test_single_precision_suffices(mesh):
    atoms, charges = ions(size=96, edge=11.0)
    double, single = (electrostatics(atoms, charges, mesh=mesh, dtype=d) for d in ("float64", "float32"))
    np.testing.assert_allclose(single[1], double[1], atol=2e-5)
    assert single[0] == pytest.approx(double[0], abs=1e-4)


def dispersion(distances, cutoff=None, dtype="float64"):
    """Energy and force of two oxygen atoms at each distance."""
    atoms = ase.Atoms("O2", [[0, 0, 0], [0, 0, 3.0]])
    settings = ModelSettings(dispersion=True, long_range_cutoff=cutoff)
    graph = with_long_range(build_graph([atoms], 2.0, dtype=dtype), [atoms], long_range_needs(settings))
    with precision(dtype):
        far = jax.tree.map(jnp.asarray, graph.long_range_graph)
        ratios = jnp.array([0.9, 0.95], dtype)

        def energy(d):
            lengths = jnp.full(far.receivers.shape, d)
            return dispersion_term(ratios, lengths, far, settings).energies[0]

        return jax.jit(jax.vmap(jax.value_and_grad(energy)))(jnp.asarray(distances, dtype))


def test_dispersion_goes_over_into_the_sixth_power():
    """Far away only C6 remains; for equal atoms it is that of the free atom times the squared ratio."""
    with precision("float64"):
        energy, _ = dispersion([40.0])
    alpha, c6 = 5.4 * np.array([0.9, 0.95]), 15.6 * np.array([0.9, 0.95]) ** 2
    mixed = 2 * c6.prod() * alpha.prod() / (alpha[0] ** 2 * c6[1] + alpha[1] ** 2 * c6[0])
    assert float(energy[0]) == pytest.approx(-units.hartree * mixed / (40.0 / units.bohr) ** 6, rel=0.01)


def test_dispersion_is_damped_and_ends_at_the_cutoff():
    energies, slopes = dispersion([0.0, 1e-3, 2.5, 9.99, 11.0, 12.0, 13.0], cutoff=12.0)
    assert np.all(np.isfinite(energies))
    assert np.all(np.isfinite(slopes))
    assert float(energies[0]) == pytest.approx(float(energies[1]), rel=1e-6)
    assert np.all(np.asarray(energies[:5]) < 0)
    np.testing.assert_array_equal(energies[5:], 0.0)
    np.testing.assert_allclose(energies[3], dispersion([9.99])[0][0], rtol=1e-12)


def test_dispersion_survives_single_precision_at_any_distance():
    distances = [0.0, 0.5, 3.0, 100.0, 900.0, 5e4]
    single, double = dispersion(distances, dtype="float32"), dispersion(distances)
    assert np.isfinite(single[1]).all()
    np.testing.assert_allclose(single[0], double[0], rtol=1e-5, atol=1e-12)
