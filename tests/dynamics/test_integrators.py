"""Integrators have their order, their ensemble and the right number of degrees of freedom."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase.build import molecule
from first_state import Moving

from so3lab import units
from so3lab.dynamics.control import Control
from so3lab.dynamics.integrators import (
    Forces,
    Particles,
    StepParameters,
    degrees_of_freedom,
    is_linear,
    key_data,
    langevin,
    particles_of,
    thermal_velocities,
    velocity_verlet,
)

STIFFNESS = 5.0  # eV/Å²


def forces(energy, of_atoms) -> Forces:
    return Forces(energy[None], of_atoms, jnp.zeros(1, jnp.int32), jnp.zeros(1, of_atoms.dtype))


def particles(masses, freedom=None) -> Particles:
    masses = np.asarray(masses, float)
    return particles_of(masses, np.array([3.0 * len(masses) if freedom is None else freedom]))


def springs(positions, cells) -> Forces:
    """Every atom on a spring, with a quartic term so that nothing is exact by accident."""
    squares = jnp.sum(positions**2)
    energy = 0.5 * STIFFNESS * squares + jnp.sum(positions**4)
    return forces(energy, -STIFFNESS * positions - 4 * positions**3)


def harmonic(positions, cells) -> Forces:
    return forces(0.5 * STIFFNESS * jnp.sum(positions**2), -STIFFNESS * positions)


def knobs(timestep_fs=0.5, temperature_K=300.0, friction_per_ps=2.0) -> StepParameters:
    return Control(temperature_K, timestep_fs, friction_per_ps).step_parameters()


def run(integrator, state, knob, steps):
    return jax.jit(lambda s: jax.lax.fori_loop(0, steps, lambda _, inner: integrator.step(inner, knob), s))(state)


def start(integrator, atoms=2, seed=0):
    random = np.random.default_rng(1)
    positions, velocities = 0.3 * random.normal(size=(atoms, 3)), 0.05 * random.normal(size=(atoms, 3))
    return integrator.init(jnp.asarray(positions), jnp.asarray(velocities), jnp.asarray(key_data(seed))[None])


def test_velocity_verlet_is_second_order():
    with jax.enable_x64(True):
        integrator = Moving(velocity_verlet, springs, particles([1.0, 12.0]))
        exact = run(integrator, start(integrator), knobs(1 / 64), 64 * 16).positions
        timesteps = np.array([1.0, 0.5, 0.25, 0.125])
        errors = [
            float(jnp.abs(run(integrator, start(integrator), knobs(dt), int(16 / dt)).positions - exact).max())
            for dt in timesteps
        ]
    slope = np.polyfit(np.log2(timesteps), np.log2(errors), 1)[0]
    assert abs(slope - 2) < 0.1


def test_velocity_verlet_runs_backwards():
    with jax.enable_x64(True):
        integrator = Moving(velocity_verlet, springs, particles([1.0, 12.0]))
        begin = start(integrator)
        there = run(integrator, begin, knobs(), 500)
        back = run(integrator, there._replace(velocities=-there.velocities), knobs(), 500)
    np.testing.assert_allclose(back.positions, begin.positions, atol=1e-10)


def test_langevin_samples_the_harmonic_distribution():
    """Each atom's mean potential energy is 3/2 kT, whatever its mass and even with a long time step; and so is
    its kinetic energy: equipartition, at the temperature asked for."""
    temperature_K = 400.0
    masses = jnp.array([1.0, 4.0, 16.0, 64.0] * 50)
    with jax.enable_x64(True):
        integrator = Moving(langevin, harmonic, particles(masses))
        state = start(integrator, len(masses))
        knob = knobs(1.5, temperature_K, 20.0)
        advance = jax.jit(lambda s: jax.lax.fori_loop(0, 25, lambda _, inner: integrator.step(inner, knob), s))
        for _ in range(40):
            state = advance(state)
        potential, kinetic = np.zeros(4), np.zeros(4)
        samples = 300
        for _ in range(samples):
            state = advance(state)
            squares = np.sum(np.asarray(state.positions) ** 2, axis=1)
            potential += (0.5 * STIFFNESS * squares).reshape(-1, 4).mean(axis=0)
            kinetic += (
                (0.5 * np.asarray(masses) * np.sum(np.asarray(state.velocities) ** 2, axis=1))
                .reshape(-1, 4)
                .mean(axis=0)
            )
    expected = 1.5 * units.kB * temperature_K
    np.testing.assert_allclose(potential / samples, expected, rtol=0.04)
    np.testing.assert_allclose(kinetic / samples, expected, rtol=0.04)


def test_langevin_without_friction_is_velocity_verlet():
    with jax.enable_x64(True):
        masses = jnp.array([1.0, 12.0])
        quiet = run(
            Moving(langevin, harmonic, particles(masses)),
            start(Moving(langevin, harmonic, particles(masses))),
            knobs(0.1, 300, 0.0),
            200,
        )
        verlet = run(
            Moving(velocity_verlet, harmonic, particles(masses)),
            start(Moving(velocity_verlet, harmonic, particles(masses))),
            knobs(0.1),
            200,
        )
    np.testing.assert_allclose(quiet.positions, verlet.positions, atol=2e-4)


def test_same_seed_same_noise_and_noise_differs_between_steps():
    masses = jnp.ones(2)
    integrator = Moving(langevin, harmonic, particles(masses))
    a, b, c = (run(integrator, start(integrator, seed=seed), knobs(), 50).positions for seed in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert np.abs(np.asarray(a) - np.asarray(c)).max() > 1e-4


@pytest.mark.parametrize("name", ["CH3CH2OH", "CO2", "H2O"])
def test_thermal_velocities_have_the_temperature_without_overall_motion(name):
    atoms = molecule(name)
    masses = atoms.get_masses()
    velocities = thermal_velocities(atoms.positions, masses, 321.0, seed=4)
    momentum = masses @ velocities
    centred = atoms.positions - atoms.get_center_of_mass()
    angular = np.cross(centred, masses[:, None] * velocities).sum(axis=0)
    freedom = degrees_of_freedom(len(atoms), "nve", False, is_linear(atoms.positions))
    kinetic = 0.5 * np.sum(masses[:, None] * velocities**2)
    np.testing.assert_allclose(momentum, 0, atol=1e-12)
    np.testing.assert_allclose(angular, 0, atol=1e-10)
    assert 2 * kinetic / (freedom * units.kB) == pytest.approx(321.0)


def test_degrees_of_freedom():
    assert degrees_of_freedom(9, "nve", periodic=False) == 21
    assert degrees_of_freedom(9, "nve", periodic=True) == 24
    assert degrees_of_freedom(3, "nve", periodic=False, linear=True) == 4
    assert degrees_of_freedom(9, "langevin", periodic=False) == 27
    assert degrees_of_freedom(9, "csvr", periodic=False) == degrees_of_freedom(9, "nose-hoover", periodic=False) == 21
    assert degrees_of_freedom(9, "npt", periodic=True) == 24
    assert degrees_of_freedom(9, "nve", periodic=False, held=2) == 21
