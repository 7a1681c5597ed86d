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

from so3lab.dynamics.chunk import Chunk, chunk_of
from so3lab.dynamics.compiled_loop import Buffers, frame_of, system_of
from so3lab.dynamics.control import Control
from so3lab.dynamics.ensembles import CONSTANT_PRESSURE, ENSEMBLES, Ensemble
from so3lab.dynamics.fastest_vibration import check_timestep
from so3lab.dynamics.freedom import DegreesOfFreedom
from so3lab.dynamics.initial_conditions import checked_held_atoms, start_velocities
from so3lab.dynamics.integrators import MDState, StepParameters, key_data, kinetic_energies, thermal_velocities
from so3lab.dynamics.limits import Limits, check_cells, failure_message
from so3lab.dynamics.propagator import Propagator, first_rows
from so3lab.dynamics.restart import with_present_names
from so3lab.engine.biases import BiasCapacity, bias_arrays
from so3lab.engine.energy_model import EnergyModel, precision
from so3lab.engine.pair_lists import PairLists
from so3lab.machine.checksum import checksum
from so3lab.potential.potential import Potential
from so3lab.structures.electrons import total_charge, unpaired_electrons
from so3lab.structures.plausibility import check_plausible


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
        first_number: Of the first structure, in messages.

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
        first_number: int = 0,
    ):
        if ensemble not in ENSEMBLES:
            raise ValueError(f"ensemble must be one of {', '.join(ENSEMBLES)}, got {ensemble!r}")
        if not structures:
            raise ValueError("structures must hold at least one structure, got none")
        seeds = checked_seeds(seeds, len(structures))
        self.control, self.limits = control or Control(), limits or Limits()
        self.structures, self.seeds = [atoms.copy() for atoms in structures], seeds
        self.ensemble: Ensemble = ensemble
        self.time_fs, self._first_number = 0.0, first_number
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
        cutoff, dtype = self._field.cutoff, self._field.dtype
        system = system_of(structures, held, self._freedom.counted, self.limits, cutoff, dtype)
        self._propagator = Propagator(self._field, structures, system, ensemble)
        check_cells(structures, self.limits, cutoff)
        positions = np.concatenate([atoms.positions for atoms in structures])
        keys = np.stack([key_data(seed) for seed in seeds])
        self.state = self._with_forces(self._propagator.at_start(positions, np.concatenate(velocities), keys))

    def __len__(self) -> int:
        return len(self.structures)

    @property
    def step(self) -> int:
        """How many steps have been made."""
        return int(self.state.step)

    @property
    def most_frames(self) -> int:
        """Frames that a chunk may have."""
        return self._propagator.most_frames

    @property
    def lists(self) -> PairLists:
        """The pair lists."""
        return self._propagator.lists

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
        progress = self._propagator.run(self.state, self._knobs(), frames * interval, interval)
        rows = jax.tree.map(lambda x: np.asarray(first_rows(x, frames)), progress.buffers)
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
            scale, particles = jnp.asarray(factors, self._field.dtype), self._propagator.system.particles
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
        bath_energies: np.ndarray | None = None,
    ) -> None:
        """Go on from another moment, such as one of the past; whoever had blown up lives again.

        Args:
            positions: Of the atoms of all structures one after the other, Å.
            velocities: Å per ASE time unit.
            step: Its number.
            time_fs: Its time.
            cells: Vectors as rows for each structure, where the cell changes, Å.
            bath_energies: What each structure has got from the heat bath until then, eV; none unless given.

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
            if bath_energies is not None:
                self.state = self.state._replace(bath_energy=real(bath_energies))
        self.time_fs = float(time_fs)

    def draw_velocities(self, seed: int) -> None:
        """New thermal velocities for all structures at the temperatures of now; what they bring counts as heat."""
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
            particles = self._propagator.system.particles
            gained = kinetic_energies(velocities, particles) - kinetic_energies(self.state.velocities, particles)
            self.state = self.state._replace(velocities=velocities, bath_energy=self.state.bath_energy + gained)

    def _knobs(self) -> StepParameters:
        """The knobs of now."""
        dtype, biases = self._field.dtype, tuple(self.control.biases)
        knobs = self.control.step_parameters(len(self))
        if self._biases != biases:
            self.bias_capacity = self.bias_capacity.with_capacity_for(biases)
            structures = self.structures if self._biases is None else self.present_atoms()
            self._bias_arrays = bias_arrays(biases, structures, self.bias_capacity, dtype)
            self._biases = biases
            if self._freedom.add_pulls(biases):  # they may set rotation free, which carries heat from then on
                self._propagator.count_degrees_of_freedom(self._freedom.counted)
        return jax.tree.map(lambda knob: np.asarray(knob, dtype), knobs)._replace(biases=self._bias_arrays)

    def _with_forces(self, state: MDState) -> MDState:
        """A state with its forces; the present one is kept where it has none."""
        before, self.state = getattr(self, "state", None), state  # biases look at where atoms are
        settled = self._propagator.with_forces(state, self._knobs())
        for number in np.flatnonzero(np.asarray(settled.stop_flags)):
            if before is not None:
                self.state = before
            alone = len(self) == 1 and not self._first_number
            which = "" if alone else f" number {self._first_number + number}"
            raise SimulationError(
                f"the energy of the start structure{which} is not a finite number; are atoms on top of each other?"
            )
        return settled

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


def checked_seeds(seeds: Sequence[int] | None, structures: int) -> list[int]:
    """One for each structure: those given, or 0, 1, 2, ...

    Raises:
        ValueError: If there are others than one for each, or one is negative.
    """
    chosen = list(range(structures)) if seeds is None else list(seeds)
    if len(chosen) != structures:
        raise ValueError(f"seeds must be {structures}, one for each structure; got {len(chosen)}")
    if min(chosen) < 0:
        raise ValueError(f"seeds must not be negative, got {min(chosen)}")
    return chosen
