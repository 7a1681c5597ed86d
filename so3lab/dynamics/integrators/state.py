"""What changes from step to step, what stays, and what a person may turn meanwhile; for any number of structures.

The atoms of all structures stand one after another, as in :class:`so3lab.structures.graph.Graph`. Structures know
nothing of one another: each has its energy, its thermostat and its own random numbers, which are those it would have
alone.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Shaped, UInt32

from so3lab import units
from so3lab.engine.biases import BiasArrays
from so3lab.engine.forces import Forces
from so3lab.machine.compilation import on_device
from so3lab.structures.neighbors import HostOrDevice

Number = float | Float[Array, ""]
Temperature = float | Float[HostOrDevice, " structures"]
"""k_B T in eV, of all structures or of each."""


class MDState(NamedTuple):
    """Everything the next step depends on."""

    positions: Float[Array, "atoms 3"]  # Å
    velocities: Float[Array, "atoms 3"]  # Å per ASE time unit
    forces: Float[Array, "atoms 3"]  # eV/Å
    energy: Float[Array, " structures"]  # eV, potential
    bias: Float[Array, " structures"]  # eV
    bath_energy: Float[Array, " structures"]  # eV that thermostat and barostat have given so far
    thermostat_state: Float[Array, "structures variables"]  # of the thermostat; none for most
    seed: UInt32[Array, "structures words"]  # key data; random numbers are a function of it and of the step
    step: Int[Array, ""]
    pair_list_flags: Int[Array, " structures"]  # of the last step's pair lists; not 0: this state is worth nothing
    stop_flags: Int[Array, " structures"]  # 0 while all is well, else a sum of so3lab.dynamics.limits.StopReason
    last_good_step: Int[Array, " structures"]  # of a structure that was stopped
    cells: Float[Array, "structures 3 3"] | None = None  # Å, rows; None when no structure is periodic
    virial: Float[Array, "structures 3 3"] | None = None  # eV; None at constant volume


class Ramp(NamedTuple):
    """Temperatures that follow straight lines between some steps."""

    steps: Shaped[HostOrDevice, " corners"]
    temperatures: Float[HostOrDevice, " corners"]  # k_B T in eV


class StepParameters(NamedTuple):
    """What a person may turn while the simulation runs, in ASE units; numbers, or arrays in compiled code."""

    timestep: Number
    temperature: Temperature
    friction: Number = 0.0  # per ASE time unit, of Langevin dynamics
    thermostat_time: Number = 100.0 * units.fs  # ASE time units, of Nosé-Hoover, CSVR and NPT
    pressure: Number = 0.0  # eV/Å³
    barostat_time: Number = 1000.0 * units.fs
    compressibility: Number = 0.45 / units.GPa  # Å³/eV; it only scales the time of the barostat
    ramp: Ramp | None = None  # instead of the temperature
    biases: BiasArrays | None = None

    def at(self, step: Int[Array, ""]) -> "StepParameters":
        """The knobs at a step of the ramp."""
        if self.ramp is None:
            return self
        now = jnp.interp(step.astype(self.ramp.temperatures.dtype), self.ramp.steps, self.ramp.temperatures)
        return self._replace(temperature=jnp.broadcast_to(now, jnp.shape(self.temperature)))


class Particles(NamedTuple):
    """What moves."""

    masses: Float[Array, " atoms"]  # amu
    inverse_masses: Float[Array, "atoms 1"]  # 0 for atoms that are held
    structure_index: Int[Array, " atoms"]
    members: Int[Array, "structures largest"]  # atoms of each structure; what is beyond its last one is padding
    rows: Int[Array, " atoms"]  # where an atom stands in ``members``, flattened
    degrees_of_freedom: Float[Array, " structures"]  # that carry kinetic energy

    @property
    def structures(self) -> int:
        """How many there are."""
        return self.degrees_of_freedom.shape[0]


def particles_of(
    masses: Float[np.ndarray, " atoms"],
    degrees_of_freedom: Float[np.ndarray, " structures"],
    sizes: Int[np.ndarray, " structures"] | None = None,
    held: Shaped[np.ndarray, " atoms"] | None = None,
    dtype: str | None = None,
) -> Particles:
    """Arrays of what moves.

    Args:
        masses: amu, of the atoms of all structures one after another.
        degrees_of_freedom: Of each structure (:func:`so3lab.dynamics.integrators.degrees_of_freedom`).
        sizes: Atoms of each structure; default: one structure.
        held: True for atoms that stay where they are.
        dtype: Precision; default: JAX's present one.
    """
    sizes = np.array([len(masses)]) if sizes is None else np.asarray(sizes)
    largest, starts = int(sizes.max()), np.concatenate([[0], np.cumsum(sizes)[:-1]])
    index = np.repeat(np.arange(len(sizes)), sizes)
    places = np.arange(len(masses)) - starts[index]
    members = np.zeros((len(sizes), largest), np.int32)
    members[index, places] = np.arange(len(masses))
    inverse = 1.0 / np.asarray(masses, np.float64)
    if held is not None:
        inverse = np.where(held, 0.0, inverse)
    real, whole = (lambda x: on_device(x, dtype or float)), (lambda x: on_device(x, np.int32))
    return Particles(
        real(masses),
        real(inverse[:, None]),
        whole(index),
        whole(members),
        whole(index * largest + places),
        real(degrees_of_freedom),
    )


Integrator = Callable[[MDState, StepParameters], MDState]
"""One step."""
ForceFunction = Callable[[Float[Array, "atoms 3"], Float[Array, "structures 3 3"] | None], Forces]


def finished(
    state: MDState,
    positions: Float[Array, "atoms 3"],
    velocities: Float[Array, "atoms 3"],
    particles: Particles,
    timestep: Number,
    force_fn: ForceFunction,
    cells: Float[Array, "structures 3 3"] | None = None,
) -> MDState:
    """Forces at the new positions and the last half kick."""
    cells = state.cells if cells is None else cells
    found = force_fn(positions, cells)
    return state._replace(
        positions=positions,
        velocities=velocities + 0.5 * timestep * particles.inverse_masses * found.forces,
        forces=found.forces,
        energy=found.energy,
        bias=found.bias,
        step=state.step + 1,
        pair_list_flags=found.pair_list_flags,
        cells=cells,
        virial=found.virial,
    )


def kinetic_energies(velocities: Float[Array, "atoms 3"], particles: Particles) -> Float[Array, " structures"]:
    """Kinetic energy of each structure in eV."""
    return 0.5 * sum_of_structures(particles.masses * jnp.sum(velocities * velocities, axis=1), particles)


def sum_of_structures(values: Float[Array, "atoms *rest"], particles: Particles) -> Float[Array, "structures *rest"]:
    """Sum over the atoms of each structure."""
    if particles.structures == 1:
        return values.sum(axis=0)[None]
    empty = jnp.zeros((particles.structures, *values.shape[1:]), values.dtype)
    return empty.at[particles.structure_index].add(values, mode="promise_in_bounds")


def to_atoms(values: Shaped[Array, "structures *rest"], particles: Particles) -> Shaped[Array, "rows *rest"]:
    """The value of each atom's structure; one row for all when there is one structure."""
    return values if particles.structures == 1 else values[particles.structure_index]


def step_keys(state: MDState, purpose: int) -> Array:
    """A random key for each structure, for one purpose in this step."""

    def of(seed: UInt32[Array, " words"]) -> Array:
        return jax.random.fold_in(
            jax.random.fold_in(jax.random.wrap_key_data(seed, impl="threefry2x32"), state.step), purpose
        )

    return jax.vmap(of)(state.seed)


def normal_for_atoms(keys: Array, particles: Particles, dtype: jnp.dtype) -> Float[Array, "atoms 3"]:
    """Normal numbers for all atoms; those of a structure do not depend on what else is simulated."""
    structures, largest = particles.members.shape
    drawn = jax.vmap(lambda key: jax.random.normal(key, (largest, 3), dtype))(keys).reshape(-1, 3)
    return drawn if structures * largest == particles.rows.shape[0] else drawn[particles.rows]


def key_data(seed: int) -> UInt32[np.ndarray, " words"]:
    """The words of JAX's threefry key of a seed, which are its two halves."""
    return np.array([seed >> 32 & 0xFFFFFFFF, seed & 0xFFFFFFFF], np.uint32)
