"""Structures that are relaxed at once: one evaluation of all of them, then a step of each by its own method.

Every structure has a slot in the engine's batch. When it has ended, another takes its slot, and nothing is compiled.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import ase
import numpy as np
from jaxtyping import Bool, Float

from so3lab.minimize.cartesian_lbfgs import CartesianLBFGS
from so3lab.minimize.cells import undeformed
from so3lab.minimize.changes import Bonds, bonds_at_start
from so3lab.minimize.coordinates import CoordinatesError, internal_coordinates
from so3lab.minimize.curvature import Curvature
from so3lab.minimize.evaluators import Evaluator
from so3lab.minimize.fire import Fire
from so3lab.minimize.freedom import Freedom, without_rigid_motion
from so3lab.minimize.internal_bfgs import InternalBFGS

METHODS = ("internal", "cartesian", "fire")
"""From the fastest to the last resort; what fails with one goes on with the next."""
PATIENCE = 8
"""Steps refused in a row after which a method counts as failed."""

MOST_RENEWALS = 4
"""Times that internal coordinates are made anew before they count as no good."""

Rows = np.ndarray
Points = Float[np.ndarray, "rows atoms 3"]
Slots = Float[np.ndarray, "slots widest 3"]


class Stepper(Protocol):
    """What a method is; see :class:`~so3lab.minimize.internal_bfgs.InternalBFGS`."""

    failed: Bool[np.ndarray, " rows"]

    def begin(self, rows: Rows) -> None: ...
    def propose(self, rows: Rows) -> Points: ...
    def tell(self, rows: Rows, positions: Points, energies: np.ndarray, gradients: Points) -> np.ndarray: ...
    def gains(self, rows: Rows) -> Float[np.ndarray, " rows"]: ...


@dataclass
class Item:
    """A structure on its way."""

    number: int
    atoms: ase.Atoms
    bonds: Bonds
    """At the start."""
    freedom: Freedom
    method: str
    start: ase.Atoms
    """As it came, wherever in space."""
    cell: bool = False
    """Whether its cell is relaxed too."""
    renewals: int = 0
    """How often its internal coordinates have been made anew."""
    evaluations: int = 0
    refused: int = 0
    """Steps in a row."""
    stepper: Stepper | None = None
    finite: bool = True
    curvature: Curvature | None = None
    """At the last point that seemed to be a minimum, when that is asked for."""

    @property
    def size(self) -> int:
        """Rows of coordinates: those of the atoms, and three of a cell that is relaxed."""
        return len(self.atoms) + (3 if self.cell else 0)


class Batch:
    """Slots for structures, all of them in one evaluation.

    Args:
        evaluator: What computes them, with the same slots.
        items: Those that come first, one for each slot.
    """

    def __init__(self, evaluator: Evaluator, items: Sequence[Item]):
        self.items: list[Item | None] = list(items)
        self.sizes = [item.size for item in items]
        widest, slots = max(self.sizes), len(items)
        self.positions, self.gradients = np.zeros((2, slots, widest, 3))
        self.energies = np.zeros(slots)
        self._present = np.zeros((slots, widest), bool)
        self._evaluator = evaluator
        self._internal: dict[tuple, InternalBFGS] = {}
        self._cartesian = CartesianLBFGS(widest, slots)
        self._fire = Fire(widest, slots)
        for slot, item in enumerate(items):
            self._settle(slot, item)

    def place(self, slot: int, item: Item) -> None:
        """Put a structure into a slot that is free."""
        self._evaluator.replace(slot, item.atoms)
        self.items[slot] = item
        self._settle(slot, item)

    def displace(self, slot: int, step: Float[np.ndarray, "atoms 3"]) -> None:
        """Move a structure, in Å, and let it begin anew from there."""
        item = self._item(slot)
        moved = item.freedom.restore(self.positions[slot, : item.size] + step)
        self.positions[slot, : item.size], item.stepper, item.refused = moved, None, 0

    def leave(self, slot: int) -> None:
        """Free a slot."""
        self.items[slot] = None
        if len(self._internal) > len(self.items):
            in_use = {id(item.stepper) for item in self.items if item is not None}
            self._internal = {key: one for key, one in self._internal.items() if id(one) in in_use}

    def active(self) -> list[int]:
        """Slots with structures."""
        return [slot for slot, item in enumerate(self.items) if item is not None]

    def step(self) -> None:
        """Evaluate all structures where their methods want to look, and let them learn."""
        there = self.positions.copy()
        for stepper, rows, size in self._groups():
            there[rows, :size] = stepper.propose(rows)
            for row in rows:
                if (freedom := self._item(row).freedom).members:
                    there[row, :size] = self._restored(freedom, there[row, :size])
        astray = ~np.isfinite(there).all(axis=(1, 2))
        there[astray] = self.positions[astray]
        energies, gradients = self._evaluate(there)
        energies[astray] = np.inf
        for slot in self.active():
            self._begin(slot, energies[slot])
        for stepper, rows, size in self._groups():
            at, slope = there[rows, :size], gradients[rows, :size]
            self._count(rows, stepper.tell(rows, at, energies[rows], slope), there, energies, gradients)
        for slot in self.active():
            self._change(slot)

    @staticmethod
    def _restored(freedom: Freedom, positions: Float[np.ndarray, "atoms 3"]) -> Float[np.ndarray, "atoms 3"]:
        """With held coordinates as they are wanted; NaN where a step went too far for them, so that it is refused."""
        try:
            return freedom.restore(positions)
        except ValueError:
            return np.full(positions.shape, np.nan)

    def max_forces(self) -> Float[np.ndarray, " slots"]:
        """eV/Å, the largest on an atom of each structure at its last accepted point."""
        found: np.ndarray = np.sqrt(np.einsum("sax,sax->sa", self.gradients, self.gradients)).max(axis=1)
        return found

    def gains(self) -> Float[np.ndarray, " slots"]:
        """eV, predicted; infinite before the first evaluation."""
        found = np.full(len(self.items), np.inf)
        for stepper, rows, _ in self._groups():
            found[rows] = stepper.gains(rows)
        return found

    def _item(self, slot: int) -> Item:
        item = self.items[slot]
        assert item is not None
        return item

    def _settle(self, slot: int, item: Item) -> None:
        self._present[slot] = np.arange(self._present.shape[1]) < len(item.atoms)
        self.positions[slot], self.gradients[slot], self.energies[slot] = 0.0, 0.0, np.inf
        start = undeformed(item.atoms) if item.cell else item.freedom.restore(item.atoms.positions)
        self.positions[slot, : item.size] = start

    def _groups(self) -> list[tuple[Stepper, Rows, int]]:
        """Methods with the slots that they move, and the number of atoms that their points have."""
        found: dict[int, tuple[Stepper, list[int]]] = {}
        for slot, item in enumerate(self.items):
            if item is not None and item.stepper is not None:
                found.setdefault(id(item.stepper), (item.stepper, []))[1].append(slot)
        widest = self._present.shape[1]
        size_of = lambda one: one.coordinates.atoms if isinstance(one, InternalBFGS) else widest  # noqa: E731
        return [(stepper, np.array(rows), size_of(stepper)) for stepper, rows in found.values()]

    def _evaluate(self, positions: Slots) -> tuple[Float[np.ndarray, " slots"], Slots]:
        """Energies, and gradients of what may move; infinite energies where they are no numbers."""
        energies, gradients = self._evaluator(positions)
        finite = np.isfinite(energies) & np.isfinite(gradients).all(axis=(1, 2))
        gradients[~finite], energies[~finite] = 0.0, np.inf
        freedoms = [None if item is None else item.freedom for item in self.items]
        turn = np.array([one is not None and one.free_to_turn for one in freedoms])
        shift = np.array([one is not None and one.free_to_shift for one in freedoms])
        projected = without_rigid_motion(gradients, positions, self._present, turn)
        gradients = np.where(shift[:, None, None], projected, gradients)
        for slot in self.active():
            item = self._item(slot)
            if item.freedom.restricts:
                own = slice(len(item.atoms))
                gradients[slot, own] = item.freedom.project(gradients[slot, own], positions[slot, own])
        return energies, gradients

    def _count(
        self, rows: Rows, accepted: Bool[np.ndarray, " rows"], there: Slots, energies: np.ndarray, gradients: Slots
    ) -> None:
        good = rows[accepted]
        self.positions[good], self.energies[good], self.gradients[good] = there[good], energies[good], gradients[good]
        for row, accept in zip(rows, accepted, strict=True):
            item = self._item(row)
            item.evaluations += 1
            item.refused = 0 if accept else item.refused + 1

    def _begin(self, slot: int, energy: float) -> None:
        """Give a method to a structure that has none yet, and has an energy."""
        item = self._item(slot)
        if item.stepper is not None:
            return
        item.finite = bool(np.isfinite(energy))
        if item.finite:
            self._take(slot, item)
        else:
            item.evaluations += 1

    def _change(self, slot: int) -> None:
        """Give another method to a structure whose own has failed."""
        item = self._item(slot)
        if item.stepper is None or not (item.stepper.failed[slot] or item.refused >= PATIENCE):
            return
        item.refused = 0
        if item.method == "internal" and item.renewals < MOST_RENEWALS:
            item.renewals += 1
        else:
            item.method = METHODS[min(METHODS.index(item.method) + 1, len(METHODS) - 1)]
        stepper, row = self._take(slot, item), np.array([slot])
        width = item.size if item.method == "internal" else self.positions.shape[1]
        stepper.tell(row, self.positions[row, :width], self.energies[row], self.gradients[row, :width])

    def _take(self, slot: int, item: Item) -> Stepper:
        """Begin with the item's method, or with the next one where it has no coordinates."""
        if item.method == "internal":
            try:
                item.stepper = self._internal_for(item, self.positions[slot, : item.size])
            except CoordinatesError:
                item.method = "cartesian"
        if item.method != "internal":
            item.stepper = self._cartesian if item.method == "cartesian" else self._fire
        assert item.stepper is not None
        item.stepper.begin(np.array([slot]))
        return item.stepper

    def _internal_for(self, item: Item, positions: Float[np.ndarray, "atoms 3"]) -> InternalBFGS:
        """The method of all structures with the same coordinates."""
        bonded = item.bonds
        if item.renewals:
            now = item.atoms.copy()
            now.positions = positions
            bonded = bonds_at_start(now)
        coordinates = internal_coordinates(item.atoms.numbers, positions, bonded)
        coordinates, held = coordinates.with_members(item.freedom.members)
        key = (coordinates.key, item.atoms.numbers.tobytes(), item.freedom.fixed.tobytes(), held.tobytes())
        if key not in self._internal:
            self._internal[key] = InternalBFGS(
                coordinates, item.atoms.numbers, len(self.items), item.freedom.fixed, held
            )  # fmt: skip
        return self._internal[key]
