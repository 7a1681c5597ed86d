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
from so3lab.force_field import Dtype, ForceField, energy_and_forces, numerics
from so3lab.graph import Graph, Species, species_of, total_charge, unpaired_electrons
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
from so3lab.moving import STALE, PairLists, Reach, Surroundings, find_surroundings
from so3lab.potential import Potential
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
    """Arrays of the structure that stay the same, whatever the pair lists."""

    atomic_numbers: Int[Array, " atoms"]
    masses: Float[Array, " atoms"]
    charge: Float[Array, " structures"]
    unpaired: Float[Array, " structures"]
    species: Species


class _Buffers(NamedTuple):
    """Frames collected on the device."""

    positions: Float[Array, "frames atoms 3"]
    velocities: Float[Array, "frames atoms 3"]
    forces: Float[Array, "frames atoms 3"]
    energy: Float[Array, " frames"]
    step: Int[Array, " frames"]


def _force_function(energy, reach: Reach, parameters, system: _System, surroundings: Surroundings):
    """Forces of one structure at given positions, pair search included; for compiled code."""
    atoms = system.atomic_numbers.shape[0]
    cells = None if surroundings.cell is None else surroundings.cell[None]

    def force_fn(positions) -> Forces:
        positions, pairs, long_range, flaws = find_surroundings(surroundings, reach, positions)
        graph = Graph(
            positions, system.atomic_numbers, jnp.zeros(atoms, jnp.int32), jnp.ones(atoms, bool), pairs.receivers,
            pairs.senders, pairs.mask, system.charge, system.unpaired, pairs.images, cells,
            long_range=long_range, species=system.species,
        )  # fmt: skip
        found = energy_and_forces(energy, parameters, graph)
        return Forces(found.energies[0], found.forces, flaws)

    return force_fn


class _Progress(NamedTuple):
    """A chunk under way."""

    state: MDState  # after the last good step; its flag tells of the step that was tried next
    buffers: _Buffers
    done: Int[Array, ""]  # good steps


@functools.partial(jax.jit, static_argnames=("energy", "reach", "ensemble"), donate_argnames="progress")
def _run_chunk(
    energy, reach, ensemble, parameters, system, surroundings, progress: _Progress, knobs, steps, interval
) -> _Progress:
    """Steps until ``steps`` are done or a pair list fails; both are arguments and never compile anything."""
    force_fn = _force_function(energy, reach, parameters, system, surroundings)
    step = INTEGRATORS[ensemble](force_fn, system.masses).step

    def unfinished(progress: _Progress):
        return (progress.done < steps) & (progress.state.flaws == 0)

    def one_step(progress: _Progress) -> _Progress:
        new = step(progress.state, knobs)
        good = new.flaws == 0
        state = jax.tree.map(lambda after, before: jnp.where(good, after, before), new, progress.state)
        done = progress.done + good
        # Each step of a frame writes its row; the last one stays.
        row = jnp.maximum(done - 1, 0) // interval
        buffers = jax.tree.map(lambda rows, now: rows.at[row].set(now), progress.buffers, _recorded(state))
        return _Progress(state._replace(flaws=new.flaws), buffers, done)

    return jax.lax.while_loop(unfinished, one_step, progress)


def _recorded(state: MDState) -> _Buffers:
    return _Buffers(state.positions, state.velocities, state.forces, state.energy, state.step)


class Simulation:
    """One structure moving in a force field: the state, and a method that advances it by a chunk.

    Args:
        potential: A potential, or a :class:`~so3lab.force_field.ForceField` of any origin.
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
        self._system = _system(atoms, self._field.dtype)
        with numerics(self._field.dtype):
            self.lists = PairLists(atoms, self._field.cutoff, self._field.long_range, self._field.dtype)
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
            self.lists.restore(state)
        self.time_fs = float(state["time_fs"])

    def restart_state(self) -> dict[str, np.ndarray]:
        """Everything needed to go on exactly, as arrays."""
        arrays = {name: np.asarray(value) for name, value in self.state._asdict().items()}
        return arrays | {"time_fs": np.array(self.time_fs)} | self.lists.state()

    def frame(self) -> Chunk:
        """The present moment as a chunk of one frame."""
        one = jax.tree.map(lambda row: np.asarray(row)[None], self.state)
        return self._chunk(
            _Buffers(one.positions, one.velocities, one.forces, one.energy, one.step),
            np.array([self.time_fs]),
        )

    def advance(self, frames: int, interval: int) -> Chunk:
        """Run ``frames * interval`` steps and return every ``interval``-th moment.

        When a pair list no longer holds, it is made anew and the steps go on from the last good one.

        Raises:
            ValueError: If ``frames`` exceeds ``FRAMES_PER_CHUNK``.
            SimulationError: If energy or positions stop being finite, or an atom leaps; ``error.chunk`` holds
                the good frames.
        """
        if not 1 <= frames <= FRAMES_PER_CHUNK or interval < 1:
            raise ValueError(
                f"frames must be 1 to {FRAMES_PER_CHUNK} and interval positive, got {frames}, {interval}"
            )
        knobs, timestep_fs = self.control.knobs(), self.control.timestep_fs
        times = self.time_fs + timestep_fs * interval * np.arange(1, frames + 1)
        progress = self._progress(knobs, frames * interval, interval)
        chunk = self._chunk(jax.tree.map(lambda rows: np.asarray(rows)[:frames], progress.buffers), times)
        finite = np.isfinite(chunk.potential_energy) & np.isfinite(chunk.positions).all(axis=(1, 2))
        if not finite.all():
            first = int(np.flatnonzero(~finite)[0])
            raise _blown_up(
                "energy or positions are not finite", chunk, first, chunk.step[first], timestep_fs
            )
        if progress.done < frames * interval:
            first, step = int(progress.done) // interval, progress.state.step + 1
            raise _blown_up(
                "an atom leapt by more than half the skin of the pair list", chunk, first, step, timestep_fs
            )
        self.state, self.time_fs = progress.state, float(times[-1])
        return chunk

    def _progress(self, knobs: Knobs, steps: int, interval: int) -> _Progress:
        """A chunk after so many steps, or fewer when an atom leaps further in one step than a skin allows."""
        dtype = self._field.dtype
        with numerics(dtype):
            typed = Knobs(*(jnp.asarray(knob, dtype) for knob in knobs))
            state = jax.tree.map(jnp.array, self.state)  # the present state outlives the chunk
            empty = jax.tree.map(
                lambda row: jnp.zeros((FRAMES_PER_CHUNK, *row.shape), row.dtype), _recorded(state)
            )
            progress, fresh_since = _Progress(state, empty, jnp.zeros((), jnp.int32)), -1
            while True:
                progress = _run_chunk(
                    self._field.energy, self.lists.reach, self.ensemble, self._field.parameters,
                    self._system, self.lists.surroundings, progress, typed, steps, interval,
                )  # fmt: skip
                flaws, done = int(progress.state.flaws), int(progress.done)
                sound = progress.state._replace(flaws=jnp.zeros((), jnp.int32))
                progress = progress._replace(state=sound)
                if not flaws or (flaws & STALE and done == fresh_since):
                    return progress
                self.lists.mend(flaws, np.asarray(sound.positions))
                fresh_since = done

    def present_atoms(self) -> ase.Atoms:
        """The structure as it is now, with velocities."""
        atoms = self.atoms.copy()
        atoms.positions = np.asarray(self.state.positions, np.float64)
        atoms.set_velocities(np.asarray(self.state.velocities, np.float64))
        return atoms

    def _start(self, positions, velocities, seed) -> MDState:
        """The first state: a step of no length from nothing gives its forces, with the program of all later steps."""
        dtype = self._field.dtype
        with numerics(dtype):
            nothing = jnp.zeros(positions.shape, dtype), jnp.zeros((), dtype)
            self.state = MDState(
                jnp.asarray(positions, dtype), jnp.asarray(velocities, dtype), *nothing, jnp.asarray(seed),
                jnp.asarray(-1, jnp.int32), jnp.zeros((), jnp.int32),
            )  # fmt: skip
            state = self._progress(self.control.knobs()._replace(timestep=0.0), 1, 1).state
        if not np.isfinite(float(state.energy)):
            raise SimulationError(
                "the energy of the start structure is not a finite number; are atoms on top of each other?"
            )
        return state

    def _chunk(self, rows: _Buffers, times: np.ndarray) -> Chunk:
        masses = np.asarray(self._system.masses, np.float64)[:, None]
        velocities = np.asarray(rows.velocities, np.float64)
        kinetic = 0.5 * np.sum(masses * velocities**2, axis=(1, 2))
        return Chunk(
            np.asarray(rows.positions), np.asarray(rows.velocities), np.asarray(rows.forces),
            np.asarray(rows.energy, np.float64) + self._shift, kinetic,
            2.0 * kinetic / (self._freedom * units.kB), np.asarray(rows.step, np.int64), times,
        )  # fmt: skip


def _system(atoms: ase.Atoms, dtype: Dtype) -> _System:
    with numerics(dtype):
        real = functools.partial(jnp.asarray, dtype=dtype)
        return _System(
            jnp.asarray(atoms.numbers, jnp.int32),
            real(atoms.get_masses()),
            real([total_charge(atoms)]),
            real([unpaired_electrons(atoms)]),
            jax.tree.map(jnp.asarray, species_of(atoms.numbers)),
        )


def _blown_up(what: str, chunk: Chunk, good: int, step: Any, timestep_fs: float) -> SimulationError:
    error = SimulationError(
        f"the simulation blew up: {what} at step {int(step)}. "
        f"Try a time step below {timestep_fs} fs, a lower temperature, or a relaxed start structure; "
        "if it happens again, the model does not know this geometry and needs training data near it"
    )
    error.chunk = Chunk(*(rows[:good] for rows in chunk))  # type: ignore[attr-defined]
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
        potential: A potential, or any :class:`~so3lab.force_field.ForceField`.
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
