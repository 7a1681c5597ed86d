"""Pair lists of atoms that move: candidates gathered on the host, the pairs among them found at every step.

Candidates of a small molecule are all its pairs, whatever it does. Everything else gets the pairs within the
cutoff plus ``SKIN``, among which are all that matter until an atom has moved by half the skin. A step that finds
this, or finds more pairs than there is room for, raises a flag in compiled code: its numbers are worth nothing,
and the host mends the lists at the last good positions (:meth:`PairLists.mend`).

Pairs of the network are moved together, for every slot costs the work of a pair. Far pairs cost so little that they
stay among their candidates.
"""

from dataclasses import dataclass
from typing import NamedTuple

import ase
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from so3lab.graph import LongRange
from so3lab.long_range import LongRangeNeeds, far_cutoff, fixed_long_range
from so3lab.neighbors import Candidates, PaddedPairs, all_pairs, complete_cell, find_pairs, pair_list

SKIN = 1.5
"""Å beyond the cutoff in which candidates are gathered."""
ALL_PAIRS_UP_TO = 200
"""Atoms of the largest molecule whose candidates are all pairs."""
FULL, STALE = 1, 2
"""Flags: no room for pairs; an atom moved further than the skin allows."""


class Reach(NamedTuple):
    """How far the pair lists of a structure reach and how many pairs they hold; constants of compiled code."""

    cutoff: float  # Å
    room: int
    far_cutoff: float | None  # Å; None when far pairs do not depend on positions, or there are none


class Surroundings(NamedTuple):
    """What the pairs of one structure are found from, for compiled code."""

    candidates: Candidates
    far_candidates: Candidates | None
    fixed: LongRange | None  # what of the long-range terms does not depend on positions
    cell: Float[Array, "3 3"] | None  # Å, rows
    origins: Float[Array, "atoms 3"] | None  # Å, lattice vectors; positions less these lie near the cell
    gathered_at: Float[Array, "atoms 3"] | None  # Å; None when candidates are all pairs


class Found(NamedTuple):
    """The pairs at some positions."""

    positions: Float[Array, "atoms 3"]  # Å; near the cell when there is one
    pairs: PaddedPairs
    long_range: LongRange | None
    flaws: Int[Array, ""]  # 0, or a sum of flags


def find_surroundings(surroundings: Surroundings, reach: Reach, positions: Float[Array, "atoms 3"]) -> Found:
    """Pairs, near and far, at these positions in Å; for compiled code."""
    flaws = jnp.zeros((), jnp.int32)
    if surroundings.gathered_at is not None:
        squares = jnp.sum((positions - surroundings.gathered_at) ** 2, axis=1)
        flaws = flaws + STALE * jnp.any(squares > (SKIN / 2) ** 2)
    if surroundings.origins is not None:
        positions = positions - surroundings.origins
    cell, long_range = surroundings.cell, surroundings.fixed
    pairs = find_pairs(positions, surroundings.candidates, reach.cutoff, reach.room, cell)
    flaws = flaws + FULL * pairs.overflow
    if long_range is not None and surroundings.far_candidates is not None and reach.far_cutoff is not None:
        everyone = len(surroundings.far_candidates.receivers)
        far = find_pairs(positions, surroundings.far_candidates, reach.far_cutoff, everyone, cell)
        long_range = long_range._replace(
            receivers=far.receivers, senders=far.senders, mask=far.mask, images=far.images
        )
    return Found(positions, pairs, long_range, flaws)


class PairLists:
    """The pair lists of one structure that moves, kept on the host.

    Args:
        atoms: The structure; its cell stays as it is.
        cutoff: Of the network, Å.
        needs: What its long-range terms ask for; None without any.
        dtype: Of positions on the device.
    """

    def __init__(self, atoms: ase.Atoms, cutoff: float, needs: LongRangeNeeds | None, dtype: str):
        self._dtype = dtype
        self._pbc = atoms.pbc.copy()
        self._cell = complete_cell(np.asarray(atoms.cell), atoms.pbc) if atoms.pbc.any() else None
        self._every_pair = self._cell is None and len(atoms) <= ALL_PAIRS_UP_TO
        self._near, self._far, self._fixed = _List(cutoff), None, None
        self._room = 0  # for pairs of the network; only grows
        if needs is not None:
            self._fixed, far = fixed_long_range(atoms, needs), far_cutoff(atoms, needs)
            self._far = None if far is None else _List(far)
        self.gather(atoms.positions)

    @property
    def reach(self) -> Reach:
        """The constants of compiled code."""
        return Reach(self._near.cutoff, self._room, None if self._far is None else self._far.cutoff)

    def gather(self, positions: Float[np.ndarray, "atoms 3"]) -> None:
        """Take the candidates around these positions, in Å, and make room for the pairs that are there."""
        at = np.asarray(positions, self._dtype)
        wrapped, origins = at.astype(np.float64), None
        if self._cell is not None:
            fractions = np.floor(np.linalg.solve(self._cell.T, wrapped.T).T) * self._pbc
            origins = np.asarray(fractions @ self._cell, self._dtype)
            wrapped = wrapped - origins
        near, far = (
            None if one is None else one.candidates(wrapped, self._cell, self._pbc, self._every_pair)
            for one in (self._near, self._far)
        )
        assert near is not None
        present = len(pair_list(wrapped, self._near.cutoff, self._cell, self._pbc).receivers)
        if present > self._room:
            self._room = _roomy(present)
        if self._every_pair:
            self._room = min(self._room, len(near.receivers))
        cell = None if self._cell is None else np.asarray(self._cell, self._dtype)
        parts = (near, far, self._fixed, cell, origins, None if self._every_pair else at)
        self.surroundings = Surroundings(*jax.tree.map(jnp.asarray, parts))

    def mend(self, flaws: int, positions: Float[np.ndarray, "atoms 3"]) -> None:
        """Gather at these positions, in Å, from which a step went wrong, with more room where it was short."""
        if flaws & FULL:
            self._room = _roomy(self._room + self._room // 8)
        self.gather(positions)

    def state(self) -> dict[str, np.ndarray]:
        """What makes the lists again exactly as they are (:meth:`restore`)."""
        rooms = [self._room, *(one.room for one in (self._near, self._far) if one is not None)]
        state = {"room": np.array(rooms)}
        if self.surroundings.gathered_at is not None:
            state["gathered_at"] = np.asarray(self.surroundings.gathered_at)
        return state

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """The lists that :meth:`state` told of."""
        lists = [one for one in (self._near, self._far) if one is not None]
        self._room, *rooms = state["room"].tolist()
        for one, room in zip(lists, rooms, strict=True):
            one.room = room
        if "gathered_at" in state:
            self.gather(state["gathered_at"])


@dataclass
class _List:
    """Candidates of one pair list: how far it reaches, and the room for them, which only grows."""

    cutoff: float  # Å
    room: int = 0

    def candidates(self, positions, cell, pbc, every_pair: bool) -> Candidates:
        """Candidates around positions, padded; or all pairs."""
        if every_pair:
            return all_pairs(len(positions))
        pairs = pair_list(positions, self.cutoff + SKIN, cell, pbc)
        count = len(pairs.receivers)
        if count > self.room:
            self.room = _roomy(count)
        i, j, images = (np.pad(rows, [(0, self.room - count)] + [(0, 0)] * (rows.ndim - 1)) for rows in pairs)
        return Candidates(i, j, None if cell is None else images, count)


def _roomy(count: int) -> int:
    """Room for pairs that come and go: a twelfth more than there are, in steps of eight."""
    return -(-(count + max(count // 12, 8)) // 8) * 8
