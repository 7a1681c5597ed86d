"""Which relaxations of the running round are done already? They are kept every few seconds until the round is stored.

A search that is interrupted or killed proposes the same structures once more, since that follows from its seed, and
takes the results of those that had been relaxed from here.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from typing import Any

import ase
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator

from so3lab.machine.checksum import checksum
from so3lab.minimize import Relaxed

EVERY_S = 2.0
"""Seconds between two times that results are stored."""
_NOT_AS_IT_IS = ("atoms", "number")


class Unfinished:
    """Results by the structures that were relaxed.

    Args:
        stored: What had been stored of a round that has not ended.
        store: Stores all of them, given as JSON holds them; None keeps them in memory only.
    """

    def __init__(self, stored: Mapping[str, Any] | None = None, store: Callable[[dict[str, Any]], None] | None = None):
        self._results: dict[str, Any] = dict(stored or {})
        self._store = store
        self._new, self._stored_at = 0, time.monotonic()

    def find(self, start: ase.Atoms) -> Relaxed | None:
        """The result of a structure, if it has been relaxed; its ``number`` is 0."""
        found = self._results.get(_name(start))
        return None if found is None else _relaxed(start, found)

    def add(self, start: ase.Atoms, relaxed: Relaxed) -> None:
        """Take in what a structure has been relaxed to; now and then, store what is new."""
        if self._store is None or not np.isfinite([relaxed.energy, relaxed.max_force, relaxed.gain_meV]).all():
            return  # what is not finite is found out again at once, and no server's JSON holds it
        self._results[_name(start)] = _plain(relaxed)
        self._new += 1
        if time.monotonic() - self._stored_at > EVERY_S:
            self._store_now()

    @contextlib.contextmanager
    def stored_if_interrupted(self) -> Iterator[None]:
        """Store what is new when a block is left by an exception, such as an interrupt."""
        try:
            yield
        except BaseException:
            if self._new:
                self._store_now()
            raise

    def clear(self) -> None:
        """Forget all, since the round has been stored."""
        self._results, self._new, self._stored_at = {}, 0, time.monotonic()

    def _store_now(self) -> None:
        assert self._store is not None
        self._store(self._results)
        self._new, self._stored_at = 0, time.monotonic()


def _name(start: ase.Atoms) -> str:
    return checksum(start.numbers, start.positions)


def _plain(relaxed: Relaxed) -> dict[str, Any]:
    """As JSON holds it, in the way of ASE, which knows arrays."""
    plain = {field.name: getattr(relaxed, field.name) for field in fields(relaxed) if field.name not in _NOT_AS_IT_IS}
    calculator = relaxed.atoms.calc
    forces = None if calculator is None else calculator.results.get("forces")
    return plain | {"positions": relaxed.atoms.positions.copy(), "forces": forces}


def _relaxed(start: ase.Atoms, plain: Mapping[str, Any]) -> Relaxed:
    values = {name: _tuples(value) for name, value in plain.items() if name not in ("positions", "forces")}
    atoms = start.copy()
    atoms.positions = plain["positions"]
    if plain["forces"] is not None:
        atoms.calc = SinglePointCalculator(atoms, energy=values["energy"], forces=plain["forces"])
    return Relaxed(number=0, atoms=atoms, **values)


def _tuples(value: Any) -> Any:
    """Lists, as they come from JSON, as the tuples that they were."""
    return tuple(_tuples(one) for one in value) if isinstance(value, list) else value
