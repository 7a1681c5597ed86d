"""What is compiled: many steps of all structures in one call, until they are done or something does not hold."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import ase
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from so3lab.dynamics.ensembles import CONSTANT_PRESSURE
from so3lab.dynamics.integrators import (
    INTEGRATORS,
    Forces,
    MDState,
    Particles,
    StepParameters,
    particles_of,
)
from so3lab.dynamics.limits import LimitArrays, Limits, check_limits, limit_arrays
from so3lab.engine.energy_model import Dtype, precision
from so3lab.engine.forces import ForceSpec, StructureArrays, forces_at, structure_arrays
from so3lab.engine.pair_lists import CandidatePairs, PairListSpec
from so3lab.machine.compilation import on_device


class System(NamedTuple):
    """Arrays of the structures that stay the same, whatever the pair lists."""

    arrays: StructureArrays
    particles: Particles
    limits: LimitArrays


class Buffers(NamedTuple):
    """Frames collected on the device."""

    positions: Float[Array, "frames atoms 3"]
    velocities: Float[Array, "frames atoms 3"]
    forces: Float[Array, "frames atoms 3"]
    energy: Float[Array, "frames structures"]
    bias: Float[Array, "frames structures"]
    bath_energy: Float[Array, "frames structures"]
    step: Int[Array, " frames"]
    cells: Float[Array, "frames structures 3 3"] | None
    virial: Float[Array, "frames structures 3 3"] | None


class LoopState(NamedTuple):
    """A chunk under way."""

    state: MDState  # after the last good step; its pair list flags are those of the step tried next
    buffers: Buffers
    done: Int[Array, ""]  # good steps


class LoopSpec(NamedTuple):
    """What is compiled in as a constant."""

    energy: Callable
    pairs: PairListSpec
    ensemble: str


@functools.partial(jax.jit, static_argnames="loop_spec", donate_argnames="buffers")
def run_chunk(
    loop_spec: LoopSpec,
    parameters: Any,
    system: System,
    candidates: CandidatePairs,
    state: MDState,
    buffers: Buffers,
    done: Int[Array, ""],
    knobs: StepParameters,
    steps: Int[Array, ""],
    interval: Int[Array, ""],
) -> LoopState:
    """Steps until ``steps`` are done, a pair list fails, or nobody is left; numbers never compile anything.

    The state outlives the call, the buffers do not.
    """
    particles = system.particles
    spec = ForceSpec(loop_spec.energy, loop_spec.pairs, loop_spec.ensemble in CONSTANT_PRESSURE)

    def force_fn(positions: Float[Array, "atoms 3"], cells: Float[Array, "structures 3 3"] | None) -> Forces:
        return forces_at(spec, parameters, system.arrays, candidates, positions, cells, knobs.biases)

    step = INTEGRATORS[loop_spec.ensemble](force_fn, particles)

    def unfinished(progress: LoopState) -> Bool[Array, ""]:
        state = progress.state
        return (progress.done < steps) & jnp.all(state.pair_list_flags == 0) & jnp.any(state.stop_flags == 0)

    def one_step(progress: LoopState) -> LoopState:
        old = progress.state
        present = knobs.at(old.step + 1)
        tried = step(old, present)
        relevant = jnp.where(old.stop_flags == 0, tried.pair_list_flags, 0)
        good = jnp.all(relevant == 0)
        found = check_limits(system.limits, tried, old, particles, present.temperature)
        stop_flags = jnp.where(old.stop_flags == 0, found, old.stop_flags)
        state = _kept(tried, old, good & (stop_flags == 0), particles)
        now = old.step + good.astype(jnp.int32)
        last_good_step = jnp.where(good & (stop_flags != 0) & (old.stop_flags == 0), old.step, old.last_good_step)
        done = progress.done + good
        state = state._replace(
            step=now,
            pair_list_flags=relevant,
            stop_flags=jnp.where(good, stop_flags, old.stop_flags),
            last_good_step=last_good_step,
        )
        # Each step of a frame writes its row; the last one stays.
        row = jnp.maximum(done - 1, 0) // interval
        buffers = jax.tree.map(lambda rows, new: rows.at[row].set(new), progress.buffers, frame_of(state))
        return LoopState(state, buffers, done)

    return jax.lax.while_loop(unfinished, one_step, LoopState(state, buffers, done))


_OF_ATOMS = ("positions", "velocities", "forces")
_OF_STRUCTURES = ("energy", "bias", "bath_energy", "thermostat_state", "cells", "virial")


def _kept(new: MDState, old: MDState, keep: Bool[Array, " structures"], particles: Particles) -> MDState:
    """The new state of those structures that keep it, the old one of the others."""
    of_atoms = keep if particles.structures == 1 else keep[particles.structure_index]

    def chosen(name: str, mask: Bool[Array, " rows"]) -> Any:
        values, others = getattr(new, name), getattr(old, name)
        if values is None:
            return None
        return jnp.where(mask.reshape(mask.shape + (1,) * (values.ndim - 1)), values, others)

    return new._replace(
        **{name: chosen(name, of_atoms) for name in _OF_ATOMS},
        **{name: chosen(name, keep) for name in _OF_STRUCTURES},
    )


def frame_of(state: MDState) -> Buffers:
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
    with precision(dtype):
        masses = np.concatenate([atoms.get_masses() for atoms in structures])
        sizes = np.array([len(atoms) for atoms in structures])
        return System(
            structure_arrays(structures, dtype),
            particles_of(masses, freedom, sizes, np.concatenate(held), dtype),
            on_device(limit_arrays(structures, limits, cutoff, dtype)),
        )
