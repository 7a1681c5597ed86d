"""What is compiled: many steps of all structures in one call, until they are done or something does not hold."""

import functools
from collections.abc import Callable, Sequence
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
    Forces,
    MDState,
    bodies_of,
)
from so3lab.dynamics.limits import Limits, Watch, fates, watch_of
from so3lab.engine.energy_model import Dtype, numerics
from so3lab.engine.forces import ForceSpec, StructureArrays, forces_at, structure_arrays
from so3lab.engine.pair_lists import Reach
from so3lab.machine.compilation import on_device


class System(NamedTuple):
    """Arrays of the structures that stay the same, whatever the pair lists."""

    arrays: StructureArrays
    bodies: Bodies
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


class Progress(NamedTuple):
    """A chunk under way."""

    state: MDState  # after the last good step; its flaws tell of the step that was tried next
    buffers: Buffers
    done: Int[Array, ""]  # good steps


class Program(NamedTuple):
    """What is compiled in as a constant."""

    energy: Callable
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
    spec = ForceSpec(program.energy, program.reach, program.ensemble in CONSTANT_PRESSURE)

    def force_fn(positions, cells) -> Forces:
        return forces_at(spec, parameters, system.arrays, surroundings, positions, cells, knobs.steering)

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
        masses = np.concatenate([atoms.get_masses() for atoms in structures])
        sizes = np.array([len(atoms) for atoms in structures])
        return System(
            structure_arrays(structures, dtype),
            bodies_of(masses, freedom, sizes, np.concatenate(held), dtype),
            on_device(watch_of(structures, limits, cutoff, dtype)),
        )
