"""A simulation of one structure or of many at once: chunks of steps on the device, frames out of them.

Nothing leaves the device within a chunk; knobs are read between chunks and never compile anything again.
"""

import functools
from collections.abc import Sequence
from typing import Literal, NamedTuple

import ase
import jax
import jax.numpy as jnp
import numpy as np
from ase.constraints import FixAtoms
from jaxtyping import Array, Float, Int

from so3lab import units
from so3lab.control import Control
from so3lab.force_field import Dtype, ForceField, energy_and_forces, numerics
from so3lab.frames import Chunk
from so3lab.graph import Graph, Species, species_of, total_charge, unpaired_electrons
from so3lab.integrators import (
    BATH_VARIABLES,
    CONSTANT_PRESSURE,
    INTEGRATORS,
    Bodies,
    ForceFunction,
    Forces,
    Knobs,
    MDState,
    bodies_of,
    degrees_of_freedom,
    is_linear,
    key_data,
    thermal_velocities,
    without_overall_motion,
)
from so3lab.moving import STALE, PairLists, Reach, Surroundings, find_surroundings
from so3lab.potential import Potential
from so3lab.steering import Slots, bias_energies, steering_of
from so3lab.watch import LEAPT, Limits, Watch, fates, sentence, watch_of

Ensemble = Literal["nve", "langevin", "nose-hoover", "csvr", "npt", "npt-flexible"]
FRAMES_PER_CHUNK = 64
MEMORY_PER_CHUNK = 256e6
"""Bytes of frames collected on the device; large systems get fewer frames per chunk."""
_RESCALING = ("nose-hoover", "csvr", *CONSTANT_PRESSURE)


class SimulationError(RuntimeError):
    """The simulation cannot go on; everything up to the last good frame has been yielded and written."""


class _System(NamedTuple):
    """Arrays of the structures that stay the same, whatever the pair lists."""

    atomic_numbers: Int[Array, " atoms"]
    bodies: Bodies
    charges: Float[Array, " structures"]
    unpaired: Float[Array, " structures"]
    species: Species
    watch: Watch


class _Buffers(NamedTuple):
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
    energy, reach: Reach, parameters, system: _System, surroundings: Surroundings, steering, with_virial: bool
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
        forces, bias = found.forces, jnp.zeros_like(found.energies)
        if steering is not None:

            def biased(positions):
                energies = bias_energies(
                    steering, positions, bodies.masses, bodies.structure_index, cells, structures
                )
                return energies.sum(), energies

            gradient, bias = jax.grad(biased, has_aux=True)(positions)
            forces = forces - gradient
        return Forces(found.energies, forces, flaws, bias, found.strain_gradient)

    return force_fn


class _Progress(NamedTuple):
    """A chunk under way."""

    state: MDState  # after the last good step; its flaws tell of the step that was tried next
    buffers: _Buffers
    done: Int[Array, ""]  # good steps


class _Program(NamedTuple):
    """What is compiled in as a constant."""

    energy: object
    reach: Reach
    ensemble: str


@functools.partial(jax.jit, static_argnames="program", donate_argnames="progress")
def _run_chunk(
    program: _Program, parameters, system, surroundings, progress: _Progress, knobs, steps, interval
) -> _Progress:
    """Steps until ``steps`` are done, a pair list fails, or nobody is left; numbers never compile anything."""
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

    def unfinished(progress: _Progress):
        state = progress.state
        return (progress.done < steps) & jnp.all(state.flaws == 0) & jnp.any(state.fate == 0)

    def one_step(progress: _Progress) -> _Progress:
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
        buffers = jax.tree.map(lambda rows, new: rows.at[row].set(new), progress.buffers, _recorded(state))
        return _Progress(state, buffers, done)

    return jax.lax.while_loop(unfinished, one_step, progress)


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


def _recorded(state: MDState) -> _Buffers:
    return _Buffers(*(getattr(state, name) for name in _Buffers._fields))


class Replicas:
    """Structures moving in one force field at once: the state, and a method that advances it by a chunk.

    They may be copies of one structure or different ones, of different sizes; each has its own temperature, seed and
    thermostat, and none knows of the others. One that blows up stays behind while the others go on.

    Args:
        potential: A potential, or a :class:`~so3lab.force_field.ForceField` of any origin.
        structures: Start structures, all molecules or all cells. Velocities are used when there are any, otherwise
            thermal ones are drawn. Atoms under ASE's ``FixAtoms`` are held; other constraints are refused.
        ensemble: One of :data:`so3lab.integrators.INTEGRATORS`.
        control: The knobs; keep it to turn them.
        seeds: Of start velocities and noise, one for each structure; default: 0, 1, 2, ...
        limits: When a structure counts as blown up.
        slots: Room for biases beyond those that ``control`` has now, so that more may come without compilation.

    Raises:
        ValueError: If a structure or a knob is not acceptable.
    """

    def __init__(
        self,
        potential: Potential | ForceField,
        structures: Sequence[ase.Atoms],
        *,
        ensemble: Ensemble = "langevin",
        control: Control | None = None,
        seeds: Sequence[int] | None = None,
        limits: Limits | None = None,
        slots: Slots | None = None,
    ):
        if ensemble not in INTEGRATORS:
            raise ValueError(f"ensemble must be one of {sorted(INTEGRATORS)}, got {ensemble!r}")
        if not structures:
            raise ValueError("structures must hold at least one structure, got none")
        seeds = list(range(len(structures))) if seeds is None else list(seeds)
        if len(seeds) != len(structures):
            raise ValueError(f"seeds must be {len(structures)}, one for each structure; got {len(seeds)}")
        self.control, self.limits = control or Control(), limits or Limits()
        self.structures, self.seeds = [atoms.copy() for atoms in structures], seeds
        self.ensemble: Ensemble = ensemble
        self.time_fs = 0.0
        self.slots = (slots or Slots()).with_room_for(self.control.biases)
        self._biases: tuple | None = None
        self.shifts = np.zeros(len(structures))
        if isinstance(potential, Potential):
            for atoms in structures:
                potential.check_structure(atoms)
            self.shifts = np.array([potential.shift_of(atoms) for atoms in structures])
        self._field = potential.force_field if isinstance(potential, Potential) else potential
        held = [_held(atoms, ensemble) for atoms in structures]
        stops = np.cumsum([len(atoms) for atoms in structures]).tolist()
        self._rows = [slice(start, stop) for start, stop in zip([0, *stops[:-1]], stops, strict=True)]
        temperatures = self.control.temperatures_K(len(structures))
        velocities = [
            _start_velocities(*of_one, ensemble)
            for of_one in zip(structures, held, temperatures.tolist(), seeds, strict=True)
        ]
        freedom = np.array(
            [
                _freedom(atoms, mask, v, ensemble)
                for atoms, mask, v in zip(structures, held, velocities, strict=True)
            ]
        )
        self._system = _system(structures, held, freedom, self.limits, self._field.dtype)
        self._freedom = freedom
        changing = ensemble in CONSTANT_PRESSURE
        with numerics(self._field.dtype):
            self.lists = PairLists(
                structures, self._field.cutoff, self._field.long_range, self._field.dtype, changing
            )
        positions = np.concatenate([atoms.positions for atoms in structures])
        self.state = self._start(
            positions, np.concatenate(velocities), np.stack([key_data(s) for s in seeds])
        )

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

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go on exactly from a state of :meth:`restart_state`."""
        with numerics(self._field.dtype):
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
        rows = jax.tree.map(lambda x: np.asarray(x)[None], _recorded(self.state))
        times = np.array([self.time_fs])
        return [self._chunk(rows, times, number, 1) for number in range(len(self))]

    def advance(self, frames: int, interval: int) -> list[Chunk]:
        """Run ``frames * interval`` steps and return every ``interval``-th moment of each structure.

        When a pair list no longer holds, it is made anew and the steps go on from the last good one. The chunk of
        a structure that blew up ends with its last good frame, and is empty from then on; :meth:`obituary` tells why.

        Raises:
            ValueError: If ``frames`` exceeds :attr:`most_frames`, or a bias is not acceptable.
        """
        if not 1 <= frames <= self.most_frames or interval < 1:
            raise ValueError(
                f"frames must be 1 to {self.most_frames} and interval positive, got {frames}, {interval}"
            )
        start, timestep_fs = self.step, self.control.timestep_fs
        times = self.time_fs + timestep_fs * interval * np.arange(1, frames + 1)
        progress = self._progress(self._knobs(), frames * interval, interval)
        rows = jax.tree.map(lambda x: np.asarray(x)[:frames], progress.buffers)
        ended, fate = np.asarray(progress.state.ended), np.asarray(progress.state.fate)
        good = np.where(fate == 0, int(progress.done), np.maximum(ended - start, 0)) // interval
        self.state = progress.state
        self.time_fs = self.time_fs + timestep_fs * int(progress.done)
        return [self._chunk(rows, times[: good[k]], k, int(good[k])) for k in range(len(self))]

    @property
    def alive(self) -> np.ndarray:
        """Which structures go on."""
        return np.asarray(self.state.fate) == 0

    def obituary(self, number: int = 0) -> str | None:
        """What ended the run of a structure: at which step, which atoms, and what to try; None while it goes on."""
        fate = int(self.state.fate[number])
        if fate == 0:
            return None
        positions = np.asarray(self.state.positions, np.float64)[self._rows[number]]
        return sentence(
            fate, int(self.state.ended[number]) + 1, self.structures[number], positions, self.limits,
            self.control.timestep_fs,
        )  # fmt: skip

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
        """Give each structure a new temperature and scale its velocities to it, as replica exchange does."""
        old = self.control.temperatures_K(len(self))
        factors = np.sqrt(np.asarray(temperatures_K) / old)
        self.control.temperature_K = tuple(float(t) for t in temperatures_K)
        with numerics(self._field.dtype):
            scale = jnp.asarray(factors, self._field.dtype)[self._system.bodies.structure_index]
            self.state = self.state._replace(velocities=self.state.velocities * scale[:, None])

    def draw_velocities(self, seed: int) -> None:
        """New thermal velocities for all structures at the temperatures of now."""
        temperatures, now = self.control.temperatures_K(len(self)), self.present_atoms()
        drawn = [
            thermal_velocities(
                atoms.positions, atoms.get_masses(), temperature, seed=seed + number,
                periodic=bool(atoms.pbc.any()), held=_held(atoms, self.ensemble),
            )
            for number, (atoms, temperature) in enumerate(zip(now, temperatures, strict=True))
        ]  # fmt: skip
        with numerics(self._field.dtype):
            velocities = jnp.asarray(np.concatenate(drawn), self._field.dtype)
            self.state = self.state._replace(velocities=velocities)

    def _knobs(self) -> Knobs:
        """The knobs of now."""
        dtype, biases = self._field.dtype, tuple(self.control.biases)
        knobs = self.control.knobs(len(self))
        if self._biases != biases:
            self.slots = self.slots.with_room_for(biases)
            structures = self.structures if self._biases is None else self.present_atoms()
            self._steering = steering_of(biases, structures, self.slots, dtype)
            self._biases = biases
        return jax.tree.map(lambda knob: np.asarray(knob, dtype), knobs)._replace(steering=self._steering)

    def _progress(self, knobs: Knobs, steps: int, interval: int) -> _Progress:
        """A chunk after so many steps, or fewer when no structure is left."""
        dtype = self._field.dtype
        with numerics(dtype):
            knobs = jax.tree.map(jnp.asarray, knobs)
            state = jax.tree.map(jnp.array, self.state)  # the present state outlives the chunk
            recorded, room = _recorded(state), self.most_frames
            empty = jax.tree.map(lambda row: jnp.zeros((room, *row.shape), row.dtype), recorded)
            progress, fresh_since = _Progress(state, empty, jnp.zeros((), jnp.int32)), -1
            while True:
                program = _Program(self._field.energy, self.lists.reach, self.ensemble)
                progress = _run_chunk(
                    program, self._field.parameters, self._system, self.lists.surroundings, progress, knobs, steps,
                    interval,
                )  # fmt: skip
                flaws, done = np.asarray(progress.state.flaws), int(progress.done)
                sound = progress.state._replace(flaws=jnp.zeros_like(progress.state.flaws))
                if not flaws.any():
                    return progress._replace(state=sound)
                leapt = (flaws & STALE) != 0
                if (
                    leapt.any() and done == fresh_since
                ):  # lists made anew at these very positions do not hold either
                    fate = jnp.where(jnp.asarray(leapt), LEAPT, sound.fate)
                    ended = jnp.where(jnp.asarray(leapt), sound.step, sound.ended)
                    sound = sound._replace(fate=fate, ended=ended)
                    flaws = np.where(leapt, 0, flaws)
                progress = progress._replace(state=sound)
                if flaws.any():
                    cells = sound.cells if self.ensemble in CONSTANT_PRESSURE else None
                    self.lists.mend(
                        int(np.bitwise_or.reduce(flaws)),
                        np.asarray(sound.positions),
                        None if cells is None else np.asarray(cells),
                    )
                fresh_since = done

    def _start(self, positions, velocities, seeds) -> MDState:
        """The first state: a step of no length from nothing gives its forces, with the program of all later steps."""
        dtype, structures = self._field.dtype, len(self)
        with numerics(dtype):
            real = functools.partial(jnp.asarray, dtype=dtype)
            none, nothing = jnp.zeros(structures, jnp.int32), jnp.zeros(structures, dtype)
            cells = None if self.lists.cells is None else real(self.lists.cells)
            virial = jnp.zeros((structures, 3, 3), dtype) if self.ensemble in CONSTANT_PRESSURE else None
            self.state = MDState(
                real(positions), real(velocities), jnp.zeros(positions.shape, dtype), nothing, nothing, nothing,
                jnp.zeros((structures, BATH_VARIABLES.get(self.ensemble, 0)), dtype), jnp.asarray(seeds),
                jnp.asarray(-1, jnp.int32), none, none, none, cells, virial,
            )  # fmt: skip
            state = self._progress(self._knobs()._replace(timestep=0.0), 1, 1).state
        for number in np.flatnonzero(np.asarray(state.fate)):
            which = "" if structures == 1 else f" number {number}"
            raise SimulationError(
                f"the energy of the start structure{which} is not a finite number; are atoms on top of each other?"
            )
        return state._replace(heat=nothing)

    def _chunk(self, rows: _Buffers, times: np.ndarray, number: int, good: int) -> Chunk:
        """The good frames of one structure out of those of all."""
        own, freedom = self._rows[number], self._freedom[number]
        positions, velocities, forces = (
            x[:good, own] for x in (rows.positions, rows.velocities, rows.forces)
        )
        of_one = lambda x: np.asarray(x, np.float64)[:good, number]  # noqa: E731
        masses = np.asarray(self._system.bodies.masses, np.float64)[own, None]
        speeds = np.asarray(velocities, np.float64)
        kinetic = 0.5 * np.sum(masses * speeds**2, axis=(1, 2))
        potential, bias = of_one(rows.energy) + self.shifts[number], of_one(rows.bias)
        steps = np.asarray(rows.step, np.int64)[:good]
        targets = self.control.target_K(len(self), steps)
        more = {}
        if rows.virial is not None and rows.cells is not None:
            volume = np.abs(np.linalg.det(of_one(rows.cells)))
            virial = np.trace(of_one(rows.virial), axis1=1, axis2=2)
            lost = (len(masses) - freedom / 3.0) * targets[:, number] * units.kB
            pressure = (2.0 * kinetic / 3.0 + lost - virial / 3.0) / volume
            more = {"cell": of_one(rows.cells), "volume": volume, "pressure": pressure}
        if any(self.slots):
            more["bias_energy"] = bias
        return Chunk(
            positions, velocities, forces, potential, kinetic, potential + kinetic + bias - of_one(rows.heat),
            2.0 * kinetic / (freedom * units.kB), targets[:, number].astype(float), steps, times[:good], **more,
        )  # fmt: skip


class Simulation:
    """One structure moving in a force field; :class:`Replicas` of one.

    Args:
        potential: A potential, or a :class:`~so3lab.force_field.ForceField` of any origin.
        atoms: Start structure.
        ensemble: One of :data:`so3lab.integrators.INTEGRATORS`.
        control: The knobs; keep it to turn them.
        seed: Of start velocities and noise.
        limits: When the structure counts as blown up.
        slots: Room for biases to come.

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
        limits: Limits | None = None,
        slots: Slots | None = None,
    ):
        self.replicas = Replicas(
            potential, [atoms], ensemble=ensemble, control=control, seeds=[seed], limits=limits, slots=slots
        )

    @property
    def control(self) -> Control:
        """The knobs."""
        return self.replicas.control

    @property
    def state(self) -> MDState:
        """The state of now."""
        return self.replicas.state

    @property
    def lists(self) -> PairLists:
        """The pair lists."""
        return self.replicas.lists

    def frame(self) -> Chunk:
        """The present moment as a chunk of one frame."""
        return self.replicas.frames()[0]

    def advance(self, frames: int, interval: int) -> Chunk:
        """Run ``frames * interval`` steps and return every ``interval``-th moment.

        Raises:
            ValueError: If ``frames`` exceeds what a chunk may have.
            SimulationError: If the structure blows up; ``error.chunk`` holds the good frames.
        """
        chunk = self.replicas.advance(frames, interval)[0]
        reason = self.replicas.obituary()
        if reason is not None:
            error = SimulationError(reason)
            error.chunk = chunk  # type: ignore[attr-defined]
            raise error
        return chunk

    def present_atoms(self) -> ase.Atoms:
        """The structure as it is now, with velocities."""
        return self.replicas.present_atoms()[0]


def _held(atoms: ase.Atoms, ensemble: str) -> np.ndarray:
    """Which atoms stay where they are."""
    held = np.zeros(len(atoms), bool)
    for constraint in atoms.constraints:
        if not isinstance(constraint, FixAtoms):
            raise ValueError(
                f"atoms.constraints may hold ASE's FixAtoms only, got {type(constraint).__name__}; "
                "hold distances, angles and dihedrals with so3lab.steering.Restraint"
            )
        held[constraint.get_indices()] = True
    if held.any() and ensemble in CONSTANT_PRESSURE:
        raise ValueError(
            "atoms cannot be held while the cell changes; remove FixAtoms, or keep the volume constant"
        )
    if held.all():
        raise ValueError("atoms.constraints hold every atom: nothing can move")
    return held


def _start_velocities(atoms: ase.Atoms, held: np.ndarray, temperature_K: float, seed: int, ensemble: str):
    """Those of the structure, or thermal ones; nothing moves as a whole where the thermostat would not see it."""
    periodic = bool(atoms.pbc.any())
    if ensemble in CONSTANT_PRESSURE and not atoms.pbc.all():
        raise ValueError(
            f"constant pressure needs a cell that is periodic in all directions, got atoms.pbc {atoms.pbc.tolist()}"
        )
    velocities = np.array(atoms.get_velocities())
    if not np.any(velocities):
        return thermal_velocities(
            atoms.positions, atoms.get_masses(), temperature_K, seed=seed, periodic=periodic, held=held
        )
    velocities[held] = 0.0
    if ensemble in _RESCALING and not held.any() and len(atoms) > 1:
        return without_overall_motion(atoms.positions, velocities, atoms.get_masses(), periodic)
    return velocities


def _freedom(atoms: ase.Atoms, held: np.ndarray, velocities: np.ndarray, ensemble: str) -> float:
    """Degrees of freedom; at constant energy, overall motion counts if the start has it."""
    periodic, masses = bool(atoms.pbc.any()), atoms.get_masses()
    if ensemble == "nve" and not held.any() and len(atoms) > 1:
        inner = without_overall_motion(atoms.positions, velocities, masses, periodic)
        if np.abs(inner - velocities).max() > 1e-6 * max(np.abs(velocities).max(), 1e-12):
            return 3.0 * len(atoms)
    return float(
        degrees_of_freedom(len(atoms), ensemble, periodic, is_linear(atoms.positions), int(held.sum()))
    )


def _system(
    structures: Sequence[ase.Atoms], held: list[np.ndarray], freedom: np.ndarray, limits: Limits, dtype: Dtype
) -> _System:
    with numerics(dtype):
        real = functools.partial(jnp.asarray, dtype=dtype)
        masses = np.concatenate([atoms.get_masses() for atoms in structures])
        sizes = np.array([len(atoms) for atoms in structures])
        return _System(
            jnp.asarray(np.concatenate([atoms.numbers for atoms in structures]), jnp.int32),
            bodies_of(masses, freedom, sizes, np.concatenate(held), dtype),
            real([total_charge(atoms) for atoms in structures]),
            real([unpaired_electrons(atoms) for atoms in structures]),
            jax.tree.map(jnp.asarray, species_of(structures)),
            jax.tree.map(jnp.asarray, watch_of(structures, limits, dtype)),
        )
