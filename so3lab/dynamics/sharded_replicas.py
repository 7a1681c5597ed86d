"""Replicas on several devices: each moves a share of the structures, and together they are as one batch.

None of them exchanges anything while it moves, so that a structure's trajectory is that of one device, to rounding. A
restart state does not tell how many devices there were: another number goes on from it.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import ase
import numpy as np

from so3lab.dynamics.chunk import Chunk
from so3lab.dynamics.control import Control
from so3lab.dynamics.ensembles import Ensemble
from so3lab.dynamics.integrators import MDState
from so3lab.dynamics.limits import Limits
from so3lab.dynamics.replicas import Replicas, checked_seeds
from so3lab.dynamics.restart import with_present_names
from so3lab.engine.devices import Shares
from so3lab.engine.energy_model import EnergyModel
from so3lab.potential.potential import Potential

_OF_ATOMS = ("positions", "velocities", "forces", "gathered_at")
_OF_ALL = ("step", "time_fs", "capacity")
"""Entries of restart states without an axis of atoms or structures."""
_ENTRIES = {*MDState._fields, *_OF_ATOMS, *_OF_ALL, "gathered_cells", "fixed_cells"}


class ShardedReplicas:
    """What :class:`~so3lab.dynamics.replicas.Replicas` is, on all devices that JAX finds in this process.

    Args:
        potential: As of :class:`~so3lab.dynamics.replicas.Replicas`, and so are the others.
        structures: At least as many as there are devices that find work.
        ensemble: How they move.
        control: The knobs; keep it to turn them.
        seeds: One for each structure; default: 0, 1, 2, ...
        limits: When a structure counts as blown up.

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
    ):
        self.control, self.ensemble = control or Control(), ensemble
        self.seeds = checked_seeds(seeds, len(structures))
        self._shares, self._count = Shares(len(structures)), len(structures)

        def begin(number: int) -> Replicas:
            some = self._shares.of_structures[number]
            return Replicas(
                potential,
                structures[some],
                ensemble=ensemble,
                control=self._control_of(number),
                seeds=self.seeds[some],
                limits=limits,
                first_number=some.start,
            )

        self._parts = self._shares.each(begin)

    def __len__(self) -> int:
        return self._count

    @property
    def structures(self) -> list[ase.Atoms]:
        """As they began."""
        return [atoms for part in self._parts for atoms in part.structures]

    @property
    def shifts(self) -> np.ndarray:
        """Energies of the atoms alone, which those of the state lack, eV."""
        return np.concatenate([part.shifts for part in self._parts])

    @property
    def step(self) -> int:
        """How many steps have been made; a share that blew up has stopped before."""
        return max(part.step for part in self._parts)

    @property
    def time_fs(self) -> float:
        """How long they have moved."""
        return max(part.time_fs for part in self._parts)

    @property
    def most_frames(self) -> int:
        """Frames that a chunk may have."""
        return min(part.most_frames for part in self._parts)

    @property
    def alive(self) -> np.ndarray:
        """Which structures go on."""
        return np.concatenate([part.alive for part in self._parts])

    @property
    def state(self) -> MDState:
        """That of all structures, on the host."""
        states = [{k: np.asarray(x) for k, x in part.state._asdict().items() if x is not None} for part in self._parts]
        joined: dict[str, Any] = {name: self._joined(name, states) for name in MDState._fields if name in states[0]}
        return MDState(**joined)

    def identity(self) -> dict[str, Any]:
        """What must be the same when a run goes on."""
        of_parts = [part.identity() for part in self._parts]
        joined = {name: [x for one in of_parts for x in one[name]] for name in ("total_charges", "unpaired_electrons")}
        return of_parts[0] | joined

    def frames(self) -> list[Chunk]:
        """The present moment of each structure as a chunk of one frame."""
        return [chunk for part in self._parts for chunk in part.frames()]

    def advance(self, frames: int, interval: int) -> list[Chunk]:
        """Run ``frames * interval`` steps and return every ``interval``-th moment of each structure.

        Raises:
            ValueError: If ``frames`` exceeds :attr:`most_frames`, or a bias is not acceptable.
        """
        if not 1 <= frames <= self.most_frames:
            raise ValueError(f"frames must be 1 to {self.most_frames}, got {frames}")

        def advanced(number: int) -> list[Chunk]:
            self._parts[number].control = self._control_of(number)
            return self._parts[number].advance(frames, interval)

        return [chunk for chunks in self._shares.each(advanced) for chunk in chunks]

    def failure(self, number: int = 0) -> str | None:
        """What ended the run of a structure; None while it goes on."""
        share, there = self._shares.share_of(number)
        return self._parts[share].failure(there)

    def present_atoms(self) -> list[ase.Atoms]:
        """The structures as they are now, with velocities."""
        return [atoms for part in self._parts for atoms in part.present_atoms()]

    def exchange_temperatures(self, temperatures_K: Sequence[float]) -> None:
        """Give each structure a new temperature and scale its velocities to it, as replica exchange does."""
        self.control.temperature_K = tuple(float(t) for t in temperatures_K)

        def exchange(number: int) -> None:
            self._parts[number].exchange_temperatures(temperatures_K[self._shares.of_structures[number]])

        self._shares.each(exchange)

    def restart_state(self) -> dict[str, np.ndarray]:
        """Everything needed to go on exactly on as many devices, and to rounding on another number."""
        states = [part.restart_state() for part in self._parts]
        return {name: self._joined(name, states) for name in dict.fromkeys(name for state in states for name in state)}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go on from a state of :meth:`restart_state`, or from one of one device."""
        present = {name: values for name, values in with_present_names(state).items() if name in _ENTRIES}
        first_atoms = np.cumsum([0, *(len(part.state.positions) for part in self._parts)]).tolist()

        def restore(number: int) -> None:
            atoms = slice(first_atoms[number], first_atoms[number + 1])
            structures = self._shares.of_structures[number]
            share = {
                name: values if name in _OF_ALL else values[atoms if name in _OF_ATOMS else structures]
                for name, values in present.items()
            }
            self._parts[number].restore(share | {"capacity": -(-present["capacity"] // len(self._shares))})

        self._shares.each(restore)

    def _joined(self, name: str, states: list[dict[str, np.ndarray]]) -> np.ndarray:
        """An entry of the states of all shares as one of them all."""
        found = [state.get(name) for state in states]
        there = [values for values in found if values is not None]
        if name == "capacity":
            return len(states) * np.max(there, axis=0)
        if name in _OF_ALL:
            return np.max(there, axis=0)
        # Lists in which all atoms meet need not know where these were, which is said by NaN.
        rows = [len(state["positions"]) for state in states]
        filled = [
            np.full((count, *there[0].shape[1:]), np.nan, there[0].dtype) if values is None else values
            for values, count in zip(found, rows, strict=True)
        ]
        return np.concatenate(filled)

    def _control_of(self, number: int) -> Control:
        """The knobs of now, with the temperatures of a share."""
        temperatures = self.control.temperatures_K(self._count)[self._shares.of_structures[number]]
        return dataclasses.replace(self.control, temperature_K=tuple(temperatures.tolist()))


AnyReplicas = Replicas | ShardedReplicas


def replicas_on_devices(
    potential: Potential | EnergyModel, structures: Sequence[ase.Atoms], **options: Any
) -> AnyReplicas:
    """Replicas on all devices that there are and that find work; ``options`` are those of either."""
    if len(structures) < 2 or len(Shares(len(structures))) == 1:
        return Replicas(potential, structures, **options)
    return ShardedReplicas(potential, structures, **options)
