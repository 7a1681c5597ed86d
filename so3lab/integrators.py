r"""One step of molecular dynamics: init and step as pure functions of a state and of knobs.

Knobs (time step, temperature, friction) are arguments of a step, never constants of the compiled
program, so that they can be turned while a simulation runs.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt32

from so3lab import units


class Forces(NamedTuple):
    """What an integrator asks of a force field at some positions."""

    energy: Float[Array, ""]  # eV
    forces: Float[Array, "atoms 3"]  # eV/Å
    flaws: Int[Array, ""]  # not 0 when a pair list does not hold: the numbers are worth nothing


class MDState(NamedTuple):
    """Everything the next step depends on."""

    positions: Float[Array, "atoms 3"]  # Å
    velocities: Float[Array, "atoms 3"]  # Å per ASE time unit
    forces: Float[Array, "atoms 3"]  # eV/Å
    energy: Float[Array, ""]  # eV, potential
    seed: UInt32[Array, " words"]  # key data; random numbers are a function of it and of the step
    step: Int[Array, ""]
    flaws: Int[Array, ""]  # of the last step's pair lists; not 0: this state is worth nothing


class Knobs(NamedTuple):
    """What a person may turn while the simulation runs, in ASE units; numbers, or arrays in compiled code."""

    timestep: float | Float[Array, ""]
    temperature: float | Float[Array, ""]  # k_B T in eV
    friction: float | Float[Array, ""]  # per ASE time unit

    @classmethod
    def of(cls, timestep_fs: float, temperature_K: float, friction_per_ps: float) -> "Knobs":
        """Knobs from the units that people type."""
        return cls(timestep_fs * units.fs, temperature_K * units.kB, friction_per_ps / units.ps)


class Integrator(NamedTuple):
    """A pair of pure functions."""

    init: Callable[..., MDState]  # (positions, velocities, seed) -> state
    step: Callable[[MDState, Knobs], MDState]


ForceFunction = Callable[[Float[Array, "atoms 3"]], Forces]


def _start(force_fn: ForceFunction, positions, velocities, seed) -> MDState:
    found = force_fn(positions)
    return MDState(
        positions, velocities, found.forces, found.energy, seed, jnp.zeros((), jnp.int32), found.flaws
    )


def _finish(
    state: MDState, positions, velocities, inverse_masses, timestep, force_fn: ForceFunction
) -> MDState:
    """Forces at the new positions and the last half kick."""
    found = force_fn(positions)
    velocities = velocities + 0.5 * timestep * inverse_masses * found.forces
    return MDState(positions, velocities, found.forces, found.energy, state.seed, state.step + 1, found.flaws)


def velocity_verlet(force_fn: ForceFunction, masses: Float[Array, " atoms"]) -> Integrator:
    """Constant energy (NVE): the symplectic, time-reversible second-order scheme.

    Args:
        force_fn: Forces at given positions.
        masses: amu.
    """
    inverse_masses = 1.0 / masses[:, None]

    def step(state: MDState, knobs: Knobs) -> MDState:
        half = state.velocities + 0.5 * knobs.timestep * inverse_masses * state.forces
        positions = state.positions + knobs.timestep * half
        return _finish(state, positions, half, inverse_masses, knobs.timestep, force_fn)

    return Integrator(lambda positions, velocities, seed: _start(force_fn, positions, velocities, seed), step)


def langevin(force_fn: ForceFunction, masses: Float[Array, " atoms"]) -> Integrator:
    r"""Constant temperature (NVT) by Langevin dynamics in the BAOAB splitting.

    Kick, drift, exact Ornstein-Uhlenbeck step, drift, kick: configurational averages are accurate to
    second order in the time step with a very small constant, and exact for harmonic forces. All 3N
    degrees of freedom are thermostatted, overall motion included.

    Source: Leimkuhler and Matthews, Appl. Math. Res. Express 2013, 34 (2013).

    Args:
        force_fn: Forces at given positions.
        masses: amu.
    """
    inverse_masses = 1.0 / masses[:, None]

    def step(state: MDState, knobs: Knobs) -> MDState:
        half = 0.5 * knobs.timestep
        velocities = state.velocities + half * inverse_masses * state.forces
        positions = state.positions + half * velocities
        decay = jnp.exp(-knobs.friction * knobs.timestep)
        width = jnp.sqrt((1.0 - decay * decay) * knobs.temperature * inverse_masses)
        key = jax.random.fold_in(jax.random.wrap_key_data(state.seed), state.step)
        velocities = decay * velocities + width * jax.random.normal(key, velocities.shape, velocities.dtype)
        positions = positions + half * velocities
        return _finish(state, positions, velocities, inverse_masses, knobs.timestep, force_fn)

    return Integrator(lambda positions, velocities, seed: _start(force_fn, positions, velocities, seed), step)


INTEGRATORS: dict[str, Callable[[ForceFunction, Float[Array, " atoms"]], Integrator]] = {
    "nve": velocity_verlet,
    "langevin": langevin,
}


def degrees_of_freedom(atoms: int, ensemble: str, periodic: bool, linear: bool = False) -> int:
    """Degrees of freedom that carry kinetic energy: 3N less what the start sets to zero and the dynamics keep.

    Langevin noise heats overall translation and rotation too; constant energy keeps the momentum at zero
    and, without a cell, the angular momentum as well.
    """
    if ensemble == "langevin":
        return 3 * atoms
    lost = 3 if periodic or atoms == 1 else (5 if linear else 6)
    return max(3 * atoms - lost, 1)


def thermal_velocities(
    positions: Float[np.ndarray, "atoms 3"],
    masses: Float[np.ndarray, " atoms"],
    temperature_K: float,
    *,
    seed: int,
    periodic: bool = False,
) -> Float[np.ndarray, "atoms 3"]:
    """Maxwell-Boltzmann velocities without net momentum and, for a free molecule, without rotation.

    They are scaled so that the kinetic temperature over the remaining degrees of freedom is exactly the
    one asked for.

    Args:
        positions: Å.
        masses: amu.
        temperature_K: K.
        seed: Of the random numbers.
        periodic: Whether there is a cell; rotation is then kept.

    Returns:
        Å per ASE time unit, float64.
    """
    if temperature_K < 0:
        raise ValueError(f"temperature_K must not be negative, got {temperature_K}")
    random = np.random.default_rng(seed)
    velocities = random.normal(size=positions.shape) * np.sqrt(units.kB * temperature_K / masses)[:, None]
    if len(masses) == 1:
        return velocities
    velocities -= masses @ velocities / masses.sum()
    if not periodic:
        velocities -= _rigid_rotation(positions, velocities, masses)
    kinetic = 0.5 * np.sum(masses[:, None] * velocities**2)
    wanted = 0.5 * units.kB * temperature_K
    wanted *= degrees_of_freedom(len(masses), "nve", periodic, is_linear(positions))
    return velocities * np.sqrt(wanted / kinetic) if kinetic > 0 else velocities


def is_linear(positions: Float[np.ndarray, "atoms 3"]) -> bool:
    """Whether all atoms lie on a line."""
    spread = np.linalg.svd(positions - positions.mean(axis=0), compute_uv=False)
    return bool(len(spread) < 2 or spread[1] < 1e-3 * max(spread[0], 1e-9))


def _rigid_rotation(positions, velocities, masses) -> Float[np.ndarray, "atoms 3"]:
    """Velocities of the rigid rotation that has the same angular momentum."""
    centred = positions - masses @ positions / masses.sum()
    momentum = np.sum(np.cross(centred, masses[:, None] * velocities), axis=0)
    squares = np.sum(masses * np.sum(centred**2, axis=1)) * np.eye(3)
    inertia = squares - np.einsum("a,ai,aj->ij", masses, centred, centred)
    return np.cross(np.linalg.pinv(inertia, rcond=1e-8) @ momentum, centred)


def key_data(seed: int) -> UInt32[np.ndarray, " words"]:
    """The words of a JAX random key, as plain numbers that can be stored."""
    return np.asarray(jax.random.key_data(jax.random.key(seed)))
