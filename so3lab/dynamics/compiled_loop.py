"""What is compiled: many steps of all structures in one call, until they are done or something does not hold."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import ase
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from so3lab.dynamics.integrators import (
    CONSTANT_PRESSURE,
    INTEGRATORS,
    Bodies,
    ForceFunction,
    Forces,
    MDState,
    bodies_of,
)
from so3lab.dynamics.limits import Limits, Watch, fates, watch_of
from so3lab.engine.biases import bias_energies
from so3lab.engine.energy_model import Dtype, energy_and_forces, numerics
from so3lab.engine.pair_lists import Reach, Surroundings, find_surroundings
from so3lab.machine.compilation import on_device
from so3lab.structures.graph import (
    Graph,
    Species,
    species_of,
    times_matrix,
    total_charge,
    unpaired_electrons,
)


class System(NamedTuple):
    """Arrays of the structures that stay the same, whatever the pair lists."""

    atomic_numbers: Int[Array, " atoms"]
    bodies: Bodies
    charges: Float[Array, " structures"]
    unpaired: Float[Array, " structures"]
    species: Species
    watch: Watch


class Buffers(NamedTuple):
    """Frames collected on the device."""

    positions: Float[Array, "frames atoms 3"]
    velocities: Float[Array, "frames atoms 3"]
    forces: Float[Array, "frames atoms 3"]
    energy: Float[Array, "frames structures"]
    bias: Float[Array, "frames structures"]
    heat: Float[Array, "frames structures"]
    step: Int[Array, " frames"]
    cells: Float[Array, "frames structures 3 3"] | None
    virial: Float[Array, "frames structures 3 3"] | None


def _force_function(
    energy, reach: Reach, parameters, system: System, surroundings: Surroundings, steering, with_virial: bool
) -> ForceFunction:
    """Forces at given positions, pair search and biases included; for compiled code."""
    bodies = system.bodies
    atoms, structures = len(system.atomic_numbers), bodies.structures

    def force_fn(positions, cells) -> Forces:
        wrapped, pairs, long_range, flaws = find_surroundings(
            surroundings, reach, positions, cells, bodies.structure_index, structures
        )
        graph = Graph(
            wrapped, system.atomic_numbers, bodies.structure_index, jnp.ones(atoms, bool), pairs.receivers,
            pairs.senders, pairs.mask, system.charges, system.unpaired, pairs.images, cells,
            long_range=long_range, species=system.species,
        )  # fmt: skip
        found = energy_and_forces(energy, parameters, graph, with_strain=with_virial)
        if steering is None:
            none = jnp.zeros_like(found.energies)
            return Forces(found.energies, found.forces, flaws, none, found.strain_gradient)

        def biased(_, graph, strain):
            """Biases know atoms as they move, which the graph's may be images of."""
            place, box = graph.positions, cells
            if strain is not None:
                place = place + times_matrix(place, strain, bodies.structure_index)
                box = cells + cells @ strain
            return bias_energies(steering, place, bodies.masses, bodies.structure_index, box, structures)

        added = energy_and_forces(biased, None, graph._replace(positions=positions), with_strain=with_virial)
        virial = None
        if found.strain_gradient is not None and added.strain_gradient is not None:
            virial = found.strain_gradient + added.strain_gradient
        return Forces(found.energies, found.forces + added.forces, flaws, added.energies, virial)

    return force_fn


class Progress(NamedTuple):
    """A chunk under way."""

    state: MDState  # after the last good step; its flaws tell of the step that was tried next
    buffers: Buffers
    done: Int[Array, ""]  # good steps


class Program(NamedTuple):
    """What is compiled in as a constant."""

    energy: object
    reach: Reach
    ensemble: str


@functools.partial(jax.jit, static_argnames="program", donate_argnames="buffers")
def run_chunk(
    program: Program,
    parameters,
    system,
    surroundings,
    state: MDState,
    buffers: Buffers,
    done,
    knobs,
    steps,
    interval,
) -> Progress:
    """Steps until ``steps`` are done, a pair list fails, or nobody is left; numbers never compile anything.

    The state outlives the call, the buffers do not.
    """
    bodies = system.bodies
    force_fn = _force_function(
        program.energy,
        program.reach,
        parameters,
        system,
        surroundings,
        knobs.steering,
        program.ensemble in CONSTANT_PRESSURE,
    )
    step = INTEGRATORS[program.ensemble](force_fn, bodies).step

    def unfinished(progress: Progress):
        state = progress.state
        return (progress.done < steps) & jnp.all(state.flaws == 0) & jnp.any(state.fate == 0)

    def one_step(progress: Progress) -> Progress:
        old = progress.state
        present = knobs.at(old.step + 1)
        tried = step(old, present)
        relevant = jnp.where(old.fate == 0, tried.flaws, 0)
        good = jnp.all(relevant == 0)
        found = fates(system.watch, tried, old, bodies, present.temperature)
        fate = jnp.where(old.fate == 0, found, old.fate)
        state = _kept(tried, old, good & (fate == 0), bodies)
        now = old.step + good.astype(jnp.int32)
        ended = jnp.where(good & (fate != 0) & (old.fate == 0), old.step, old.ended)
        done = progress.done + good
        state = state._replace(step=now, flaws=relevant, fate=jnp.where(good, fate, old.fate), ended=ended)
        # Each step of a frame writes its row; the last one stays.
        row = jnp.maximum(done - 1, 0) // interval
        buffers = jax.tree.map(lambda rows, new: rows.at[row].set(new), progress.buffers, recorded(state))
        return Progress(state, buffers, done)

    return jax.lax.while_loop(unfinished, one_step, Progress(state, buffers, done))


_OF_ATOMS = ("positions", "velocities", "forces")
_OF_STRUCTURES = ("energy", "bias", "heat", "bath", "cells", "virial")


def _kept(new: MDState, old: MDState, keep, bodies: Bodies) -> MDState:
    """The new state of those structures that keep it, the old one of the others."""
    of_atoms = keep if bodies.structures == 1 else keep[bodies.structure_index]

    def chosen(name: str, mask):
        values, others = getattr(new, name), getattr(old, name)
        if values is None:
            return None
        return jnp.where(mask.reshape(mask.shape + (1,) * (values.ndim - 1)), values, others)

    return new._replace(
        **{name: chosen(name, of_atoms) for name in _OF_ATOMS},
        **{name: chosen(name, keep) for name in _OF_STRUCTURES},
    )


def recorded(state: MDState) -> Buffers:
    return Buffers(*(getattr(state, name) for name in Buffers._fields))


def system_of(
    structures: Sequence[ase.Atoms],
    held: list[np.ndarray],
    freedom: np.ndarray,
    limits: Limits,
    cutoff: float,
    dtype: Dtype,
) -> System:
    """Arrays of structures, those atoms held that are said to be."""
    with numerics(dtype):
        real = functools.partial(on_device, dtype=dtype)
        masses = np.concatenate([atoms.get_masses() for atoms in structures])
        sizes = np.array([len(atoms) for atoms in structures])
        return System(
            on_device(np.concatenate([atoms.numbers for atoms in structures]), np.int32),
            bodies_of(masses, freedom, sizes, np.concatenate(held), dtype),
            real(np.array([total_charge(atoms) for atoms in structures])),
            real(np.array([unpaired_electrons(atoms) for atoms in structures])),
            on_device(species_of(structures)),
            on_device(watch_of(structures, limits, cutoff, dtype)),
        )
