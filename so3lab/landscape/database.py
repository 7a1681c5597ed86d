"""Where are transition states kept? In the database of the minima that they join, as rows of kind ``transition_state``.

A landscape is a search among others there: its row of kind ``start`` says how far it has come, minima that it found
first are its own, and the minima that its saddles join are named by their search and number, whichever search found
them. Vibrations of minima stand in the data of their rows.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import ase
import numpy as np

from so3lab.landscape.states import Origin, TransitionState
from so3lab.landscape.vibrations import Vibrations
from so3lab.minima.accounts import Minimum
from so3lab.minima.connecting import transaction
from so3lab.minima.database import MinimaDatabase, atoms_of, info_of

KIND = "landscape-"
"""With which the names of landscapes begin."""


class Name(NamedTuple):
    """What a minimum is called in a database, whatever is found later."""

    search: str
    number: int


@dataclass
class StoredSaddle:
    """A row of kind ``transition_state``."""

    search: str
    number: int
    """In the order in which they were found, from 0."""
    atoms: ase.Atoms
    energy: float
    """eV."""
    joins: tuple[Name, Name]
    vibrations: Vibrations
    mode: np.ndarray
    curvature: float
    """eV/Å²."""
    origin: Origin
    visits: int = 1

    def transition_state(self, number: int, minima: tuple[int, int]) -> TransitionState:
        """As a landscape has it.

        Args:
            number: In the landscape.
            minima: Numbers of the two that it joins, there.
        """
        return TransitionState(
            number, self.atoms, self.energy, (min(minima), max(minima)), self.vibrations, self.mode, self.curvature,
            self.origin, self.visits,
        )  # fmt: skip


class LandscapeDatabase(MinimaDatabase):
    """Minima with the saddles between them; arguments as of :class:`so3lab.minima.MinimaDatabase`."""

    def __init__(self, where: str | Path):
        super().__init__(where)
        self._saddle_rows: dict[tuple[str, int], int] = {}

    def commit_saddles(
        self,
        search: str,
        *,
        minima: Sequence[Minimum],
        new: Sequence[StoredSaddle],
        visited: Sequence[StoredSaddle],
        vibrations: Mapping[Name, Vibrations],
        progress: Mapping[str, Any],
    ) -> None:
        """Store a round of a landscape, all of it or, if the process dies, nothing.

        Args:
            search: Its name.
            minima: That were found first on the way down from saddles.
            new: Saddles found.
            visited: Saddles that were known, and have been found again.
            vibrations: Of minima, whichever search they belong to.
            progress: How far it has come, as JSON holds it.
        """
        with transaction(self._database, self.name) as database:
            self._store(search, minima, (), progress)
            for saddle in visited:
                database.update(self._saddle_rows[search, saddle.number], visits=saddle.visits)
            self._store_saddles(search, new, vibrations)

    def _store_saddles(self, search: str, new: Sequence[StoredSaddle], vibrations: Mapping[Name, Vibrations]) -> None:
        """Within a transaction."""
        for saddle in new:
            self._saddle_rows[search, saddle.number] = self._write_saddle(saddle)
        for name, found in vibrations.items():
            self._database.update(self._rows[name], data={"vibrations": _plain(found)})

    def saddles(self, search: str | None = None) -> Iterator[StoredSaddle]:
        """Saddles of one landscape, or of all, in the order in which they were found."""
        selection = {"kind": "transition_state"} | ({} if search is None else {"search": search})
        for row in self._database.select(sort="id", **selection):
            found, data = row.key_value_pairs, dict(row.data)
            self._saddle_rows[found["search"], found["number"]] = row.id
            first, second = (Name(*name) for name in data["joins"])
            yield StoredSaddle(
                found["search"], found["number"], atoms_of(row), float(row.energy), (first, second),
                vibrations_of(data["vibrations"]), np.array(data["mode"], float), float(found["curvature"]),
                found["origin"], found["visits"],
            )  # fmt: skip

    def left(self) -> set[Name]:
        """Minima that landscapes have left along their modes."""
        stored = (self.find(search) for search in self.searches() if search.startswith(KIND))
        tried = [one for landscape in stored if landscape is not None for one in landscape.progress.get("tried", ())]
        return {Name(*name) for name, count in tried if count}

    def take_from(self, other: MinimaDatabase) -> int:
        """Copy the searches of another database that are not here yet, landscapes with their saddles; return how many
        minima came.

        Raises:
            ValueError: If a search or a landscape is in both, with other states in each.
        """
        theirs = LandscapeDatabase(other.where)
        for search in sorted(set(self.searches()) & set(theirs.searches())):
            if _energies(self.saddles(search)) != _energies(theirs.saddles(search)):
                raise ValueError(
                    f"landscape {search} is in {self.name} and has other transition states in {other.name}; merge "
                    "files before their landscapes are explored, and explore that of the merged one"
                )
        return super().take_from(theirs)

    def _store_more_of(self, search: str, other: MinimaDatabase) -> None:
        assert isinstance(other, LandscapeDatabase)
        known = {
            Name(search, one.minimum.number): vibrations_of(one.data["vibrations"])
            for one in other.minima(search)
            if "vibrations" in one.data
        }
        self._store_saddles(search, list(other.saddles(search)), known)

    def _write_saddle(self, saddle: StoredSaddle) -> int:
        pairs = {
            "kind": "transition_state",
            "search": saddle.search,
            "number": saddle.number,
            "visits": saddle.visits,
            "origin": saddle.origin,
            "curvature": saddle.curvature,
            "imaginary_frequency_cm": -float(saddle.vibrations.wavenumbers_cm[0]),
        }
        data = {
            "joins": [list(name) for name in saddle.joins],
            "vibrations": _plain(saddle.vibrations),
            "mode": np.asarray(saddle.mode).tolist(),
            "info": info_of(saddle.atoms),
        }
        return int(self._database.write(saddle.atoms, key_value_pairs=pairs, data=data))


def _energies(saddles: Iterable[StoredSaddle]) -> list[float]:
    return sorted(one.energy for one in saddles)


def vibrations_of(stored: Mapping[str, Any]) -> Vibrations:
    """Vibrations from the data of a row."""
    return Vibrations(
        np.array(stored["wavenumbers_cm"], float), int(stored["symmetry_order"]), np.array(stored["moments"], float)
    )


def _plain(found: Vibrations) -> dict[str, Any]:
    return {
        "wavenumbers_cm": found.wavenumbers_cm.tolist(),
        "symmetry_order": int(found.symmetry_order),
        "moments": found.moments.tolist(),
    }
