"""Structures that move, one or many at once: chunks of steps on the device, frames out of them.

Nothing leaves the device within a chunk; knobs are read between chunks and never compile anything again.
"""

import functools
from collections.abc import Sequence
from typing import Any

import ase
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, UInt32

from so3lab.dynamics.chunk import Chunk, chunk_of
from so3lab.dynamics.compiled_loop import Buffers, LoopSpec, LoopState, frame_of, run_chunk, system_of
from so3lab.dynamics.control import Control
from so3lab.dynamics.ensembles import CONSTANT_PRESSURE, ENSEMBLES, Ensemble
from so3lab.dynamics.fastest_vibration import check_timestep
from so3lab.dynamics.freedom import DegreesOfFreedom
from so3lab.dynamics.initial_conditions import checked_held_atoms, start_velocities
from so3lab.dynamics.integrators import (
    THERMOSTAT_VARIABLES,
    MDState,
    StepParameters,
    key_data,
    kinetic_energies,
    thermal_velocities,
)
from so3lab.dynamics.limits import Limits, StopReason, check_cells, failure_message
from so3lab.dynamics.restart import with_present_names
from so3lab.engine.biases import BiasCapacity, bias_arrays
from so3lab.engine.energy_model import EnergyModel, precision
from so3lab.engine.forces import Stop, go_on
from so3lab.engine.pair_lists import CandidatePairs, PairLists, PairListSpec
from so3lab.machine.checksum import checksum
from so3lab.machine.compilation import on_device
from so3lab.potential.potential import Potential
from so3lab.structures.electrons import total_charge, unpaired_electrons
from so3lab.structures.plausibility import check_plausible

FRAMES_PER_CHUNK = 64
MEMORY_PER_CHUNK = 256e6
"""Bytes of frames collected on the device; large systems get fewer frames per chunk."""


class SimulationError(RuntimeError):
    """The simulation cannot go on; everything up to the last good frame has been yielded and written."""


class Replicas:
    """Structures moving in one force field at once: the state, and a method that advances it by a chunk.

    They may be copies of one structure or different ones, of different sizes; each has its own temperature, seed and
    thermostat, and none knows of the others. One that blows up stays behind while the others go on.

    Args:
        potential: A potential, or a :class:`~so3lab.engine.energy_model.EnergyModel` of any origin.
        structures: Start structures, all molecules or all cells. Velocities are used when there are any, otherwise
            thermal ones are drawn. Atoms under ASE's ``FixAtoms`` are held; other constraints are refused.
        ensemble: One of :data:`so3lab.dynamics.ensembles.ENSEMBLES`.
        control: The knobs; keep it to turn them.
        seeds: Of start velocities and noise, one for each structure; default: 0, 1, 2, ...
        limits: When a structure counts as blown up.
        bias_capacity: For biases beyond those that ``control`` has now, so that more may come without compilation.

    Raises:
        ValueError: If a structure or a knob is not acceptable.
    """

    def __init__(
        self,
        potential: Potential | EnergyModel,
        structures: Sequence[ase.Atoms],
        *,
        ensemble: Ensemble = "langevin",
        control: Control | None = None,
        seeds: Sequence[int] | None = None,
        limits: Limits | None = None,
        bias_capacity: BiasCapacity | None = None,
    ):
        if ensemble not in ENSEMBLES:
            raise ValueError(f"ensemble must be one of {', '.join(ENSEMBLES)}, got {ensemble!r}")
        if not structures:
            raise ValueError("structures must hold at least one structure, got none")
        seeds = list(range(len(structures))) if seeds is None else list(seeds)
        if len(seeds) != len(structures):
            raise ValueError(f"seeds must be {len(structures)}, one for each structure; got {len(seeds)}")
        if min(seeds) < 0:
            raise ValueError(f"seeds must not be negative, got {min(seeds)}")
        self.control, self.limits = control or Control(), limits or Limits()
        self.structures, self.seeds = [atoms.copy() for atoms in structures], seeds
        self.ensemble: Ensemble = ensemble
        self.time_fs = 0.0
        self._buffers: Buffers | None = None
        self.bias_capacity = (bias_capacity or BiasCapacity()).with_capacity_for(self.control.biases)
        self._biases: tuple | None = None
        self.shifts: np.ndarray = np.zeros(len(structures))
        if isinstance(potential, Potential):
            for atoms in structures:
                potential.check_structure(atoms)
                check_plausible(atoms)
                if self.limits.any:
                    check_timestep(atoms, self.control.timestep_fs)
            self.shifts = np.array([potential.shift_of(atoms) for atoms in structures])
        self._potential = potential
        self._field = potential.energy_model if isinstance(potential, Potential) else potential
        held = [checked_held_atoms(atoms, ensemble) for atoms in structures]
        stops = np.cumsum([len(atoms) for atoms in structures]).tolist()
        self._rows = [slice(start, stop) for start, stop in zip([0, *stops[:-1]], stops, strict=True)]
        temperatures = self.control.temperatures_K(len(structures))
        velocities = [
            start_velocities(*of_one, ensemble)
            for of_one in zip(structures, held, temperatures.tolist(), seeds, strict=True)
        ]
        self._freedom = DegreesOfFreedom(self.structures, held, velocities, ensemble)
        self._system = system_of(
            structures, held, self._freedom.counted, self.limits, self._field.cutoff, self._field.dtype
        )
        changing = ensemble in CONSTANT_PRESSURE
        with precision(self._field.dtype):
            self.lists = PairLists(structures, self._field.cutoff, self._field.long_range, self._field.dtype, changing)
        check_cells(structures, self.limits, self._field.cutoff)
        positions = np.concatenate([atoms.positions for atoms in structures])
        self.state = self._start(positions, np.concatenate(velocities), np.stack([key_data(s) for s in seeds]))

    def __len__(self) -> int:
        return len(self.structures)

    @property
    def step(self) -> int:
        """How many steps have been made."""
        return int(self.state.step)

    @property
    def most_frames(self) -> int:
        """Frames that a chunk may have."""
        per_frame = 9 * self.state.positions.size * self.state.positions.dtype.itemsize / 3
        return max(1, min(FRAMES_PER_CHUNK, int(MEMORY_PER_CHUNK / per_frame)))

    def identity(self) -> dict[str, Any]:
        """What must be the same when a run goes on: ensemble, precision, charges, spins, and a digest of the force
        field."""
        potential, field = self._potential, self._field
        if isinstance(potential, Potential):
            weights = potential.checksum
        else:
            weights = checksum(*(np.asarray(x) for x in jax.tree.leaves(field.parameters)))
        return {
            "ensemble": self.ensemble,
            "dtype": field.dtype,
            "weights": weights,
            "total_charges": [total_charge(atoms) for atoms in self.structures],
            "unpaired_electrons": [unpaired_electrons(atoms) for atoms in self.structures],
        }

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go on exactly from a state of :meth:`restart_state`."""
        state = with_present_names(state)
        with precision(self._field.dtype):
            present = {name: jnp.asarray(state[name]) for name in MDState._fields if name in state}
            self.state = MDState(**present)
            self.lists.restore(state)
        self.time_fs = float(state["time_fs"])

    def restart_state(self) -> dict[str, np.ndarray]:
        """Everything needed to go on exactly, as arrays."""
        arrays = {name: np.asarray(x) for name, x in self.state._asdict().items() if x is not None}
        return arrays | {"time_fs": np.array(self.time_fs)} | self.lists.state()

    def frames(self) -> list[Chunk]:
        """The present moment of each structure as a chunk of one frame."""
        rows = jax.tree.map(lambda x: np.asarray(x)[None], frame_of(self.state))
        times = np.array([self.time_fs])
        return [self._chunk(rows, times, number, 1) for number in range(len(self))]

    def advance(self, frames: int, interval: int) -> list[Chunk]:
        """Run ``frames * interval`` steps and return every ``interval``-th moment of each structure.

        When a pair list no longer holds, it is made anew and the steps go on from the last good one. The chunk of
        a structure that blew up ends with its last good frame, and is empty from then on; :meth:`failure` tells why.

        Raises:
            ValueError: If ``frames`` exceeds :attr:`most_frames`, or a bias is not acceptable.
        """
        if not 1 <= frames <= self.most_frames or interval < 1:
            raise ValueError(f"frames must be 1 to {self.most_frames} and interval positive, got {frames}, {interval}")
        start, timestep_fs = self.step, self.control.timestep_fs
        times = self.time_fs + timestep_fs * interval * np.arange(1, frames + 1)
        progress = self._progress(self._knobs(), frames * interval, interval)
        self._buffers = progress.buffers
        rows = jax.tree.map(lambda x: np.asarray(_first_rows(x, frames)), progress.buffers)
        last_good_step, stop_flags = np.asarray(progress.state.last_good_step), np.asarray(progress.state.stop_flags)
        good = np.where(stop_flags == 0, int(progress.done), np.maximum(last_good_step - start, 0)) // interval
        self.state = progress.state
        self.time_fs = self.time_fs + timestep_fs * int(progress.done)
        return [self._chunk(rows, times[: good[k]], k, int(good[k])) for k in range(len(self))]

    @property
    def alive(self) -> np.ndarray:
        """Which structures go on."""
        return np.asarray(self.state.stop_flags) == 0

    def failure(self, number: int = 0) -> str | None:
        """What ended the run of a structure: at which step, which atoms, and what to try; None while it goes on."""
        stop_flags = int(self.state.stop_flags[number])
        if stop_flags == 0:
            return None
        state = self.state
        positions, velocities, forces = (
            np.asarray(of_all, np.float64)[self._rows[number]]
            for of_all in (state.positions, state.velocities, state.forces)
        )
        return failure_message(
            stop_flags,
            int(self.state.last_good_step[number]) + 1,
            self.structures[number],
            positions,
            velocities,
            forces,
            self.limits,
            self.control.timestep_fs,
            None if state.virial is None or state.cells is None else np.asarray(state.cells[number], np.float64),
        )

    def present_atoms(self) -> list[ase.Atoms]:
        """The structures as they are now, with velocities."""
        result = []
        for number, (atoms, rows) in enumerate(zip(self.structures, self._rows, strict=True)):
            now = atoms.copy()
            now.set_constraint()
            now.positions = np.asarray(self.state.positions, np.float64)[rows]
            now.set_velocities(np.asarray(self.state.velocities, np.float64)[rows])
            now.set_constraint(atoms.constraints)
            if self.ensemble in CONSTANT_PRESSURE and self.state.cells is not None:
                now.cell = np.asarray(self.state.cells, np.float64)[number]
            result.append(now)
        return result

    def exchange_temperatures(self, temperatures_K: Sequence[float]) -> None:
        """Give each structure a new temperature and scale its velocities to it, as replica exchange does.

        The conserved energy does not see it: what scaling changes counts as heat.
        """
        old = self.control.temperatures_K(len(self))
        factors = np.sqrt(np.asarray(temperatures_K) / old)
        self.control.temperature_K = tuple(float(t) for t in temperatures_K)
        with precision(self._field.dtype):
            scale, particles = jnp.asarray(factors, self._field.dtype), self._system.particles
            kinetic = kinetic_energies(self.state.velocities, particles)
            self.state = self.state._replace(
                velocities=self.state.velocities * scale[particles.structure_index][:, None],
                bath_energy=self.state.bath_energy + (scale**2 - 1.0) * kinetic,
            )

    def go_to(
        self,
        positions: np.ndarray,
        velocities: np.ndarray,
        *,
        step: int,
        time_fs: float,
        cells: np.ndarray | None = None,
    ) -> None:
        """Go on from another moment, such as one of the past; whoever had blown up lives again.

        Args:
            positions: Of the atoms of all structures one after the other, Å.
            velocities: Å per ASE time unit.
            step: Its number.
            time_fs: Its time.
            cells: Vectors as rows for each structure, where the cell changes, Å.

        Raises:
            ValueError: If the arrays are those of other structures, or not finite.
            SimulationError: If a structure there has no energy; the present one is kept.
        """
        shape = self.state.positions.shape
        for name, array in (("positions", positions), ("velocities", velocities)):
            if np.shape(array) != shape or not np.isfinite(array).all():
                raise ValueError(f"{name} must be finite and have shape {shape}, got shape {np.shape(array)}")
        old = self.state
        with precision(self._field.dtype):
            real = functools.partial(jnp.asarray, dtype=self._field.dtype)
            self.state = self._with_forces(
                old._replace(
                    positions=real(positions),
                    velocities=real(velocities),
                    step=jnp.asarray(-1, jnp.int32),
                    cells=old.cells if cells is None else real(cells),
                    thermostat_state=jnp.zeros_like(old.thermostat_state),
                    stop_flags=jnp.zeros_like(old.stop_flags),
                    last_good_step=jnp.zeros_like(old.last_good_step),
                )
            )._replace(step=jnp.asarray(step, jnp.int32))
        self.time_fs = float(time_fs)

    def draw_velocities(self, seed: int) -> None:
        """New thermal velocities for all structures at the temperatures of now."""
        temperatures, now = self.control.temperatures_K(len(self)), self.present_atoms()
        drawn = [
            thermal_velocities(
                atoms.positions,
                atoms.get_masses(),
                temperature,
                seed=seed + number,
                periodic=bool(atoms.pbc.any()),
                held=checked_held_atoms(atoms, self.ensemble),
            )
            for number, (atoms, temperature) in enumerate(zip(now, temperatures, strict=True))
        ]
        with precision(self._field.dtype):
            velocities = jnp.asarray(np.concatenate(drawn), self._field.dtype)
            self.state = self.state._replace(velocities=velocities)

    def _knobs(self) -> StepParameters:
        """The knobs of now."""
        dtype, biases = self._field.dtype, tuple(self.control.biases)
        knobs = self.control.step_parameters(len(self))
        if self._biases != biases:
            self.bias_capacity = self.bias_capacity.with_capacity_for(biases)
            structures = self.structures if self._biases is None else self.present_atoms()
            self._bias_arrays = bias_arrays(biases, structures, self.bias_capacity, dtype)
            self._biases = biases
            self._count_degrees_of_freedom(biases)
        return jax.tree.map(lambda knob: np.asarray(knob, dtype), knobs)._replace(biases=self._bias_arrays)

    def _count_degrees_of_freedom(self, biases: tuple) -> None:
        """Pulls may set rotation free, which carries heat from then on."""
        if not self._freedom.add_pulls(biases):
            return
        particles = self._system.particles
        with precision(self._field.dtype):
            counted = on_device(self._freedom.counted, self._field.dtype)
        self._system = self._system._replace(particles=particles._replace(degrees_of_freedom=counted))

    def _progress(self, knobs: StepParameters, steps: int, interval: int) -> LoopState:
        """A chunk after so many steps, or fewer when no structure is left."""
        with precision(self._field.dtype):
            start = LoopState(self.state, self._take_buffers(), on_device(0, np.int32))

            def advance(progress: LoopState, pair_list_spec: PairListSpec, candidates: CandidatePairs) -> LoopState:
                state = progress.state
                sound = progress._replace(
                    state=state._replace(pair_list_flags=on_device(np.zeros(len(self), np.int32)))
                )
                loop_spec = LoopSpec(self._field.energy, pair_list_spec, self.ensemble)
                return run_chunk(
                    loop_spec, self._field.parameters, self._system, candidates, *sound, knobs, steps, interval
                )

            return go_on(self.lists, start, advance, self._stop_of, _given_up)

    def _take_buffers(self) -> Buffers:
        """Room for frames on the device; that of the last chunk is written over, and lost to whoever held it."""
        buffers, self._buffers = self._buffers, None
        if buffers is not None:
            return buffers
        empty = jax.tree.map(lambda row: np.zeros((self.most_frames, *row.shape), row.dtype), frame_of(self.state))
        return on_device(empty)

    def _stop_of(self, progress: LoopState) -> Stop:
        """Where a chunk stopped."""
        state = progress.state
        cells = state.cells if self.ensemble in CONSTANT_PRESSURE else None
        return Stop(int(progress.done), np.asarray(state.pair_list_flags), state.positions, cells)

    def _start(
        self,
        positions: Float[np.ndarray, "atoms 3"],
        velocities: Float[np.ndarray, "atoms 3"],
        seeds: UInt32[np.ndarray, "structures words"],
    ) -> MDState:
        """The first state: a step of no length from nothing gives its forces, with the program of all later steps."""
        dtype, structures = self._field.dtype, len(self)
        with precision(dtype):
            real = functools.partial(on_device, dtype=dtype)
            none, nothing = on_device(np.zeros(structures, np.int32)), real(np.zeros(structures))
            cells = None if self.lists.cells is None else real(self.lists.cells)
            virial = real(np.zeros((structures, 3, 3))) if self.ensemble in CONSTANT_PRESSURE else None
            start = MDState(
                real(positions), real(velocities), real(np.zeros(positions.shape)), nothing, nothing, nothing,
                real(np.zeros((structures, THERMOSTAT_VARIABLES.get(self.ensemble, 0)))), on_device(seeds),
                on_device(-1, np.int32), none, none, none, cells, virial,
            )  # fmt: skip
        return self._with_forces(start)

    def _with_forces(self, state: MDState) -> MDState:
        """A state at step -1 with its forces: after a step of no length, which is judged by its numbers alone."""
        before, self.state = getattr(self, "state", None), state
        knobs = self._knobs()
        # A nil of the same type: a bare 0.0 would be another one to JAX, and compile everything a second time.
        progress = self._progress(knobs._replace(timestep=0 * knobs.timestep), 1, 1)
        self._buffers, settled = progress.buffers, progress.state
        for number in np.flatnonzero(np.asarray(settled.stop_flags)):
            if before is not None:
                self.state = before
            which = "" if len(self) == 1 else f" number {number}"
            raise SimulationError(
                f"the energy of the start structure{which} is not a finite number; are atoms on top of each other?"
            )
        with precision(self._field.dtype):
            return settled._replace(bath_energy=on_device(np.zeros(len(self)), self._field.dtype))

    def _chunk(self, rows: Buffers, times: np.ndarray, number: int, good: int) -> Chunk:
        """The good frames of one structure out of those of all."""
        return chunk_of(
            rows,
            number,
            self._rows[number],
            times[:good],
            masses=self.structures[number].get_masses(),
            degrees_of_freedom=self._freedom.counted[number],
            shift=self.shifts[number],
            targets_K=self.control.target_K(len(self), np.array(rows.step[:good], np.int64))[:, number],
        )


def _first_rows(rows: jax.Array, count: int) -> jax.Array:
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
