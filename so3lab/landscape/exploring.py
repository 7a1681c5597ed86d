"""Grow a landscape: search for saddles beside minima and between them, slide down, remember, go on.

An exploration goes in rounds. First every minimum is left along its softest modes, both ways; then minima that are not
connected are joined by paths; then starts at random say whether anything is still new. What lies below a new saddle may
be a new minimum, which takes its turn. A round follows from what is known and from the seed, and is stored as a whole,
so that an exploration that was killed goes on as one that was not.
"""

import hashlib
import json
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ase
import numpy as np

from so3lab import units
from so3lab.engine.energy_model import EnergyModel
from so3lab.engine.hessians import hessian
from so3lab.landscape.database import KIND, LandscapeDatabase, Name, StoredSaddle
from so3lab.landscape.models import exact_model
from so3lab.landscape.saddles import Climbed, Start, Stop, climb
from so3lab.landscape.settling import Settling
from so3lab.landscape.states import Finding, Origin, Outcome
from so3lab.landscape.turns import Turns
from so3lab.landscape.vibrations import vibrations_from
from so3lab.minima.accounts import Minimum, unseen
from so3lab.minima.gathering import common_rule, gather_with_names
from so3lab.minima.identity import DuplicateRule, KnownMinima
from so3lab.minima.search import check_budget, checksum_of
from so3lab.potential.potential import Potential
from so3lab.structures.symmetry import molecular_graph

ROUND, ROUND_OF_MOLECULES = 32, 16
"""Searches of a round; those of molecules take longer, and a budget of time ends after a round."""
SATURATION, SATURATION_OF_MOLECULES = 0.98, 0.9
"""Share of the saddles, estimated to have been found, without which no exploration ends that has no budget."""
VIBRATIONS = 32
"""Of minima above the window, which populations need, that a round computes when all modes have been followed."""
QUIET, QUIET_PER_SADDLE = 64, 12
"""Searches at random without a new saddle before it ends: at least, and for each saddle that is known."""
QUIET_OF_MOLECULES = 16, 0
"""The same of molecules, whose saddles lie along their softest modes: what is left are high ones without end."""
WINDOW_KCAL_MOL = 5.0
"""Above the lowest minimum of a molecule, within which minima are left: what lies higher has populations below 2e-4 at
298 K."""


class Exploration:
    """An exploration of the saddles between minima of a database that can be stopped and resumed.

    ``for finding in Exploration(potential, "minima.db").run(minutes=10): ...`` streams what became of each search;
    :meth:`so3lab.landscape.Landscape.read` gives what has been found.

    Args:
        potential: That the minima of the database are of.
        database: Of minima; what is found goes there, too.
        rule: When two states are the same; default: as the searches had it.
        seed: Of all chances.
        max_force, max_gain_meV: When minima and saddles have converged, see :func:`so3lab.minimize.minimize`.
        steps_per_hessian: See :func:`so3lab.landscape.saddles.climb`.
        round_size: Searches that are made together; default: 16 of molecules, 32 of clusters.
        window: eV above the lowest minimum within which minima are left in search of saddles; default: 5 kcal/mol of
            molecules, all of clusters. A wider one goes on with the same exploration.

    Raises:
        ValueError: If the database holds no minima, or those of another model, or an argument is not acceptable.
    """

    def __init__(
        self,
        potential: Potential | EnergyModel,
        database: LandscapeDatabase | str | Path,
        *,
        rule: DuplicateRule | None = None,
        seed: int = 0,
        max_force: float = 0.01,
        max_gain_meV: float = 0.03,
        steps_per_hessian: int | None = None,
        round_size: int | None = None,
        window: float | None = None,
    ):
        self._database = database if isinstance(database, LandscapeDatabase) else LandscapeDatabase(database)
        self._potential, self._exact, self._seed = potential, exact_model(potential), seed
        if seed < 0:
            raise ValueError(f"seed must not be negative, got {seed}")
        if window is not None and not window > 0:
            raise ValueError(f"window must be positive (eV), got {window}")
        self._max_force, self._max_gain_meV, self._every = max_force, max_gain_meV, steps_per_hessian
        searches, model = self._database.searches(), checksum_of(potential)
        if not searches:
            raise ValueError(f"{self._database.name} holds no minima; so3lab minima search finds some")
        if self._database.models() - {model}:
            raise ValueError(
                f"minima in {self._database.name} are of another model than the one given; name the model that they "
                "were searched with"
            )
        self.rule = rule or common_rule(self._database, searches)
        self.saddles: list[StoredSaddle] = []
        """In the order in which they were found."""
        self.searches = 0
        """That have been made."""
        self._known_saddles = KnownMinima(self.rule)
        self._round, self._quiet = 0, 0
        minima, number_of = gather_with_names(self._database, self.rule)
        if not minima:
            raise ValueError(f"{self._database.name} holds no minima; so3lab minima search finds some")
        molecule = bool(len(molecular_graph(minima[0].atoms).bonds))
        round_size = round_size or (ROUND_OF_MOLECULES if molecule else ROUND)
        minimiser = {"max_force": max_force, "max_gain_meV": max_gain_meV}
        self.settings: dict[str, Any] = {
            "model": model, "seed": seed, "rule": asdict(self.rule), "round_size": round_size,
            "minimiser": minimiser,
        }  # fmt: skip
        digest = hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode()).hexdigest()[:12]
        self.name = f"{KIND}{digest}"
        """The same for the same model, rule, minimiser and seed."""
        self._settling = Settling(potential, self.rule, self.name, **minimiser)
        still = self._take_in_minima(minima, number_of)
        self.window = WINDOW_KCAL_MOL * units.kcal_per_mol if window is None and molecule else window
        """eV above the lowest minimum within which minima are left; None: all are."""
        self._turns = Turns(
            potential, self._settling, self.saddles, round_size=round_size, window=self.window,
            mirror_images=self.rule.mirror_images == "merged",
        )  # fmt: skip
        self._turns.still = still
        self._open()

    def _take_in_minima(self, minima: Sequence[Minimum], number_of: Mapping[tuple[str, int], int]) -> list[Name]:
        """Know what the database holds, by energy, then what this landscape has found, in the order it found it; return
        those without vibrations."""
        names, vibrating = dict[int, Name](), set[int]()
        for one in self._database.minima():
            number = number_of[one.search, one.minimum.number]
            if one.minimum.energy == minima[number].energy:
                names.setdefault(number, Name(one.search, one.minimum.number))
            self._settling.stored += one.search == self.name
            if "vibrations" in one.data:
                vibrating.add(number)
        named = [(names[minimum.number], minimum) for minimum in minima]
        for name, minimum in sorted(named, key=lambda one: one[0].number if one[0].search == self.name else -1):
            self._settling.take_in(minimum, name)
        for alias, number in number_of.items():
            self._settling.number_of[Name(*alias)] = self._settling.number_of[names[number]]
        return [names[one.number] for one in minima if one.number not in vibrating]

    def _open(self) -> None:
        """Go on where the database says that it was."""
        stored = self._database.find(self.name)
        if stored is None:
            self._database.begin(self.name, self.minima[0].atoms, self.settings)
            return
        for saddle in self._database.saddles(self.name):
            self._known_saddles.add(saddle.atoms, saddle.energy)
            self.saddles.append(saddle)
        if progress := stored.progress:
            self._round, self.searches, self._quiet = (int(progress[one]) for one in ("round", "searches", "quiet"))
            self._turns.restore(progress)

    @property
    def minima(self) -> list[Minimum]:
        """In the order in which they are known: those of the database by energy, then those that saddles led to."""
        return self._settling.minima

    @property
    def unseen(self) -> float:
        """Estimated number of saddles that are still to be found, see :func:`so3lab.minima.unseen`."""
        return unseen(one.visits for one in self.saddles)

    @property
    def saturation(self) -> float:
        """Estimated share of the saddles that have been found, 0 to 1; 0 before all minima that are left have been left
        along all their modes."""
        if self._turns.unfollowed:
            return 0.0
        visits = [one.visits for one in self.saddles]
        if not visits:
            return 1.0
        return min(len(visits) / (len(visits) + self.unseen), 1.0 - visits.count(1) / sum(visits))

    @property
    def share_done(self) -> float:
        """How far an exploration without a budget has come, 0 to 1: modes that have been followed, then searches since
        the last new saddle."""
        unfollowed = self._turns.unfollowed
        followed = 1.0 - unfollowed / (2 * self._turns.modes * len(self._turns.within))
        return 0.7 * followed + (0.0 if unfollowed else 0.3 * min(1.0, self._quiet / self._quiet_wanted))

    @property
    def left_to_do(self) -> str:
        """What an exploration without a budget would still do, in words; empty where it would do nothing."""
        if self._complete or not self._turns.modes:
            return ""
        parts = []
        if unfollowed := self._turns.unfollowed:
            parts.append(f"{unfollowed} searches along modes of minima")
        if unjoined := self._turns.unjoined:
            parts.append(f"paths to {unjoined} groups of minima that are not connected")
        if self._quiet < self._quiet_wanted:
            parts.append(f"{self._quiet_wanted - self._quiet} searches at random in a row that find nothing new")
        if self._turns.still:
            parts.append(f"vibrations of {len(self._turns.still)} minima")
        return ", ".join(parts) or f"searches until {self._saturation_wanted:.0%} of the transition states are found"

    @property
    def _complete(self) -> bool:
        """Whether nothing is left that would be done without a budget."""
        enough = (
            not self._turns.still and self._quiet >= self._quiet_wanted and self.saturation >= self._saturation_wanted
        )
        return enough and (self.connected or not self._turns.unjoined)

    @property
    def _saturation_wanted(self) -> float:
        return SATURATION_OF_MOLECULES if self._settling.has_bonds else SATURATION

    @property
    def _quiet_wanted(self) -> int:
        """Searches at random without a new saddle after which an exploration without a budget ends."""
        least, per_saddle = QUIET_OF_MOLECULES if self._settling.has_bonds else (QUIET, QUIET_PER_SADDLE)
        return max(least, per_saddle * len(self.saddles))

    @property
    def connected(self) -> bool:
        """Whether there is a way from each minimum within the window to every other."""
        return self._turns.connected

    def run(
        self, *, minutes: float | None = None, saddles: int | None = None, saturation: float | None = None
    ) -> Generator[Finding]:
        """Explore, and yield what became of each search, once its round is stored.

        It ends when every minimum within the window has been left along its modes, all of them are connected or all
        pairs have been tried, 98 % of the saddles (of molecules 90 %) are estimated to have been found, and many
        searches at random have found nothing new; or earlier, when a budget is used up. When time is over, searches
        stop where they are, what has been found is judged and stored, and the next run goes on with them.

        Args:
            minutes: From now.
            saddles: Found in all; it ends after the round in which they have been.
            saturation: Share of all saddles that are estimated to have been found, such as 0.95, in place of the shares
                above; it ends after the round in which it is reached.

        Raises:
            ValueError: If a budget is not positive.
        """
        check_budget(minutes=minutes, saddles=saddles, saturation=saturation)
        if not self._turns.modes:
            return  # a single atom
        end = np.inf if minutes is None else time.monotonic() + 60.0 * minutes
        while not (
            time.monotonic() >= end
            or (saddles is not None and len(self.saddles) >= saddles)
            or (saturation is not None and self.saturation >= saturation)
            or (saturation is None and self._complete)
        ):
            yield from self._next_round(lambda: time.monotonic() >= end)

    def _next_round(self, stop: Stop) -> list[Finding]:
        """Start, climb, judge, store; when it is to stop, what has not ended is put back."""
        rng = np.random.default_rng([self._seed, self._round])
        visits, known = [one.visits for one in self.saddles], len(self.minima)
        self._turns.fresh_vibrations = {}
        origin, starts = self._turns.next(rng, stop)
        climbed = sorted(self._climbed(starts, stop), key=lambda one: one.number)
        self._turns.put_back(origin, [one for one in climbed if one.why == "stopped"])
        ended = [one for one in climbed if one.why != "stopped"]
        findings = self._judged([one._replace(number=number) for number, one in enumerate(ended)], origin)
        self._round += 1
        self._turns.note_vibrations(self._settling.names[known:], stop)
        if origin != "mode":
            self._turns.note_vibrations(self._turns.still[:VIBRATIONS], stop)
        self._database.commit_saddles(
            self.name,
            minima=self.minima[known:],
            new=self.saddles[len(visits) :],
            visited=[one for one, old in zip(self.saddles, visits, strict=False) if one.visits != old],
            vibrations=self._turns.fresh_vibrations,
            progress={
                "round": self._round, "searches": self.searches, "quiet": self._quiet, **self._turns.progress()
            },
        )  # fmt: skip
        return findings

    def _climbed(self, starts: Sequence[Start], stop: Stop) -> list[Climbed]:
        """Where the searches of a round end."""
        seen, found = _Seen(self._known_saddles, self.rule), []
        for one in climb(
            self._potential, starts, max_force=self._max_force, steps_per_hessian=self._every,
            stays=self._settling.stays, is_known=seen, stop=stop,
        ):  # fmt: skip
            found.append(one)
            seen.take_in(one)
        return found

    def _judged(self, climbed: Sequence[Climbed], origin: Origin) -> list[Finding]:
        """What became of each search; new saddles are taken in with the minima that they join."""
        before = len(self.saddles)
        fresh, members = KnownMinima(self.rule), dict[int, list[int]]()
        found: dict[int, Finding] = {}
        for one in climbed:
            number = self.searches + one.number
            if why := self._settling.why_no_saddle(one):
                strayed: Outcome = "reacted" if one.why == "strayed" and self._settling.has_bonds else "no saddle"
                found[one.number] = Finding(number, origin, strayed, why=why)
            elif match := self._known_saddles.find(one.atoms, one.energy):
                self.saddles[match.number].visits += 1
                found[one.number] = Finding(number, origin, "known", match.number, one.energy)
            elif match := fresh.find(one.atoms, one.energy):
                members[match.number].append(one.number)
            else:
                members[fresh.add(one.atoms, one.energy)] = [one.number]
        firsts = [_exact_one([climbed[number] for number in numbers]) for numbers in members.values()]
        for one, numbers, ends in zip(firsts, members.values(), self._settling.sides(firsts), strict=True):
            first, *others = (self.searches + number for number in numbers)
            if isinstance(ends, str):
                outcome: Outcome = "reacted" if "bonds" in ends else "no saddle"
                found |= {number: Finding(self.searches + number, origin, outcome, why=ends) for number in numbers}
                continue
            saddle = self._take_in_saddle(one, ends, origin, visits=len(numbers))
            found[numbers[0]] = Finding(first, origin, "new", saddle, one.energy, ends)
            for number, other in zip(numbers[1:], others, strict=True):
                found[number] = Finding(other, origin, "known", saddle, climbed[number].energy)
        self.searches += len(climbed)
        nothing_new = len(self.saddles) == before and origin == "random"
        self._quiet = self._quiet + len(climbed) if nothing_new else 0
        return [found[number] for number in sorted(found)]

    def _take_in_saddle(self, one: Climbed, ends: tuple[int, int], origin: Origin, visits: int) -> int:
        first, second = (self._settling.names[number] for number in ends)
        number = self._known_saddles.add(one.atoms, one.energy)
        matrix = one.hessian if one.exact else hessian(self._exact, one.atoms)
        modes = vibrations_from(matrix, one.atoms)
        self.saddles.append(
            StoredSaddle(
                self.name, number, one.atoms, one.energy, (first, second), modes, one.mode, one.curvature, origin,
                visits,
            )
        )  # fmt: skip
        return number


class _Seen:
    """Saddles that need no exact Hessian any more: those known before a round, and those that it has found."""

    def __init__(self, known: KnownMinima, rule: DuplicateRule):
        self._known, self._fresh = known, KnownMinima(rule)

    def __call__(self, atoms: ase.Atoms, energy: float) -> bool:
        return any(saddles.find(atoms, energy) is not None for saddles in (self._known, self._fresh))

    def take_in(self, one: Climbed) -> None:
        if one.why == "saddle" and one.exact:
            self._fresh.add(one.atoms, one.energy)


def _exact_one(climbed: Sequence[Climbed]) -> Climbed:
    """The first whose Hessian is exact."""
    return next((one for one in climbed if one.exact), climbed[0])
