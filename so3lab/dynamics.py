"""A simulation: chunks of steps on the device, frames out of them, on disk when asked, and exact restart.

A run is a generator of :class:`Chunk`. Nothing leaves the device within a chunk; knobs are read between
chunks and never compile anything again.
"""

import functools
import time
from collections.abc import Generator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, NamedTuple

import ase
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from so3lab import units
from so3lab.graph import Graph, Species, species_of, structure_pairs, total_charge, unpaired_electrons
from so3lab.integrators import (
    INTEGRATORS,
    Forces,
    Knobs,
    MDState,
    degrees_of_freedom,
    is_linear,
    key_data,
    thermal_velocities,
)
from so3lab.long_range import MovingLongRange, far_pairs, found_long_range, moving_long_range
from so3lab.neighbors import Candidates, bucket, candidate_pairs, complete_cell, find_pairs, wrap
from so3lab.potential import ForceField, Potential, energy_and_forces, numerics
from so3lab.trajectory import TrajectoryWriter

Ensemble = Literal["nve", "langevin"]
FRAMES_PER_CHUNK = 64
SECONDS_PER_CHUNK = 0.5


class SimulationError(RuntimeError):
    """The simulation cannot go on; everything up to the last good frame has been yielded and written."""


@dataclass
class Control:
    """Knobs of a running simulation: set an attribute from anywhere, and the next chunk obeys."""

    temperature_K: float = 300.0
    timestep_fs: float = 0.5
    friction_per_ps: float = 2.0

    def __setattr__(self, name: str, value: float) -> None:
        if name not in {field.name for field in fields(self)}:
            raise AttributeError(
                f"Control has no knob {name!r}; it has {[field.name for field in fields(self)]}"
            )
        value = float(value)
        if not np.isfinite(value) or value < 0 or (name == "timestep_fs" and value == 0):
            raise ValueError(f"{name} must be a positive finite number, got {value}")
        object.__setattr__(self, name, value)

    def knobs(self) -> Knobs:
        """The present values in ASE units."""
        return Knobs.of(self.timestep_fs, self.temperature_K, self.friction_per_ps)


class Chunk(NamedTuple):
    """Consecutive frames of a run; arrays have a leading frame axis and are NumPy."""

    positions: Float[np.ndarray, "frames atoms 3"]  # Å
    velocities: Float[np.ndarray, "frames atoms 3"]  # Å per ASE time unit
    forces: Float[np.ndarray, "frames atoms 3"]  # eV/Å
    potential_energy: Float[np.ndarray, " frames"]  # eV, element shifts included
    kinetic_energy: Float[np.ndarray, " frames"]  # eV
    temperature: Float[np.ndarray, " frames"]  # K
    step: Int[np.ndarray, " frames"]
    time_fs: Float[np.ndarray, " frames"]

    @property
    def total_energy(self) -> Float[np.ndarray, " frames"]:
        """Potential plus kinetic energy in eV."""
        return self.potential_energy + self.kinetic_energy


class _System(NamedTuple):
    """Arrays of the structure that stay the same."""

    atomic_numbers: Int[Array, " atoms"]
    masses: Float[Array, " atoms"]
    charge: Float[Array, " structures"]
    unpaired: Float[Array, " structures"]
    candidates: Candidates
    cell: Float[Array, "3 3"] | None
    pbc: Any
    long_range: MovingLongRange | None
    species: Species


class _Lists(NamedTuple):
    """How far the pair lists reach and how much room they have; constants of the compiled program."""

    cutoff: float  # Å
    capacity: int
    far_cutoff: float | None  # Å; None when far pairs do not depend on positions, or there are none
    far_capacity: int


class _Buffers(NamedTuple):
    """Frames collected on the device."""

    positions: Float[Array, "frames atoms 3"]
    velocities: Float[Array, "frames atoms 3"]
    forces: Float[Array, "frames atoms 3"]
    energy: Float[Array, " frames"]
    step: Int[Array, " frames"]


def _force_function(energy, lists: _Lists, parameters, system: _System):
    """Forces of one structure at given positions, pair search included; for compiled code."""
    atoms = system.atomic_numbers.shape[0]

    def force_fn(positions) -> Forces:
        if system.cell is not None:
            positions = wrap(positions, system.cell, system.pbc)
        pairs = find_pairs(positions, system.candidates, lists.cutoff, lists.capacity, system.cell)
        graph = Graph(
            positions, system.atomic_numbers, jnp.zeros(atoms, jnp.int32), jnp.ones(atoms, bool), pairs.receivers,
            pairs.senders, pairs.mask, system.charge, system.unpaired, pairs.images,
            None if system.cell is None else system.cell[None], species=system.species,
        )  # fmt: skip
        overflow = pairs.overflow
        if system.long_range is not None:
            far, far_overflow = found_long_range(
                system.long_range, positions, lists.far_cutoff, lists.far_capacity, system.cell
            )
            graph, overflow = graph._replace(long_range=far), overflow | far_overflow
        found = energy_and_forces(energy, parameters, graph)
        return Forces(found.energies[0], found.forces, overflow)

    return force_fn


@functools.partial(jax.jit, static_argnames=("energy", "lists", "ensemble"))
def _initial_state(energy, lists, ensemble, parameters, system: _System, positions, velocities, seed):
    force_fn = _force_function(energy, lists, parameters, system)
    return INTEGRATORS[ensemble](force_fn, system.masses).init(positions, velocities, seed)


@functools.partial(jax.jit, static_argnames=("energy", "lists", "ensemble"))
def _run_chunk(energy, lists, ensemble, parameters, system: _System, state: MDState, knobs, frames, interval):
    """``frames`` times ``interval`` steps; both are arguments, so that any number runs without compiling."""
    force_fn = _force_function(energy, lists, parameters, system)
    step = INTEGRATORS[ensemble](force_fn, system.masses).step

    def one_frame(number, carry):
        state, buffers = carry
        state = jax.lax.fori_loop(0, interval, lambda _, inner: step(inner, knobs), state)
        now = _Buffers(state.positions, state.velocities, state.forces, state.energy, state.step)
        return state, jax.tree.map(lambda rows, row: rows.at[number].set(row), buffers, now)

    empty = _Buffers(state.positions, state.velocities, state.forces, state.energy, state.step)
    buffers = jax.tree.map(lambda row: jnp.zeros((FRAMES_PER_CHUNK, *row.shape), row.dtype), empty)
    return jax.lax.fori_loop(0, frames, one_frame, (state, buffers))


class Simulation:
    """One structure moving in a force field: the state, and a method that advances it by a chunk.

    Args:
        potential: A potential, or a :class:`~so3lab.potential.ForceField` of any origin.
        atoms: Start structure; its velocities are used when it has any, otherwise thermal ones are drawn.
        ensemble: ``"nve"`` or ``"langevin"``.
        control: The knobs; keep it to turn them.
        seed: Of start velocities and noise.

    Raises:
        ValueError: If the structure or a knob is not acceptable.
    """

    def __init__(
        self,
        potential: Potential | ForceField,
        atoms: ase.Atoms,
        *,
        ensemble: Ensemble = "langevin",
        control: Control | None = None,
        seed: int = 0,
    ):
        if ensemble not in INTEGRATORS:
            raise ValueError(f"ensemble must be one of {sorted(INTEGRATORS)}, got {ensemble!r}")
        self.control = control or Control()
        self.atoms = atoms.copy()
        self.ensemble: Ensemble = ensemble
        self.time_fs = 0.0
        self._shift = 0.0
        if isinstance(potential, Potential):
            potential.check_structure(atoms)
            self._shift = potential.shift_of(atoms)
        self._field = potential.force_field if isinstance(potential, Potential) else potential
        self._system = _system(atoms, self._field)
        self._capacity = self._first_capacity(len(structure_pairs(atoms, self._field.cutoff).receivers))
        self._far_cutoff, self._far_capacity = self._first_far_list(atoms)
        periodic = bool(atoms.pbc.any())
        self._freedom = degrees_of_freedom(len(atoms), ensemble, periodic, is_linear(atoms.positions))
        velocities = atoms.get_velocities()
        if not np.any(velocities):
            velocities = thermal_velocities(
                atoms.positions,
                atoms.get_masses(),
                self.control.temperature_K,
                seed=seed,
                periodic=periodic,
            )
        self.state = self._start(atoms.positions, velocities, key_data(seed))

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go on exactly from a state of :meth:`restart_state`."""
        with numerics(self._field.dtype):
            self.state = MDState(**{name: jnp.asarray(state[name]) for name in MDState._fields})
        self.time_fs = float(state["time_fs"])
        self._capacity = max(self._capacity, int(state["capacity"]))
        self._far_capacity = max(self._far_capacity, int(state.get("far_capacity", 0)))

    def restart_state(self) -> dict[str, np.ndarray]:
        """Everything needed to go on exactly, as arrays."""
        arrays = {name: np.asarray(value) for name, value in self.state._asdict().items()}
        arrays["overflow"] = np.asarray(False)
        arrays |= {"time_fs": np.array(self.time_fs), "capacity": np.array(self._capacity)}
        if self._far_cutoff is not None:
            arrays["far_capacity"] = np.array(self._far_capacity)
        return arrays

    def frame(self) -> Chunk:
        """The present moment as a chunk of one frame."""
        one = jax.tree.map(lambda row: np.asarray(row)[None], self.state)
        return self._chunk(
            _Buffers(one.positions, one.velocities, one.forces, one.energy, one.step),
            np.array([self.time_fs]),
        )

    def advance(self, frames: int, interval: int) -> Chunk:
        """Run ``frames * interval`` steps and return every ``interval``-th moment.

        A pair list that overflows is enlarged and the chunk is run again from its start; nothing is lost.

        Raises:
            ValueError: If ``frames`` exceeds ``FRAMES_PER_CHUNK``.
            SimulationError: If energy or positions stop being finite; ``error.chunk`` holds the good frames.
        """
        if not 1 <= frames <= FRAMES_PER_CHUNK or interval < 1:
            raise ValueError(
                f"frames must be 1 to {FRAMES_PER_CHUNK} and interval positive, got {frames}, {interval}"
            )
        knobs, timestep_fs = self.control.knobs(), self.control.timestep_fs
        while True:
            with numerics(self._field.dtype):
                dtype = self.state.positions.dtype
                typed = Knobs(*(jnp.asarray(knob, dtype) for knob in knobs))
                after, buffers = _run_chunk(
                    self._field.energy, self._lists, self.ensemble, self._field.parameters,
                    self._system, self.state, typed, frames, interval,
                )  # fmt: skip
            if not bool(after.overflow):
                break
            self._grow()
        times = self.time_fs + timestep_fs * interval * np.arange(1, frames + 1)
        chunk = self._chunk(jax.tree.map(lambda rows: np.asarray(rows)[:frames], buffers), times)
        finite = np.isfinite(chunk.potential_energy) & np.isfinite(chunk.positions).all(axis=(1, 2))
        if not finite.all():
            raise _not_finite(chunk, finite, timestep_fs)
        self.state, self.time_fs = after, float(times[-1])
        return chunk

    def present_atoms(self) -> ase.Atoms:
        """The structure as it is now, with velocities."""
        atoms = self.atoms.copy()
        atoms.positions = np.asarray(self.state.positions, np.float64)
        atoms.set_velocities(np.asarray(self.state.velocities, np.float64))
        return atoms

    def _start(self, positions, velocities, seed) -> MDState:
        dtype = self._field.dtype
        while True:
            with numerics(dtype):
                state = _initial_state(
                    self._field.energy, self._lists, self.ensemble, self._field.parameters,
                    self._system, jnp.asarray(positions, dtype), jnp.asarray(velocities, dtype), jnp.asarray(seed),
                )  # fmt: skip
            if not bool(state.overflow):
                break
            self._grow()
        if not np.isfinite(float(state.energy)):
            raise SimulationError(
                "the energy of the start structure is not a finite number; are atoms on top of each other?"
            )
        return state

    @property
    def _lists(self) -> _Lists:
        return _Lists(self._field.cutoff, self._capacity, self._far_cutoff, self._far_capacity)

    def _first_capacity(self, count: int) -> int:
        return min(bucket(count + count // 8), self._system.candidates.receivers.shape[0])

    def _first_far_list(self, atoms: ase.Atoms) -> tuple[float | None, int]:
        """Cutoff and room of far pairs; None when they do not depend on positions, or there are none."""
        needs, moving = self._field.long_range, self._system.long_range
        if needs is None or moving is None or moving.candidates is None:
            return None, 0
        count = len(far_pairs(atoms, needs).receivers)
        room = min(bucket(count + count // 8), moving.candidates.receivers.shape[0])
        return needs.cell_cutoff if atoms.pbc.any() else needs.molecule_cutoff, room

    def _grow(self) -> None:
        """More room in both lists, whichever overflowed."""
        largest = self._system.candidates.receivers.shape[0]
        self._capacity = min(bucket(self._capacity + self._capacity // 4), largest)
        moving = self._system.long_range
        if moving is not None and moving.candidates is not None:
            largest = moving.candidates.receivers.shape[0]
            self._far_capacity = min(bucket(self._far_capacity + self._far_capacity // 4), largest)

    def _chunk(self, rows: _Buffers, times: np.ndarray) -> Chunk:
        masses = np.asarray(self._system.masses, np.float64)[:, None]
        velocities = np.asarray(rows.velocities, np.float64)
        kinetic = 0.5 * np.sum(masses * velocities**2, axis=(1, 2))
        return Chunk(
            np.asarray(rows.positions), np.asarray(rows.velocities), np.asarray(rows.forces),
            np.asarray(rows.energy, np.float64) + self._shift, kinetic,
            2.0 * kinetic / (self._freedom * units.kB), np.asarray(rows.step, np.int64), times,
        )  # fmt: skip


def _system(atoms: ase.Atoms, field: ForceField) -> _System:
    periodic = bool(atoms.pbc.any())
    cell = complete_cell(np.asarray(atoms.cell), atoms.pbc) if periodic else None
    with numerics(field.dtype):
        real = functools.partial(jnp.asarray, dtype=field.dtype)
        return _System(
            jnp.asarray(atoms.numbers, jnp.int32),
            real(atoms.get_masses()),
            real([total_charge(atoms)]),
            real([unpaired_electrons(atoms)]),
            jax.tree.map(jnp.asarray, candidate_pairs(len(atoms), field.cutoff, cell, atoms.pbc)),
            None if cell is None else real(cell),
            jnp.asarray(atoms.pbc) if periodic else None,
            _moving(atoms, field),
            jax.tree.map(jnp.asarray, species_of(atoms.numbers)),
        )


def _moving(atoms: ase.Atoms, field: ForceField) -> MovingLongRange | None:
    if field.long_range is None:
        return None
    return jax.tree.map(jnp.asarray, moving_long_range(atoms, field.long_range))


def _not_finite(chunk: Chunk, finite: np.ndarray, timestep_fs: float) -> SimulationError:
    first = int(np.flatnonzero(~finite)[0])
    good = Chunk(*(rows[:first] for rows in chunk))
    error = SimulationError(
        f"the simulation blew up: energy or positions are not finite at step {int(chunk.step[first])}. "
        f"Try a time step below {timestep_fs} fs, a lower temperature, or a relaxed start structure; "
        "if it happens again, the model does not know this geometry and needs training data near it"
    )
    error.chunk = good  # type: ignore[attr-defined]
    return error


def run(
    potential: Potential | ForceField,
    atoms: ase.Atoms,
    *,
    steps: int,
    ensemble: Ensemble = "langevin",
    temperature_K: float = 300.0,
    timestep_fs: float = 0.5,
    friction_per_ps: float = 2.0,
    interval: int = 20,
    seed: int = 0,
    out: str | Path | None = None,
    resume: bool = False,
    control: Control | None = None,
    seconds_per_chunk: float = SECONDS_PER_CHUNK,
    meta: dict[str, Any] | None = None,
) -> Generator[Chunk]:
    """Molecular dynamics as a generator of chunks; the first holds the start structure alone.

    Args:
        potential: A potential, or any :class:`~so3lab.potential.ForceField`.
        atoms: Start structure, with or without velocities.
        steps: How many steps in all; a multiple of ``interval``, or the rest is left out.
        ensemble: ``"nve"`` (velocity Verlet) or ``"langevin"`` (BAOAB).
        temperature_K: Of the thermostat and of start velocities.
        timestep_fs: Time step.
        friction_per_ps: Of the Langevin thermostat.
        interval: Steps between frames.
        seed: Of start velocities and noise.
        out: H5MD file that every chunk is appended to, with the state for an exact restart.
        resume: Go on from the last state in ``out``; other arguments must be those of the first run.
        control: Knobs to turn while it runs; overrides ``temperature_K``, ``timestep_fs``, ``friction_per_ps``.
        seconds_per_chunk: How long a chunk should take: short for a live view, long for a batch run.
        meta: Provenance stored in ``out``.

    Yields:
        Frames as they come.

    Raises:
        ValueError: If an argument is not acceptable.
        SimulationError: If the simulation blows up; all good frames were yielded and written before.
    """
    if steps < 1 or interval < 1:
        raise ValueError(f"steps and interval must be positive, got {steps} and {interval}")
    if resume and out is None:
        raise ValueError("resume needs out: the file of the run to go on with")
    if out is not None and not resume and Path(out).exists():
        raise FileExistsError(f"{out} exists; resume it, or choose another name: nothing is overwritten")
    control = control or Control(temperature_K, timestep_fs, friction_per_ps)
    simulation = Simulation(potential, atoms, ensemble=ensemble, control=control, seed=seed)
    if out is None:
        yield simulation.frame()
        yield from _chunks(simulation, steps, interval, seconds_per_chunk)
        return
    if resume:
        writer, saved = TrajectoryWriter.resume(out)
        simulation.restore(saved)
    else:
        about = {"ensemble": ensemble, "seed": seed, "interval": interval, **vars(control), **(meta or {})}
        state = simulation.restart_state()
        precision = simulation.state.positions.dtype.name
        writer = TrajectoryWriter(out, atoms, state_template=state, meta=about, precision=precision)
    with writer:
        if not resume:
            yield _written(writer, simulation, simulation.frame())
        try:
            for chunk in _chunks(simulation, steps, interval, seconds_per_chunk):
                yield _written(writer, simulation, chunk)
        except SimulationError as error:
            good = getattr(error, "chunk", None)
            if good is not None and len(good.step):
                writer.append(good._asdict())
                yield good
            raise


def _written(writer: TrajectoryWriter, simulation: Simulation, chunk: Chunk) -> Chunk:
    writer.append(chunk._asdict())
    writer.save_state(simulation.restart_state())
    return chunk


def _chunks(simulation: Simulation, steps: int, interval: int, seconds: float) -> Generator[Chunk]:
    """Chunks up to the last step; their length follows the speed of the machine."""
    frames, compiled = 1, False
    while (left := (steps - int(simulation.state.step)) // interval) > 0:
        started = time.monotonic()
        count = min(frames, left)
        chunk = simulation.advance(count, interval)
        took = time.monotonic() - started
        if compiled:
            frames = int(np.clip(count * seconds / max(took, 1e-9), 1, min(FRAMES_PER_CHUNK, 4 * frames)))
        compiled = True
        yield chunk
