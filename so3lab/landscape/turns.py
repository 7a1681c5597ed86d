"""Where does an exploration look next: along modes that nobody has followed, between minima that are not connected, at
random?"""

from collections.abc import Sequence
from typing import Any

import networkx as nx
import numpy as np

from so3lab.engine.energy_model import EnergyModel
from so3lab.engine.hessians import hessian
from so3lab.landscape.alignment import SAME, align
from so3lab.landscape.database import Name, StoredSaddle
from so3lab.landscape.models import exact_model
from so3lab.landscape.nudging import tangents
from so3lab.landscape.paths import nudged_elastic_band
from so3lab.landscape.saddles import Climbed, Start, Stop
from so3lab.landscape.settling import Settling
from so3lab.landscape.starts import along_mode, at_random, beside, modes_of, modes_to_follow
from so3lab.landscape.states import Origin
from so3lab.landscape.vibrations import Vibrations, vibrations_from
from so3lab.potential.potential import Potential

PATHS = 4
"""Pairs of minima that are joined by paths in a round."""
NEAR = 12
"""Minima of a group, the first ones, that are ends of paths."""
ROUGH, ROUGH_STEPS = 0.2, 150
"""eV/Å, and steps, with which a path is good enough to go on from its hills."""


class Turns:
    """What has been tried, and whose turn it is.

    Args:
        potential: Whose minima they are.
        settling: The minima that are known.
        saddles: That are known; the list grows.
        round_size: Searches of a round.
        window: eV above the lowest minimum within which minima are left; None leaves all of them.
        mirror_images: Whether ends of paths may be reflected.
    """

    def __init__(
        self,
        potential: Potential | EnergyModel,
        settling: Settling,
        saddles: list[StoredSaddle],
        *,
        round_size: int,
        window: float | None,
        mirror_images: bool,
    ):
        self._potential, self._exact = potential, exact_model(potential)
        self._settling, self._saddles = settling, saddles
        self._round_size, self._window, self._mirror_images = round_size, window, mirror_images
        self.modes = modes_to_follow(settling.minima[0].atoms)
        """Of each minimum."""
        self.fresh_vibrations: dict[Name, Vibrations] = {}
        """Of minima, computed since somebody emptied it."""
        self.still: list[Name] = []
        """Minima whose vibrations nobody has computed."""
        self._tried: dict[Name, int] = {}
        self._paths: set[tuple[Name, Name]] = set()
        self._modes_known: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
        self._stopped: tuple[Origin, list[Start]] | None = None

    def next(self, rng: np.random.Generator, stop: Stop) -> tuple[Origin, list[Start]]:
        """Where the searches of a round begin: those that were stopped go on.

        Args:
            rng: Of what is at random.
            stop: Whether time is over, so that paths end as they are.
        """
        if self._stopped is not None:
            stopped, self._stopped = self._stopped, None
            return stopped
        starts: list[Start] = []
        for number in self.within:
            name, most = self._settling.names[number], 2 * self.modes
            done = self._tried.get(name, 0)
            if done < most and len(starts) < self._round_size:
                until = min(most, done + self._round_size - len(starts))
                atoms, (_, modes, matrix) = self._settling.minima[number].atoms, self._modes_at(number)
                starts += [along_mode(atoms, matrix, modes, which) for which in range(done, until)]
                self._tried[name] = until
        if starts:
            return "mode", starts
        if pairs := self._pairs(PATHS):
            self._paths.update((self._settling.names[a], self._settling.names[b]) for a, b in pairs)
            return "path", self._on_paths(pairs, stop)
        return "random", [self._at_random(rng, beside_saddle=number % 4 > 0) for number in range(self._round_size)]

    def put_back(self, origin: Origin, stopped: Sequence[Climbed]) -> None:
        """Searches that were stopped, with which the next round goes on."""
        if stopped:
            ways = [one.mode if one.mode.any() else None for one in stopped]
            starts = [Start(one.atoms, way) for one, way in zip(stopped, ways, strict=True)]
            self._stopped = origin, starts

    def note_vibrations(self, names: Sequence[Name], stop: Stop) -> None:
        """Compute those of minima that nobody leaves, or that have just been found; later what there is no time for."""
        self.still += [
            name for name in names if name not in self.still and self._settling.number_of[name] not in self._modes_known
        ]
        for name in names:
            if stop():
                return
            self._modes_at(self._settling.number_of[name])

    @property
    def within(self) -> list[int]:
        """Numbers of the minima that are left, in the order in which they are known."""
        energies = np.array([one.energy for one in self._settling.minima])
        return np.flatnonzero(energies <= energies.min() + (np.inf if self._window is None else self._window)).tolist()

    @property
    def unfollowed(self) -> int:
        """Searches along modes that are still to be made."""
        stopped = 0 if self._stopped is None or self._stopped[0] != "mode" else len(self._stopped[1])
        names = [self._settling.names[number] for number in self.within]
        return stopped + sum(max(0, 2 * self.modes - self._tried.get(name, 0)) for name in names)

    @property
    def connected(self) -> bool:
        """Whether there is a way from each of the minima that are left to every other."""
        return len(self._components()) == 1

    @property
    def unjoined(self) -> int:
        """Groups of minima that are not connected with the largest, and between which paths are still to be tried."""
        return len(self._pairs(len(self._settling.minima)))

    def progress(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "tried": [[list(name), count] for name, count in self._tried.items()],
            "paths": [[list(first), list(second)] for first, second in sorted(self._paths)],
        } | ({} if self._stopped is None else {"stopped": _plain(*self._stopped)})

    def restore(self, progress: dict[str, Any]) -> None:
        """Go on where :meth:`progress` was made."""
        self._tried = {Name(*name): int(count) for name, count in progress["tried"]}
        self._paths = {(Name(*first), Name(*second)) for first, second in progress["paths"]}
        if stopped := progress.get("stopped"):
            self._stopped = stopped["origin"], [self._start(*one) for one in stopped["starts"]]

    def _start(self, positions: Sequence, direction: Sequence | None) -> Start:
        """One that was stored."""
        atoms = self._settling.minima[0].atoms.copy()
        atoms.set_positions(positions, apply_constraint=False)
        return Start(atoms, None if direction is None else np.array(direction, float))

    def _at_random(self, rng: np.random.Generator, beside_saddle: bool) -> Start:
        """Beside a minimum; of a cluster also beside a saddle."""
        cluster = not self._settling.has_bonds
        if cluster and beside_saddle and self._saddles:
            return beside(self._saddles[int(rng.integers(0, len(self._saddles)))].atoms, rng)
        number = int(rng.choice(self.within))
        values, modes, _ = self._modes_at(number)
        return at_random(self._settling.minima[number].atoms, values, modes, rng, soft=not cluster)

    def _modes_at(self, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Curvatures and directions of a minimum's softest modes, and its Hessian; its vibrations are noted, too."""
        if number not in self._modes_known:
            atoms, name = self._settling.minima[number].atoms, self._settling.names[number]
            matrix = hessian(self._exact, atoms)
            values, modes = modes_of(matrix, atoms)
            self._modes_known[number] = values[: self.modes], modes[: self.modes], matrix
            self.fresh_vibrations[name] = vibrations_from(matrix, atoms)
            self.still = [one for one in self.still if one != name]
        return self._modes_known[number]

    def _components(self) -> list[set[int]]:
        """Numbers of minima that are left and joined with each other, the largest group first."""
        graph = nx.Graph()
        graph.add_nodes_from(range(len(self._settling.minima)))
        graph.add_edges_from([self._settling.number_of[name] for name in one.joins] for one in self._saddles)
        left = set(self.within)
        groups = [group & left for group in nx.connected_components(graph)]
        return sorted(filter(None, groups), key=lambda group: (-len(group), min(group)))

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
        atoms, other = self._settling.minima[first].atoms, self._settling.minima[second].atoms
        return align(atoms, other, mirror_images=self._mirror_images).rmsd

    def _on_paths(self, pairs: Sequence[tuple[int, int]], stop: Stop) -> list[Start]:
        """Where paths between minima are highest, each hill of a path for itself."""
        ends = [[self._settling.minima[a].atoms, self._settling.minima[b].atoms] for a, b in pairs]
        starts = []
        for band in nudged_elastic_band(
            self._potential, ends, max_force=ROUGH, max_steps=ROUGH_STEPS, mirror_images=self._mirror_images,
            divide=False, stop=stop,
        ):  # fmt: skip
            along = tangents(np.stack([image.positions for image in band.images]), band.energies)
            higher = (band.energies[1:-1] >= band.energies[:-2]) & (band.energies[1:-1] >= band.energies[2:])
            starts += [Start(band.images[n + 1], along[n]) for n in np.flatnonzero(higher).tolist()]
        return starts


def _plain(origin: Origin, starts: Sequence[Start]) -> dict[str, Any]:
    """Searches that were stopped, as JSON holds them."""
    ways = [None if one.direction is None else np.asarray(one.direction).tolist() for one in starts]
    return {
        "origin": origin,
        "starts": [[one.atoms.positions.tolist(), way] for one, way in zip(starts, ways, strict=True)],
    }
