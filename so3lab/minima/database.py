"""Where are minima kept? In a database of ASE, which ``ase db`` and every tool of ASE opens.

Each search has a row of kind ``start``, the structure that it began with, whose data say how far it has come, and its
minima have rows of kind ``minimum``. A round of a search is one transaction: what has been committed is never lost.
Relaxations of the round that is running are kept beside it every few seconds, and only the last ones are done again.
Several processes may write to one SQLite file, each its own searches; they rely on the
locks of SQLite, which die with their process, unlike lock files. SQLite is unsafe on network drives: there, give each
process its own file and merge, or use a server (any URL that :func:`ase.db.connect` takes).
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ase
import numpy as np
import pandas as pd
from ase.calculators.singlepoint import SinglePointCalculator

from so3lab.minima.accounts import Minimum
from so3lab.minima.connecting import check_database_writable, connected, transaction, without_password
from so3lab.minima.torsions import rotatable_dihedrals
from so3lab.observables.internal import Dihedral, dihedral_degrees

SEARCH = "search-"
"""With which the names of searches for minima begin."""
_NOBODY = -1
"""Number of a parent that there is not."""
_KEPT_INFO = (str, int, float, bool)


class StoredMinimum(NamedTuple):
    """A row of the database."""

    search: str
    minimum: Minimum
    data: dict[str, Any]


class StoredSearch(NamedTuple):
    """How far a search had come, and what it had found."""

    start: ase.Atoms
    settings: dict[str, Any]
    progress: dict[str, Any]
    running: dict[str, Any]
    """What its running round has relaxed, see :class:`so3lab.minima.unfinished.Unfinished`."""


class MinimaDatabase:
    """Minima of one or more searches.

    Args:
        where: A file name that ends in ``.db``, or any URL that :func:`ase.db.connect` takes, such as
            ``postgresql://user:password@host/name`` with ``ase-db-backends`` installed.

    Raises:
        ValueError: If the name is none of a database, the file is none, or no server answers.
        ImportError: If the package for servers is missing.
    """

    def __init__(self, where: str | Path):
        self.where = str(where)
        self._database = connected(self.where)
        self._rows: dict[tuple[str, int], int] = {}
        self._starts: dict[str, int] = {}
        self._dihedrals: dict[str, list[Dihedral]] = {}

    @property
    def name(self) -> str:
        """Where it is, in words that may be shown: without a password."""
        return without_password(self.where)

    def check_writable(self) -> None:
        """Refuse what takes nothing more, before work is done for it.

        Raises:
            PermissionError: If it is a file that may not be written.
        """
        check_database_writable(self.where)

    def begin(self, search: str, start: ase.Atoms, settings: Mapping[str, Any]) -> None:
        """Note a new search.

        Args:
            search: Its name, the same for the same model, start, settings and seed.
            start: The structure that it begins with.
            settings: Model, minimiser, rule and seed, as JSON holds them.
        """
        with transaction(self._database, self.name):
            self._begin(search, start, settings)

    def _begin(self, search: str, start: ase.Atoms, settings: Mapping[str, Any]) -> None:
        """Within a transaction."""
        data = {"settings": dict(settings), "progress": {}, "info": info_of(start)}
        bare = start.copy()
        bare.calc = None
        self._starts[search] = self._database.write(
            bare, key_value_pairs={"kind": "start", "search": search}, data=data
        )

    def find(self, search: str) -> StoredSearch | None:
        """A search that has been begun, or None."""
        for row in self._database.select(kind="start", search=search):
            self._starts[search] = row.id
            data = row.data
            return StoredSearch(
                atoms_of(row), dict(data["settings"]), dict(data["progress"]), dict(data.get("running", {}))
            )
        return None

    def commit(
        self, search: str, new: Sequence[Minimum], visited: Sequence[Minimum], progress: Mapping[str, Any]
    ) -> None:
        """Store a round of a search, all of it or, if the process dies, nothing.

        Args:
            search: Its name.
            new: Minima that it found.
            visited: Minima that were known, and have been visited again.
            progress: How far it has come, as JSON holds it.

        Raises:
            OSError: If the database cannot be written, as when its disk is full.
        """
        with transaction(self._database, self.name):
            self._store(search, new, visited, progress)

    def keep(self, search: str, running: Mapping[str, Any]) -> None:
        """Store what the running round of a search has relaxed so far, until the round is committed.

        Args:
            search: Its name.
            running: As JSON holds it.

        Raises:
            OSError: If the database cannot be written.
        """
        with transaction(self._database, self.name):
            self._database.update(self._starts[search], data={"running": dict(running)})

    def _store(
        self, search: str, new: Sequence[Minimum], visited: Sequence[Minimum], progress: Mapping[str, Any]
    ) -> None:
        """Within a transaction."""
        database = self._database
        database.update(self._starts[search], data={"progress": dict(progress), "running": {}})
        for minimum in visited:
            database.update(self._rows[search, minimum.number], visits=minimum.visits)
        for minimum in new:
            self._rows[search, minimum.number] = self._write(search, minimum)

    def minima(self, search: str | None = None) -> Iterator[StoredMinimum]:
        """Minima of one search, or of all, in the order in which they were found."""
        selection = {"kind": "minimum"} | ({} if search is None else {"search": search})
        for row in self._database.select(sort="id", **selection):
            found = row.key_value_pairs
            self._rows[found["search"], found["number"]] = row.id
            minimum = Minimum(
                found["number"], atoms_of(row), float(row.energy), found["origin"], _number(found["parent"]),
                found["visits"], _number(found["mirror_image_of"]),
            )  # fmt: skip
            data = dict(row.data)
            self._dihedrals.setdefault(found["search"], [tuple(atoms) for atoms in data["dihedrals"]])
            yield StoredMinimum(found["search"], minimum, data)

    def table(self, search: str | None = None) -> pd.DataFrame:
        """One row per minimum: search, number, energy in eV, visits, origin, parent; without structures."""
        names = ("search", "number", "energy", "visits", "origin", "parent", "radius_of_gyration")
        selection = {"kind": "minimum"} | ({} if search is None else {"search": search})
        rows = self._database.select(columns=["id", "energy", "key_value_pairs"], **selection)
        return pd.DataFrame([[row.get(name) for name in names] for row in rows], columns=[*names])

    def searches(self) -> list[str]:
        """Names of all searches."""
        return [row.search for row in self._database.select(kind="start", columns=["id", "key_value_pairs"])]

    def models(self) -> set[str]:
        """Checksums of the models whose minima are here; energies of different ones say nothing about each other."""
        return {str(row.data["settings"]["model"]) for row in self._database.select(kind="start")}

    def take_from(self, other: "MinimaDatabase") -> int:
        """Copy the searches of another database that are not here yet; return how many minima came.

        Each search comes whole or, if the process dies, not at all.

        Raises:
            ValueError: If a search is in both, with other minima in each: one of them has gone on since.
        """
        here, taken = set(self.searches()), 0
        for search in other.searches():
            if search in here:
                if len(self.table(search)) != len(other.table(search)):
                    raise ValueError(
                        f"search {search} is in {self.name} and has other minima in {other.name}: one of them has "
                        "gone on; merge the newest files into a new one"
                    )
                continue
            stored = other.find(search)
            assert stored is not None
            if self.models() - {stored.settings["model"]}:
                raise ValueError(f"{other.name} holds minima of another model than {self.name}; keep them apart")
            minima = [one.minimum for one in other.minima(search)]
            with transaction(self._database, self.name):
                self._begin(search, stored.start, stored.settings)
                self._store(search, minima, (), stored.progress)
                self._store_more_of(search, other)
            taken += len(minima)
        return taken

    def _store_more_of(self, search: str, other: "MinimaDatabase") -> None:
        """What else a search of another database has; within a transaction."""

    def _write(self, search: str, minimum: Minimum) -> int:
        atoms = minimum.atoms
        centred = atoms.positions - atoms.positions.mean(axis=0)
        pairs = {
            "kind": "minimum",
            "search": search,
            "number": minimum.number,
            "visits": minimum.visits,
            "origin": minimum.origin,
            "parent": _NOBODY if minimum.parent is None else minimum.parent,
            "mirror_image_of": _NOBODY if minimum.mirror_image_of is None else minimum.mirror_image_of,
            "radius_of_gyration": float(np.sqrt(np.mean(np.sum(centred**2, axis=1)))),
        }
        if search not in self._dihedrals:  # the same ones for all minima of a compound
            self._dihedrals[search] = rotatable_dihedrals(atoms)
        dihedrals = self._dihedrals[search]
        degrees = [float(dihedral_degrees(atoms.positions[None], dihedral)[0]) for dihedral in dihedrals]
        data = {"dihedrals": [list(dihedral) for dihedral in dihedrals], "degrees": degrees, "info": info_of(atoms)}
        stored = atoms
        if atoms.calc is None:
            stored = atoms.copy()
            stored.calc = SinglePointCalculator(stored, energy=minimum.energy)
        return self._database.write(stored, key_value_pairs=pairs, data=data)


def atoms_of(row: Any) -> ase.Atoms:
    """The structure of a row, with charge, spin and other plain values."""
    atoms = row.toatoms()
    atoms.info.update(row.data.get("info", {}))
    return atoms


def info_of(atoms: ase.Atoms) -> dict[str, Any]:
    """Charge, spin and other plain values that belong to a structure."""
    plain = {key: value.item() if isinstance(value, np.generic) else value for key, value in atoms.info.items()}
    return {str(key): value for key, value in plain.items() if isinstance(value, _KEPT_INFO)}


def _number(stored: int) -> int | None:
    return None if stored == _NOBODY else int(stored)
