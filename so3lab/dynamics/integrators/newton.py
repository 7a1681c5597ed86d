"""Constant energy, and Langevin dynamics: Newton's equations without and with friction and noise."""

import jax.numpy as jnp

from so3lab.dynamics.integrators.state import (
    ForceFunction,
    Integrator,
    MDState,
    Particles,
    StepParameters,
    finished,
    kinetic_energies,
    normal_for_atoms,
    step_keys,
    to_atoms,
)


def velocity_verlet(force_fn: ForceFunction, particles: Particles) -> Integrator:
    """Constant energy (NVE): the symplectic, time-reversible second-order scheme.

    Args:
        force_fn: Forces at given positions.
        particles: What moves.
    """

    def step(state: MDState, knobs: StepParameters) -> MDState:
        half = state.velocities + 0.5 * knobs.timestep * particles.inverse_masses * state.forces
        positions = state.positions + knobs.timestep * half
        return finished(state, positions, half, particles, knobs.timestep, force_fn)

    return step


def langevin(force_fn: ForceFunction, particles: Particles) -> Integrator:
    r"""Constant temperature (NVT) by Langevin dynamics in the BAOAB splitting.

    Kick, drift, exact Ornstein-Uhlenbeck step, drift, kick: configurational averages are accurate to
    second order in the time step with a very small constant, and exact for harmonic forces. All 3N
    degrees of freedom are thermostatted, overall motion included.

    Source: Leimkuhler and Matthews, Appl. Math. Res. Express 2013, 34 (2013).

    Args:
        force_fn: Forces at given positions.
        particles: What moves.
    """

    def step(state: MDState, knobs: StepParameters) -> MDState:
        half = 0.5 * knobs.timestep
        velocities = state.velocities + half * particles.inverse_masses * state.forces
        positions = state.positions + half * velocities
        decay = jnp.exp(-knobs.friction * knobs.timestep)
        temperatures = to_atoms(jnp.asarray(knobs.temperature).reshape(-1, 1), particles)
        width = jnp.sqrt((1.0 - decay * decay) * temperatures * particles.inverse_masses)
        noise = normal_for_atoms(step_keys(state, 0), particles, velocities.dtype)
        before = kinetic_energies(velocities, particles)
        velocities = decay * velocities + width * noise
        positions = positions + half * velocities
        state = state._replace(bath_energy=state.bath_energy + kinetic_energies(velocities, particles) - before)
        return finished(state, positions, velocities, particles, knobs.timestep, force_fn)

    return step
