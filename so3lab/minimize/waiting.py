"""Structures that wait for a slot: made ready, and given out where they fit."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal

import ase
import jax
import numpy as np

from so3lab.engine.energy_model import EnergyModel
from so3lab.minimize.batch import Item
from so3lab.minimize.changes import Bonds, bonds_at_start
from so3lab.minimize.freedom import Freedom, Held
from so3lab.potential.potential import Potential
from so3lab.structures.elements import are_covalent
from so3lab.structures.neighbors import check_finite

Method = Literal["auto", "internal", "cartesian", "fire"]
MOST_ATOMS_INTERNAL = 250
"""Of molecules that ``auto`` relaxes in internal coordinates; dense matrices of larger ones cost too much."""
_ATOMS_AT_ONCE = {"cpu": 600, "other": 20_000}
_MOST_AT_ONCE = 256
_LOOK_AHEAD = 64
"""Structures read ahead of an iterator in search of one that fits a free slot."""


class Waiting:
    """Structures that wait, the largest first where all are known."""

    def __init__(self, items: Iterator[Item], all_known: bool):
        self._waiting: deque[Item] = deque(sorted(items, key=lambda item: -item.size) if all_known else ())
        self._more = iter(()) if all_known else items

    def first(self, batch: int | None) -> list[Item]:
        """As many as go together: all molecules or all cells."""
        chosen = self._next(lambda _: True)
        if chosen is None:
            return []
        found = [chosen]
        most = batch or _at_once(chosen.size)
        while len(found) < most and (item := self._next(lambda one: _periodic(one) == _periodic(chosen))):
            found.append(item)
        return found

    def fitting(self, size: int, like: Item) -> Item | None:
        """The next one with at most so many atoms, periodic as another is."""
        return self._next(lambda item: item.size <= size and _periodic(item) == _periodic(like))

    def _next(self, fits: Callable[[Item], bool]) -> Item | None:
        for waiting in self._waiting:
            if fits(waiting):
                self._waiting.remove(waiting)
                return waiting
        while len(self._waiting) < _LOOK_AHEAD and (item := next(self._more, None)):
            if fits(item):
                return item
            self._waiting.append(item)
        return None


def _periodic(item: Item) -> bool:
    return bool(item.atoms.pbc.any())


def _at_once(atoms: int) -> int:
    room = _ATOMS_AT_ONCE["cpu" if jax.default_backend() == "cpu" else "other"]
    return len(jax.local_devices()) * int(np.clip(room // atoms, 1, _MOST_AT_ONCE))


def items_of(
    potential: Potential | EnergyModel, structures: Iterable[ase.Atoms], method: Method, hold: Sequence[Held],
    bonds: Bonds | None, cell: bool,
) -> Iterator[Item]:  # fmt: skip
    """Structures made ready, as they are asked for; arguments as of :func:`so3lab.minimize.minimize`."""
    for number, atoms in enumerate(structures):
        if not isinstance(atoms, ase.Atoms):
            raise TypeError(f"structures must hold ase.Atoms, got {type(atoms).__name__} as number {number}")
        if isinstance(potential, Potential):
            potential.check_structure(atoms)
        if cell and not atoms.pbc.all():
            raise ValueError(
                f"cell=True needs structures that are periodic in all directions, got pbc={atoms.pbc.tolist()} for "
                f"number {number}"
            )
        yield item_of(number, atoms, method, hold, bonds, cell)


def item_of(
    number: int,
    atoms: ase.Atoms,
    method: str = "auto",
    hold: Sequence[Held] = (),
    bonds: Bonds | None = None,
    cell: bool = False,
) -> Item:
    """A structure made ready; arguments as of :func:`so3lab.minimize.minimize`.

    Raises:
        ValueError: If it cannot be relaxed.
    """
    if not len(atoms):
        raise ValueError(f"structures must not be empty, but number {number} has no atoms")
    check_finite(atoms.positions)
    centred = atoms.copy()
    if not atoms.pbc.any():
        centred.positions -= centred.positions.mean(axis=0)  # far coordinates lose digits
    bonded = bonds_at_start(atoms) if bonds is None else np.reshape(bonds, (-1, 2))
    way = _method_for(atoms) if method == "auto" else method
    return Item(number, centred, bonded, Freedom(centred, hold), way, atoms, cell)


def _method_for(atoms: ase.Atoms) -> str:
    covalent = are_covalent(atoms.numbers).all()
    molecule = not atoms.pbc.any() and 3 <= len(atoms) <= MOST_ATOMS_INTERNAL and covalent
    return "internal" if molecule else "cartesian"
