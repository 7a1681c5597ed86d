"""Which minima are joined by which transition states, and what follows from that: barriers, populations, rates."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import ase
import networkx as nx
import numpy as np
from jaxtyping import Float

from so3lab.landscape import thermodynamics
from so3lab.landscape.database import LandscapeDatabase, StoredSaddle, vibrations_of
from so3lab.landscape.states import TransitionState
from so3lab.landscape.vibrations import Vibrations, symmetry_order
from so3lab.minima.accounts import Minimum
from so3lab.minima.gathering import common_rule, gather_stored
from so3lab.minima.identity import DuplicateRule, distinct

Standing = Literal["connected", "apart", "not tried"]
"""Of a minimum: a way to the lowest is known; none has been found, though it, or one joined with it, has been left; or
nobody has looked for one."""
Temperatures = Float[np.ndarray, " temperatures"]


@dataclass(frozen=True)
class Landscape:
    """Minima and the transition states between them."""

    minima: list[Minimum]
    """By energy; each has its place as its number."""
    transition_states: list[TransitionState]
    """By energy; each has its place as its number."""
    vibrations: list[Vibrations | None]
    """Of the minima; None where they have not been computed."""
    model: str = ""
    """Checksum of the model whose energies these are."""
    mirror_images: str = "merged"
    """Whether a state stands for its mirror image too (``"merged"``), or each hand for itself (``"kept"``)."""
    left: frozenset[int] = frozenset()
    """Numbers of the minima that searches for transition states have left along their modes."""

    @classmethod
    def read(cls, database: LandscapeDatabase | str | Path, rule: DuplicateRule | None = None) -> "Landscape":
        """All that searches and landscapes of a database have found together.

        Args:
            database: With minima, and with saddles where there are any.
            rule: When two states are the same; default: as the searches had it.

        Raises:
            ValueError: If searches had different rules or models, and no rule says which holds.
        """
        stored = database if isinstance(database, LandscapeDatabase) else LandscapeDatabase(database)
        rows = list(stored.minima())
        minima, number_of = gather_stored(stored, rows, rule)
        known: list[Vibrations | None] = [None] * len(minima)
        for one in rows:
            if "vibrations" in one.data:
                known[number_of[one.search, one.minimum.number]] = vibrations_of(one.data["vibrations"])
        saddles = list(stored.saddles())
        if len({one.search for one in saddles}) > 1 or rule is not None:
            saddles = _merged(saddles, rule or common_rule(stored, stored.searches()))
        saddles.sort(key=lambda one: one.energy)
        found = [
            one.transition_state(number, (number_of[one.joins[0]], number_of[one.joins[1]]))
            for number, one in enumerate(saddles)
        ]
        searches = stored.searches()
        first = stored.find(searches[0]) if searches else None
        model = "" if first is None else str(first.settings.get("model", ""))
        held = rule or (common_rule(stored, searches) if searches else DuplicateRule())
        left = frozenset(number_of[name] for name in stored.left() if name in number_of)
        return cls(minima, found, known, model, held.mirror_images, left)

    @functools.cached_property
    def graph(self) -> nx.MultiGraph:
        """Minima as nodes, by number, transition states as edges, by number; both have ``energy`` in eV, an edge also
        ``transition_state``. Rearrangements between copies of one minimum are loops."""
        graph = nx.MultiGraph()
        for minimum in self.minima:
            graph.add_node(minimum.number, energy=minimum.energy)
        for state in self.transition_states:
            graph.add_edge(*state.minima, key=state.number, energy=state.energy, transition_state=state)
        return graph

    @property
    def components(self) -> list[set[int]]:
        """Numbers of minima that are joined with each other, the group of the lowest minimum first."""
        return sorted(map(set, nx.connected_components(self.graph)), key=min)

    @property
    def connected(self) -> bool:
        """Whether there is a way from every minimum to every other."""
        return len(self.components) == 1

    @property
    def standings(self) -> list[Standing]:
        """How each minimum stands to the lowest one."""
        found: list[Standing] = ["not tried"] * len(self.minima)
        for place, group in enumerate(self.components):
            for number in group:
                if place == 0 and (len(group) > 1 or number in self.left):
                    found[number] = "connected"
                elif group & self.left:
                    found[number] = "apart"
        return found

    def passage(self, first: int, second: int) -> list[TransitionState]:
        """Transition states on the way from one minimum to another whose highest point is as low as can be.

        Raises:
            ValueError: If there is no such minimum or no way.
        """
        for number in (first, second):
            if not 0 <= number < len(self.minima):
                raise ValueError(f"minima have numbers from 0 to {len(self.minima) - 1}, got {number}")
        if first == second:
            raise ValueError(f"a passage needs two different minima, got {first} twice")
        if not nx.has_path(self._lowest_ways, first, second):
            raise ValueError(f"no way from minimum {first} to minimum {second} is known; let the landscape grow")
        way = nx.shortest_path(self._lowest_ways, first, second)
        return [self.transition_states[self._lowest_ways.edges[pair]["number"]] for pair in nx.utils.pairwise(way)]

    def barrier(self, first: int, second: int) -> float:
        """eV to climb from one minimum on the best way to another; arguments as of :meth:`passage`."""
        return max(state.energy for state in self.passage(first, second)) - self.minima[first].energy

    @functools.cached_property
    def _lowest_ways(self) -> nx.Graph:
        """The tree in which all ways are those with the lowest highest points."""
        simple = nx.Graph()
        simple.add_nodes_from(self.graph)
        for state in reversed(self.transition_states):  # the lowest of several last
            if not state.degenerate:
                simple.add_edge(*state.minima, energy=state.energy, number=state.number)
        return nx.minimum_spanning_tree(simple, weight="energy")

    def free_energies(
        self, temperatures_K: Temperatures, **how: Any
    ) -> tuple[Float[np.ndarray, "temperatures minima"], Float[np.ndarray, "temperatures saddles"]]:
        """Harmonic free energies of minima and of transition states, eV.

        Args:
            temperatures_K: K.
            **how: ``quantum`` and ``lowest_cm`` of :func:`so3lab.landscape.thermodynamics.free_energies`.

        Raises:
            ValueError: If vibrations of a minimum are not known.
        """
        minima = self._free(self._known_vibrations(), self.minima, temperatures_K, 0, **how)
        if not self.transition_states:
            return minima, np.zeros((len(minima), 0))
        saddles = [one.vibrations for one in self.transition_states]
        return minima, self._free(saddles, self.transition_states, temperatures_K, 1, **how)

    def populations(self, temperatures_K: Temperatures, **how: Any) -> Float[np.ndarray, "temperatures minima"]:
        """Shares of the minima in equilibrium, mirror images and permutations included; arguments as of
        :meth:`free_energies`."""
        known = self._known_vibrations()
        free = self._free(known, self.minima, temperatures_K, 0, **how)
        return thermodynamics.populations(free, temperatures_K)

    def rates(self, temperatures_K: Temperatures, **how: Any) -> Float[np.ndarray, "temperatures saddles 2"]:
        """Rates over the transition states, 1/s, see :func:`so3lab.landscape.thermodynamics.rates`; arguments as of
        :meth:`free_energies`."""
        joined = np.array([one.minima for one in self.transition_states], int).reshape(-1, 2)
        return thermodynamics.rates(*self.free_energies(temperatures_K, **how), joined, temperatures_K)

    def _known_vibrations(self) -> list[Vibrations]:
        known = [one for one in self.vibrations if one is not None]
        if len(known) < len(self.minima) or not known:
            raise ValueError(
                f"vibrations of {len(self.minima) - len(known)} of {len(self.minima)} minima are not known; "
                "so3lab minima landscape computes them"
            )
        return known

    def _free(
        self,
        states: list[Vibrations],
        of: Sequence[Minimum | TransitionState],
        temperatures_K: Temperatures,
        imaginary: int,
        **how: Any,
    ) -> Float[np.ndarray, "temperatures states"]:
        counts = {len(one.wavenumbers_cm) for one in states}
        if len(counts) > 1:
            raise ValueError(
                f"states must have as many modes as each other, got {sorted(counts)}: linear and bent ones are no "
                "rotors of one kind"
            )
        wavenumbers = np.stack([one.wavenumbers_cm[imaginary:] for one in states])
        orders = np.array([one.symmetry_order for one in states])
        if self.mirror_images == "kept":  # where both hands stand for themselves, either has half the copies
            hands = [_has_a_hand(one.atoms, state) for one, state in zip(of, states, strict=True)]
            orders = orders * (1 + np.array(hands, int))
        moments = np.stack([one.moments for one in states])
        return thermodynamics.free_energies(
            np.array([one.energy for one in of]), wavenumbers, orders, temperatures_K, moments=moments, **how
        )


def _has_a_hand(atoms: ase.Atoms, state: Vibrations) -> bool:
    """Whether a structure differs from its mirror image; linear ones do not, and of held ones nothing is counted."""
    if state.moments[0] < 1e-3:
        return False
    return symmetry_order(atoms.numbers, atoms.positions, rotations_only=True) == state.symmetry_order


def _merged(saddles: list[StoredSaddle], rule: DuplicateRule) -> list[StoredSaddle]:
    """The lowest of each group that is the same, with all visits."""
    stands_for = distinct([one.atoms for one in saddles], [one.energy for one in saddles], rule)
    visits = np.bincount(stands_for, [one.visits for one in saddles], len(saddles)).astype(int)
    for number, one in enumerate(saddles):
        one.visits = int(visits[number])
    return [saddles[number] for number in np.unique(stands_for)]
