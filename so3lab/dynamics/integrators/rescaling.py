"""Thermostats that rescale all velocities of a structure: Nosé-Hoover chains and stochastic rescaling (CSVR).

Both conserve momentum and, of a free molecule, angular momentum. These modes are not thermostatted: the kinetic
energy they aim at is that of ``particles.degrees_of_freedom``.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from so3lab import units
from so3lab.dynamics.integrators.state import (
    ForceFunction,
    Integrator,
    MDState,
    Number,
    Particles,
    StepParameters,
    finished,
    kinetic_energies,
    step_keys,
    to_atoms,
)

CHAIN = 3
"""Thermostats in a Nosé-Hoover chain."""
_OUTER = 1.0 / (2.0 - 2.0 ** (1.0 / 3.0))
_SUZUKI_YOSHIDA = (_OUTER, 1.0 - 2.0 * _OUTER, _OUTER)


def nose_hoover(force_fn: ForceFunction, particles: Particles) -> Integrator:
    r"""Constant temperature (NVT) by a Nosé-Hoover chain: deterministic and smooth, right for spectra.

    Velocity Verlet between two half steps of the chain, each a Suzuki-Yoshida product of three. Masses are
    :math:`Q_1 = f k_B T \tau^2` and :math:`Q_j = k_B T \tau^2`, with f the degrees of freedom; below one kelvin they
    are those of one kelvin, so that a quench may end at zero.

    Source: Martyna, Tuckerman, Tobias, Klein, Mol. Phys. 87, 1117 (1996), eqs. 24 to 34.

    Args:
        force_fn: Forces at given positions.
        particles: What moves.
    """

    def step(state: MDState, knobs: StepParameters) -> MDState:
        state = _chain_half_step(state, particles, knobs)
        half = state.velocities + 0.5 * knobs.timestep * particles.inverse_masses * state.forces
        positions = state.positions + knobs.timestep * half
        return _chain_half_step(finished(state, positions, half, particles, knobs.timestep, force_fn), particles, knobs)

    return step


def _chain_half_step(state: MDState, particles: Particles, knobs: StepParameters) -> MDState:
    """The chain's velocities over half a time step, and velocities scaled by what it does to them."""
    temperature = jnp.broadcast_to(
        jnp.asarray(knobs.temperature, state.thermostat_state.dtype), particles.degrees_of_freedom.shape
    )
    unit = jnp.maximum(temperature, units.kB) * knobs.thermostat_time**2
    inertia = [particles.degrees_of_freedom * unit] + [unit] * (CHAIN - 1)
    rates = [state.thermostat_state[:, link] for link in range(CHAIN)]
    before = kinetic_energies(state.velocities, particles)
    twice, scale = 2.0 * before, jnp.ones_like(before)

    def push(link: int) -> Float[Array, " structures"]:
        """Acceleration of a link by what it controls."""
        if link == 0:
            return (twice - particles.degrees_of_freedom * temperature) / inertia[0]
        return (inertia[link - 1] * rates[link - 1] ** 2 - temperature) / inertia[link]

    def move(link: int, time: Number) -> None:
        """Half of a link's motion, damped by the link behind it."""
        damping = jnp.exp(-0.25 * time * rates[link + 1]) if link + 1 < CHAIN else 1.0
        rates[link] = (rates[link] * damping + 0.5 * time * push(link)) * damping

    for weight in _SUZUKI_YOSHIDA:
        time = 0.5 * weight * knobs.timestep
        for link in reversed(range(CHAIN)):
            move(link, time)
        factor = jnp.exp(-time * rates[0])
        scale, twice = scale * factor, twice * factor * factor
        for link in range(CHAIN):
            move(link, time)
    return state._replace(
        velocities=state.velocities * to_atoms(scale[:, None], particles),
        bath_energy=state.bath_energy + 0.5 * twice - before,
        thermostat_state=jnp.stack(rates, axis=1),
    )


def csvr(force_fn: ForceFunction, particles: Particles) -> Integrator:
    """Constant temperature (NVT) by stochastic velocity rescaling: canonical, and gentle to the dynamics.

    Velocity Verlet, then the kinetic energy of each structure is drawn along its canonical random walk.

    Source: Bussi, Donadio, Parrinello, J. Chem. Phys. 126, 014101 (2007), eq. A7.

    Args:
        force_fn: Forces at given positions.
        particles: What moves.
    """

    def step(state: MDState, knobs: StepParameters) -> MDState:
        half = state.velocities + 0.5 * knobs.timestep * particles.inverse_masses * state.forces
        positions = state.positions + knobs.timestep * half
        keys = step_keys(state, 0)
        moved = finished(state, positions, half, particles, knobs.timestep, force_fn)
        return rescaled(moved, keys, particles, knobs)

    return step


def rescaled(state: MDState, keys: Array, particles: Particles, knobs: StepParameters) -> MDState:
    """Velocities of each structure times the factor of stochastic rescaling over one time step."""
    freedom, dtype = particles.degrees_of_freedom, state.velocities.dtype
    kinetic = kinetic_energies(state.velocities, particles)
    keep = jnp.exp(-knobs.timestep / jnp.asarray(knobs.thermostat_time, dtype))
    one = jax.vmap(lambda key: jax.random.normal(jax.random.fold_in(key, 0), (), dtype))(keys)
    rest = 2.0 * jax.vmap(lambda key, shape: jax.random.gamma(jax.random.fold_in(key, 1), shape, (), dtype))(
        keys, 0.5 * jnp.maximum(freedom - 1.0, 1.0)
    )
    rest = jnp.where(freedom > 1.5, rest, 0.0)  # the sum of the squares of freedom - 1 normal numbers
    moving = kinetic > 0.0
    ratio = 0.5 * knobs.temperature / jnp.where(moving, kinetic, 1.0)
    squared = keep + ratio * (1.0 - keep) * (one**2 + rest) + 2.0 * one * jnp.sqrt(keep * (1.0 - keep) * ratio)
    # Only a structure with one or two degrees of freedom ever turns round.
    sign = jnp.where(one * jnp.sqrt((1.0 - keep) * ratio) + jnp.sqrt(keep) < 0.0, -1.0, 1.0)
    factor = jnp.where(moving, sign * jnp.sqrt(jnp.maximum(squared, 0.0)), 1.0)
    return state._replace(
        velocities=state.velocities * to_atoms(factor[:, None], particles),
        bath_energy=state.bath_energy + jnp.where(moving, (squared - 1.0) * kinetic, 0.0),
    )
