"""What computes the structures of a batch: the engine, with cells that stay or that are relaxed too.

Arrays are by slots, ``(slots, widest, 3)``; rows that a structure lacks come back as zeros. A cell that is relaxed adds
three rows to those of the atoms, see :mod:`so3lab.minimize.cells`.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import ase
import numpy as np
from jaxtyping import Float

from so3lab.engine.devices import Shares
from so3lab.engine.energy_model import EnergyModel
from so3lab.engine.forces import ForceEvaluator
from so3lab.engine.pair_lists import ALL_PAIRS_UP_TO
from so3lab.minimize.cells import deformed, gradients_of_deformed
from so3lab.structures.electrons import total_charge, unpaired_electrons

Slots = Float[np.ndarray, "slots widest 3"]


class Evaluator(Protocol):
    """Energies in eV, and their gradients."""

    def __call__(self, rows: Slots) -> tuple[Float[np.ndarray, " slots"], Slots]:
        """Energies and gradients of all structures at these rows."""

    def replace(self, slot: int, atoms: ase.Atoms) -> None:
        """Put another structure into a slot."""


class EngineEvaluator:
    """The engine, for molecules and for cells whose vectors stay.

    Args:
        model: Energy function, parameters, cutoff.
        structures: One for each slot; others that take their places are no larger.
    """

    def __init__(self, model: EnergyModel, structures: Sequence[ase.Atoms]):
        sizes = [len(atoms) for atoms in structures]
        self._forces = ForceEvaluator(model, structures, slots=sizes)
        self._in_use = np.arange(max(sizes)) < np.array(sizes)[:, None]
        self._kinds = [_kind(atoms) for atoms in structures]

    def replace(self, slot: int, atoms: ase.Atoms) -> None:
        """Put another structure into a slot; nothing is compiled, and nothing done for a molecule like the last one."""
        kind = _kind(atoms)
        if kind is None or kind != self._kinds[slot]:
            self._forces.replace(slot, atoms)
            self._kinds[slot] = kind

    def __call__(self, rows: Slots) -> tuple[Float[np.ndarray, " slots"], Slots]:
        """Energies and gradients."""
        own, gradients = np.s_[:, : self._in_use.shape[1]], np.zeros(rows.shape)
        found = self._forces(rows[own][self._in_use], self._forces.lists.cells)
        gradients[own][self._in_use] = -np.asarray(found.forces, np.float64)
        return np.array(found.energy, np.float64), gradients


def _kind(atoms: ase.Atoms) -> tuple | None:
    """What a molecule is to the engine wherever its atoms are; None where pair lists depend on where they are."""
    if atoms.pbc.any() or len(atoms) > ALL_PAIRS_UP_TO:
        return None
    return atoms.numbers.tobytes(), total_charge(atoms), unpaired_electrons(atoms)


class CellEvaluator:
    """The engine, for cells whose vectors are relaxed with the atoms.

    Args:
        model: Energy function, parameters, cutoff.
        structures: One for each slot, all periodic in three directions.
        pressure: eV/Å³, against which volume is made: energies are enthalpies.
    """

    def __init__(self, model: EnergyModel, structures: Sequence[ase.Atoms], pressure: float):
        self._structures, self._pressure = list(structures), pressure
        self._sizes = [len(atoms) for atoms in structures]
        self._forces = ForceEvaluator(model, structures, slots=self._sizes)

    def replace(self, slot: int, atoms: ase.Atoms) -> None:
        """Put another structure into a slot."""
        self._forces.replace(slot, atoms)
        self._structures[slot] = atoms

    def __call__(self, rows: Slots) -> tuple[Float[np.ndarray, " slots"], Slots]:
        """Enthalpies and gradients."""
        places = [deformed(atoms, own[: len(atoms) + 3]) for atoms, own in zip(self._structures, rows, strict=True)]
        positions = np.concatenate(
            [np.pad(at, [(0, size - len(at)), (0, 0)]) for (at, _), size in zip(places, self._sizes, strict=True)]
        )
        cells = np.stack([cell for _, cell in places])
        found = self._forces(positions, cells, with_virial=True)
        forces, virials = np.asarray(found.forces, np.float64), np.asarray(found.virial, np.float64)
        gradients, starts = np.zeros(rows.shape), np.cumsum([0, *self._sizes[:-1]])
        for slot, (atoms, start) in enumerate(zip(self._structures, starts, strict=True)):
            size, own = len(atoms), rows[slot, : len(atoms) + 3]
            work = self._pressure * abs(np.linalg.det(cells[slot])) * np.eye(3)
            own_gradient = gradients_of_deformed(own, -forces[start : start + size], virials[slot] + work)
            gradients[slot, : size + 3] = own_gradient
        volumes = np.abs(np.linalg.det(cells))
        return np.array(found.energy, np.float64) + self._pressure * volumes, gradients


class ShardedEvaluator:
    """A share of the slots on each device.

    Args:
        make: The evaluator of some structures.
        structures: One for each slot.
        shares: Which device has which.
    """

    def __init__(
        self, make: Callable[[Sequence[ase.Atoms]], Evaluator], structures: Sequence[ase.Atoms], shares: Shares
    ):
        self._shares = shares
        self._parts = shares.each(lambda number: make(structures[shares.of_structures[number]]))

    def replace(self, slot: int, atoms: ase.Atoms) -> None:
        """Put another structure into a slot."""
        share, there = self._shares.share_of(slot)
        self._shares.on(share, lambda number: self._parts[number].replace(there, atoms))

    def __call__(self, rows: Slots) -> tuple[Float[np.ndarray, " slots"], Slots]:
        """Energies and gradients."""
        found = self._shares.each(lambda number: self._parts[number](rows[self._shares.of_structures[number]]))
        energies, gradients = zip(*found, strict=True)
        return np.concatenate(energies), np.concatenate(gradients)


def on_devices(make: Callable[[Sequence[ase.Atoms]], Evaluator], structures: Sequence[ase.Atoms]) -> Evaluator:
    """The evaluator of some structures, on all devices that find work.

    Args:
        make: That of structures on one device.
        structures: One for each slot.
    """
    shares = Shares(len(structures))
    return make(structures) if len(shares) == 1 else ShardedEvaluator(make, structures, shares)
