"""Grow a landscape: search for saddles beside minima and between them, slide down, remember, go on.

An exploration goes in rounds. First every minimum is left along its softest modes, both ways; then minima that are not
connected are joined by paths; then starts at random say whether anything is still new. What lies below a new saddle may
be a new minimum, which takes its turn. A round follows from what is known and from the seed, and is stored as a whole,
so that an exploration that was killed goes on as one that was not.
"""

import hashlib
import json
import time
from collections.abc import Generator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np

from so3lab.engine.energy_model import EnergyModel
from so3lab.engine.hessians import hessian
from so3lab.landscape.alignment import SAME, align
from so3lab.landscape.database import KIND, LandscapeDatabase, Name, StoredSaddle
from so3lab.landscape.models import exact_model
from so3lab.landscape.nudging import tangents
from so3lab.landscape.paths import nudged_elastic_band
from so3lab.landscape.saddles import Climbed, Start, climb
from so3lab.landscape.settling import Settling
from so3lab.landscape.starts import along_mode, at_random, beside, modes_of, modes_to_follow
from so3lab.landscape.states import Finding, Origin, Outcome
from so3lab.landscape.vibrations import Vibrations, vibrations_from
from so3lab.minima.accounts import Minimum, unseen
from so3lab.minima.gathering import common_rule, gather_with_names
from so3lab.minima.identity import DuplicateRule, KnownMinima
from so3lab.minima.search import checksum_of
from so3lab.potential.potential import Potential

ROUND = 32
"""Searches of a round."""
PATHS = 4
"""Pairs of minima that are joined by paths in a round."""
NEAR = 12
"""Minima of a group, the first ones, that are ends of paths."""
ROUGH, ROUGH_STEPS = 0.2, 150
"""eV/Å, and steps, with which a path is good enough to go on from its hills."""
SATURATION = 0.98
"""Share of the saddles, estimated to have been found, without which no exploration ends that has no budget."""
QUIET, QUIET_PER_SADDLE = 64, 12
"""Searches at random without a new saddle before it ends: at least, and for each saddle that is known."""


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
        round_size: Searches that are made together.

    Raises:
        ValueError: If the database holds no minima, or those of another model.
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
        round_size: int = ROUND,
    ):
        self._database = database if isinstance(database, LandscapeDatabase) else LandscapeDatabase(database)
        self._potential, self._exact, self._seed = potential, exact_model(potential), seed
        self._round_size = round_size
        self._max_force, self._max_gain_meV, self._every = max_force, max_gain_meV, steps_per_hessian
        self._require_model(checksum_of(potential))
        self.rule = rule or common_rule(self._database, self._database.searches())
        self.saddles: list[StoredSaddle] = []
        """In the order in which they were found."""
        self.searches = 0
        """That have been made."""
        self._known_saddles = KnownMinima(self.rule)
        self._tried: dict[Name, int] = {}
        self._paths: set[tuple[Name, Name]] = set()
        self._modes_known: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._hessians: dict[int, np.ndarray] = {}
        self._fresh_vibrations: dict[Name, Vibrations] = {}
        self._round, self._quiet = 0, 0
        self.settings: dict[str, Any] = {
            "model": checksum_of(potential),
            "seed": seed,
            "rule": asdict(self.rule),
            "round_size": round_size,
            "minimiser": {"max_force": max_force, "max_gain_meV": max_gain_meV},
        }
        digest = hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode()).hexdigest()[:12]
        self.name = f"{KIND}{digest}"
        """The same for the same model, rule, minimiser and seed."""
        self._settling = Settling(potential, self.rule, self.name, max_force=max_force, max_gain_meV=max_gain_meV)
        self._open()
        self._mirror_images = self.rule.mirror_images == "merged"
        self._modes = modes_to_follow(self.minima[0].atoms)

    def _require_model(self, model: str) -> None:
        searches = self._database.searches()
        if not searches:
            raise ValueError(f"{self._database.name} holds no minima; so3lab minima search finds some")
        for search in searches:
            stored = self._database.find(search)
            if stored is not None and stored.settings["model"] != model:
                raise ValueError(
                    f"minima in {self._database.name} are of another model than the one given; name the model that "
                    "they were searched with"
                )

    def _open(self) -> None:
        """Take in what the database holds."""
        minima, number_of = gather_with_names(self._database, self.rule)
        if not minima:
            raise ValueError(f"{self._database.name} holds no minima; so3lab minima search finds some")
        names: dict[int, Name] = {}
        for one in self._database.minima():
            number = number_of[one.search, one.minimum.number]
            if one.minimum.energy == minima[number].energy:
                names.setdefault(number, Name(one.search, one.minimum.number))
            self._settling.stored += one.search == self.name
        named = [(names[minimum.number], minimum) for minimum in minima]
        for name, minimum in sorted(named, key=lambda one: one[0].number if one[0].search == self.name else -1):
            self._settling.take_in(minimum, name)
        for alias, number in number_of.items():
            self._settling.number_of[Name(*alias)] = self._settling.number_of[names[number]]
        stored = self._database.find(self.name)
        if stored is None:
            self._database.begin(self.name, minima[0].atoms, self.settings)
            return
        for saddle in self._database.saddles(self.name):
            self._known_saddles.add(saddle.atoms, saddle.energy)
            self.saddles.append(saddle)
        if progress := stored.progress:
            self._round, self.searches, self._quiet = (int(progress[one]) for one in ("round", "searches", "quiet"))
            self._tried = {Name(*name): int(count) for name, count in progress["tried"]}
            self._paths = {(Name(*first), Name(*second)) for first, second in progress["paths"]}

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
        """Estimated share of the saddles that have been found, 0 to 1; 0 before all minima have been left along all
        their modes."""
        if any(self._tried.get(name, 0) < 2 * self._modes for name in self._settling.names):
            return 0.0
        visits = [one.visits for one in self.saddles]
        if not visits:
            return 1.0
        return min(len(visits) / (len(visits) + self.unseen), 1.0 - visits.count(1) / sum(visits))

    @property
    def share_done(self) -> float:
        """How far an exploration without a budget has come, 0 to 1: modes that have been followed, then searches since
        the last new saddle."""
        followed = sum(self._tried.get(name, 0) for name in self._settling.names) / (
            2 * self._modes * len(self._settling.names)
        )
        return 0.7 * followed + (0.3 * min(1.0, self._quiet / self._quiet_wanted) if followed == 1.0 else 0.0)

    @property
    def _complete(self) -> bool:
        """Whether nothing is left that would be done without a budget."""
        enough = self._quiet >= self._quiet_wanted and self.saturation >= SATURATION
        return enough and (self.connected or not self._pairs(1))

    @property
    def _quiet_wanted(self) -> int:
        """Searches at random without a new saddle after which an exploration without a budget ends."""
        return max(QUIET, QUIET_PER_SADDLE * len(self.saddles))

    @property
    def connected(self) -> bool:
        """Whether there is a way from every minimum to every other."""
        return len(self._components()) == 1

    def run(
        self, *, minutes: float | None = None, saddles: int | None = None, saturation: float | None = None
    ) -> Generator[Finding]:
        """Explore, and yield what became of each search, once its round is stored.

        It ends after the round in which a budget is used up. Without one it goes on until every minimum has been left
        along its modes, all are connected or all pairs have been tried, 98 % of the saddles are estimated to have been
        found, and many searches at random, several for each saddle, have found nothing new.

        Args:
            minutes: From now.
            saddles: Found in all.
            saturation: Share of all saddles that are estimated to have been found, such as 0.95.

        Raises:
            ValueError: If a budget is not positive.
        """
        for name, value in (("minutes", minutes), ("saddles", saddles)):
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be positive, or None for no such budget, got {value}")
        if saturation is not None and not 0 < saturation < 1:
            raise ValueError(f"saturation must lie between 0 and 1, got {saturation}")
        if not self._modes:
            return  # a single atom
        end = np.inf if minutes is None else time.monotonic() + 60.0 * minutes
        while not (
            time.monotonic() >= end
            or (saddles is not None and len(self.saddles) >= saddles)
            or (saturation is not None and self.saturation >= saturation)
            or (minutes is None and saddles is None and saturation is None and self._complete)
        ):
            yield from self._next_round()

    def _next_round(self) -> list[Finding]:
        """Start, climb, judge, store."""
        rng = np.random.default_rng([self._seed, self._round])
        visits, known = [one.visits for one in self.saddles], len(self.minima)
        self._fresh_vibrations = {}
        origin, starts = self._next_starts(rng)
        climbed = climb(
            self._potential, starts, max_force=self._max_force, steps_per_hessian=self._every,
            stays=self._settling.stays,
        )  # fmt: skip
        findings = self._judged(sorted(climbed, key=lambda one: one.number), origin)
        self._round += 1
        for number in range(known, len(self.minima)):
            self._modes_at(number)  # its vibrations go with it
        self._database.commit_saddles(
            self.name,
            minima=self.minima[known:],
            new=self.saddles[len(visits) :],
            visited=[one for one, old in zip(self.saddles, visits, strict=False) if one.visits != old],
            vibrations=self._fresh_vibrations,
            progress=self._progress(),
        )
        return findings

    def _progress(self) -> dict[str, Any]:
        return {
            "round": self._round,
            "searches": self.searches,
            "quiet": self._quiet,
            "tried": [[list(name), count] for name, count in self._tried.items()],
            "paths": [[list(first), list(second)] for first, second in sorted(self._paths)],
        }

    def _next_starts(self, rng: np.random.Generator) -> tuple[Origin, list[Start]]:
        """Along modes that nobody has followed; between minima that are not connected; at random."""
        starts: list[Start] = []
        for number, name in enumerate(self._settling.names):
            done, most = self._tried.get(name, 0), 2 * self._modes
            if done < most and len(starts) < self._round_size:
                until = min(most, done + self._round_size - len(starts))
                modes, matrix = self._modes_at(number)[1], self._hessians[number]
                starts += [along_mode(self.minima[number].atoms, matrix, modes, which) for which in range(done, until)]
                self._tried[name] = until
        if starts:
            return "mode", starts
        if pairs := self._pairs(PATHS):
            self._paths.update((self._settling.names[a], self._settling.names[b]) for a, b in pairs)
            return "path", self._on_paths(pairs)
        return "random", [self._at_random(rng, beside_saddle=number % 4 > 0) for number in range(self._round_size)]

    def _at_random(self, rng: np.random.Generator, beside_saddle: bool) -> Start:
        """Beside a minimum; of a cluster also beside a saddle."""
        cluster = not self._settling.has_bonds
        if cluster and beside_saddle and self.saddles:
            return beside(self.saddles[int(rng.integers(0, len(self.saddles)))].atoms, rng)
        number = int(rng.integers(0, len(self.minima)))
        return at_random(self.minima[number].atoms, *self._modes_at(number), rng, soft=not cluster)

    def _modes_at(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Curvatures and directions of a minimum's softest modes; its vibrations are noted with them."""
        if number not in self._modes_known:
            atoms, name = self.minima[number].atoms, self._settling.names[number]
            matrix = hessian(self._exact, atoms)
            values, modes = modes_of(matrix, atoms)
            self._hessians[number] = matrix
            self._modes_known[number] = values[: self._modes], modes[: self._modes]
            self._fresh_vibrations[name] = vibrations_from(matrix, atoms)
        return self._modes_known[number]

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
        firsts = [climbed[numbers[0]] for numbers in members.values()]
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
        modes = vibrations_from(one.hessian, one.atoms)
        self.saddles.append(
            StoredSaddle(
                self.name, number, one.atoms, one.energy, (first, second), modes, one.mode, one.curvature, origin,
                visits,
            )
        )  # fmt: skip
        return number

    def _components(self) -> list[set[int]]:
        """Numbers of minima that are joined with each other, the largest group first."""
        graph = nx.Graph()
        graph.add_nodes_from(range(len(self.minima)))
        graph.add_edges_from([self._settling.number_of[name] for name in one.joins] for one in self.saddles)
        return sorted(map(set, nx.connected_components(graph)), key=lambda group: (-len(group), min(group)))

    def _pairs(self, count: int) -> list[tuple[int, int]]:
        """Minima of groups that are not connected, near each other, between which no path has been tried."""
        found: list[tuple[float, int, int]] = []
        whole, *others = self._components()
        for group in others:
            ends = [(a, b) for b in sorted(group)[:NEAR] for a in sorted(whole)[:NEAR] if not self._path_tried(a, b)]
            apart = [(far, a, b) for a, b in ends if (far := self._rmsd(a, b)) >= SAME]  # nearer ones need no path
            found += [min(apart)] if apart else []
        return [(a, b) for _, a, b in sorted(found)[:count]]

    def _path_tried(self, first: int, second: int) -> bool:
        a, b = self._settling.names[first], self._settling.names[second]
        return (a, b) in self._paths or (b, a) in self._paths

    def _rmsd(self, first: int, second: int) -> float:
        atoms, other = self.minima[first].atoms, self.minima[second].atoms
        return align(atoms, other, mirror_images=self._mirror_images).rmsd

    def _on_paths(self, pairs: Sequence[tuple[int, int]]) -> list[Start]:
        """Where paths between minima are highest, each hill of a path for itself."""
        ends = [[self.minima[a].atoms, self.minima[b].atoms] for a, b in pairs]
        starts = []
        for band in nudged_elastic_band(
            self._potential, ends, max_force=ROUGH, max_steps=ROUGH_STEPS, mirror_images=self._mirror_images
        ):
            along = tangents(np.stack([image.positions for image in band.images]), band.energies)
            higher = (band.energies[1:-1] >= band.energies[:-2]) & (band.energies[1:-1] >= band.energies[2:])
            starts += [Start(band.images[n + 1], along[n]) for n in np.flatnonzero(higher).tolist()]
        return starts
