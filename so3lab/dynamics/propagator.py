"""How a state becomes a later one: chunks of compiled steps, with their pair lists and their room for frames.

It knows arrays alone: when, why and for whom they move is for :mod:`so3lab.dynamics.replicas`.
"""

import functools
from collections.abc import Sequence

import ase
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, UInt32

from so3lab.dynamics.compiled_loop import Buffers, LoopSpec, LoopState, System, frame_of, run_chunk
from so3lab.dynamics.ensembles import CONSTANT_PRESSURE, Ensemble
from so3lab.dynamics.integrators import THERMOSTAT_VARIABLES, MDState, StepParameters
from so3lab.dynamics.limits import StopReason
from so3lab.engine.energy_model import EnergyModel, precision
from so3lab.engine.forces import Stop, go_on
from so3lab.engine.pair_lists import CandidatePairs, PairLists, PairListSpec
from so3lab.machine.compilation import on_device

FRAMES_PER_CHUNK = 64
MEMORY_PER_CHUNK = 256e6
"""Bytes of frames collected on the device; large systems get fewer frames per chunk."""


class Propagator:
    """Moves structures in a force field, as many at once as there are.

    Args:
        field: The force field.
        structures: All molecules or all cells, where the pair lists begin.
        system: Their arrays.
        ensemble: How they move.
    """

    def __init__(self, field: EnergyModel, structures: Sequence[ase.Atoms], system: System, ensemble: Ensemble):
        self.system, self._field, self._ensemble = system, field, ensemble
        self._count, self._cells_change = len(structures), ensemble in CONSTANT_PRESSURE
        self._buffers: Buffers | None = None
        with precision(field.dtype):
            self.lists = PairLists(structures, field.cutoff, field.long_range, field.dtype, self._cells_change)
        per_frame = 9 * sum(len(atoms) for atoms in structures) * np.dtype(field.dtype).itemsize
        self.most_frames = max(1, min(FRAMES_PER_CHUNK, int(MEMORY_PER_CHUNK / per_frame)))
        """Frames that a chunk may have."""

    def at_start(
        self,
        positions: Float[np.ndarray, "atoms 3"],
        velocities: Float[np.ndarray, "atoms 3"],
        seeds: UInt32[np.ndarray, "structures words"],
    ) -> MDState:
        """The state before the first one, which has no forces yet (:meth:`with_forces`).

        Args:
            positions: Å.
            velocities: Å per ASE time unit.
            seeds: Keys of the noise.
        """
        dtype, count = self._field.dtype, self._count
        with precision(dtype):
            real = functools.partial(on_device, dtype=dtype)
            none, nothing = on_device(np.zeros(count, np.int32)), real(np.zeros(count))
            cells = None if self.lists.cells is None else real(self.lists.cells)
            virial = real(np.zeros((count, 3, 3))) if self._cells_change else None
            return MDState(
                real(positions), real(velocities), real(np.zeros(positions.shape)), nothing, nothing, nothing,
                real(np.zeros((count, THERMOSTAT_VARIABLES.get(self._ensemble, 0)))), on_device(seeds),
                on_device(-1, np.int32), none, none, none, cells, virial,
            )  # fmt: skip

    def with_forces(self, state: MDState, knobs: StepParameters) -> MDState:
        """A state at step -1 with its forces: after a step of no length, with the program of all later steps.

        It is judged by its numbers alone: where an energy is not finite, a flag says so.
        """
        # A nil of the same type: a bare 0.0 would be another one to JAX, and compile everything a second time.
        settled = self.run(state, knobs._replace(timestep=0 * knobs.timestep), 1, 1).state
        with precision(self._field.dtype):
            return settled._replace(bath_energy=on_device(np.zeros(self._count), self._field.dtype))

    def run(self, state: MDState, knobs: StepParameters, steps: int, interval: int) -> LoopState:
        """A chunk after so many steps, or fewer when no structure is left; its frames last until the next one.

        Args:
            state: Where it begins.
            knobs: Arrays of the force field's precision.
            steps: At most ``interval`` times :attr:`most_frames`.
            interval: Steps from frame to frame.
        """
        with precision(self._field.dtype):
            start = LoopState(state, self._take_buffers(state), on_device(0, np.int32))

            def advance(progress: LoopState, pair_list_spec: PairListSpec, candidates: CandidatePairs) -> LoopState:
                none = on_device(np.zeros(self._count, np.int32))
                sound = progress._replace(state=progress.state._replace(pair_list_flags=none))
                loop_spec = LoopSpec(self._field.energy, pair_list_spec, self._ensemble)
                return run_chunk(
                    loop_spec, self._field.parameters, self.system, candidates, *sound, knobs, steps, interval
                )

            progress = go_on(self.lists, start, advance, self._stop_of, _given_up)
        self._buffers = progress.buffers
        return progress

    def count_degrees_of_freedom(self, counted: Float[np.ndarray, " structures"]) -> None:
        """Share heat among so many from now on, of each structure."""
        with precision(self._field.dtype):
            shared = on_device(counted, self._field.dtype)
        self.system = self.system._replace(particles=self.system.particles._replace(degrees_of_freedom=shared))

    def _take_buffers(self, state: MDState) -> Buffers:
        """Room for frames on the device; that of the last chunk is written over, and lost to whoever held it."""
        buffers, self._buffers = self._buffers, None
        if buffers is not None:
            return buffers
        empty = jax.tree.map(lambda row: np.zeros((self.most_frames, *row.shape), row.dtype), frame_of(state))
        return on_device(empty)

    def _stop_of(self, progress: LoopState) -> Stop:
        """Where a chunk stopped."""
        state = progress.state
        cells = state.cells if self._cells_change else None
        return Stop(int(progress.done), np.asarray(state.pair_list_flags), state.positions, cells)


def first_rows(rows: jax.Array, count: int) -> jax.Array:
    """At least so many rows, sliced where they are: few lengths, so that few slices are compiled; on CPU a view."""
    if all(device.platform == "cpu" for device in rows.devices()):
        return rows
    return rows[: min(1 << (count - 1).bit_length(), len(rows))]


def _given_up(progress: LoopState, leapt: Bool[np.ndarray, " structures"]) -> LoopState:
    """Structures in which an atom leapt over the skin of its pair list in one step stay where they are."""
    state = progress.state
    stop_flags = jnp.where(leapt, StopReason.PAIR_LIST_STALE.value, state.stop_flags)
    return progress._replace(
        state=state._replace(stop_flags=stop_flags, last_good_step=jnp.where(leapt, state.step, state.last_good_step))
    )
