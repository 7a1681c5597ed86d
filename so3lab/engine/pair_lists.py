"""Pair lists of atoms that move: candidates gathered on the host, the pairs among them found at every step.

Candidates of a small molecule are all its pairs, whatever it does. Everything else gets the pairs within the
cutoff plus ``SKIN``, among which are all that matter until an atom has moved by half the skin. A step that finds
this, or finds more pairs than fit, raises a flag in compiled code: its numbers are worth nothing,
and the host renews the lists at the last good positions (:meth:`PairLists.reallocate`).

Several structures share one list, their atoms one after another; pairs are found among atoms of the same structure.

Pairs of the network are moved together, for every slot costs the work of a pair. Far candidates are far pairs as they
are: those beyond the cutoff have no energy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import ase
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from so3lab.machine.compilation import on_device
from so3lab.network.pairwise.long_range import LongRangeNeeds, far_cutoff, fixed_long_range
from so3lab.structures.graph import LongRange, apply_per_structure
from so3lab.structures.neighbors import (
    Candidates,
    PaddedPairs,
    all_pairs,
    complete_cell,
    find_pairs,
    pair_list,
)

SKIN = 1.5
"""Å beyond the cutoff in which candidates are gathered."""
ALL_PAIRS_UP_TO = 200
"""Atoms of the largest molecule whose candidates are all pairs."""
OVERFLOW, STALE = 1, 2
"""Flags: more pairs than fit; an atom moved further than the skin allows."""
_EXTRA, _EXTRA_FOR_CELLS = 1 / 12, 1 / 4
"""Capacity for pairs beyond those that are there, as a share of them: for pairs that come and go, and for cells that
shrink to four fifths of their volume before anything is compiled again."""
_MOST_STRETCH = 1.07
"""Stretch of a cell along any direction up to which the waves of its electrostatics stay those of the start."""


class PairListSpec(NamedTuple):
    """How far the pair lists reach and how many pairs they hold; constants of compiled code."""

    cutoff: float  # Å
    capacity: int
    far_cutoff: float | None  # Å; None when far pairs do not depend on positions, or there are none
    cells_change: bool


class CandidatePairs(NamedTuple):
    """What the pairs are found from, for compiled code."""

    candidates: Candidates
    far_candidates: Candidates | None
    fixed: LongRange | None  # what of the long-range terms does not depend on positions
    origins: Int[Array, "atoms 3"] | None  # multiples of cell vectors; positions less these lie near the cell
    gathered_at: Float[Array, "atoms 3"] | None  # Å; NaN for atoms that pair with everyone, None when all do
    gathered_cells: Float[Array, "structures 3 3"] | None


class PairsAt(NamedTuple):
    """The pairs at some positions."""

    positions: Float[Array, "atoms 3"]  # Å; near the cell when there is one
    pairs: PaddedPairs
    long_range: LongRange | None
    pair_list_flags: Int[Array, " structures"]  # 0, or a sum of flags


def pairs_at(
    candidate_pairs: CandidatePairs,
    spec: PairListSpec,
    positions: Float[Array, "atoms 3"],
    cells: Float[Array, "structures 3 3"] | None,
    structure_index: Int[Array, " atoms"],
    structures: int,
) -> PairsAt:
    """Pairs, near and far, at these positions and cells in Å; for compiled code."""
    pair_list_flags = jnp.zeros(structures, jnp.int32)
    if candidate_pairs.gathered_at is not None:
        too_far = _left_the_skin(candidate_pairs, spec, positions, cells, structure_index).astype(jnp.int32)
        pair_list_flags = pair_list_flags + STALE * (
            too_far.max()[None] if structures == 1 else pair_list_flags.at[structure_index].max(too_far)
        )
    if candidate_pairs.origins is not None and cells is not None:
        origins = candidate_pairs.origins.astype(positions.dtype)
        positions = positions - apply_per_structure(origins, cells, structure_index)

    def among(candidates: Candidates, cutoff: float, capacity: int) -> PaddedPairs:
        translations = None
        if candidates.images is not None and cells is not None:
            own = structure_index[candidates.receivers] if structures > 1 else structure_index
            translations = apply_per_structure(jnp.asarray(candidates.images).astype(positions.dtype), cells, own)
        return find_pairs(positions, candidates, cutoff, capacity, translations)

    pairs, long_range = among(candidate_pairs.candidates, spec.cutoff, spec.capacity), candidate_pairs.fixed
    pair_list_flags = pair_list_flags + OVERFLOW * pairs.overflow
    if long_range is not None and candidate_pairs.far_candidates is not None and spec.far_cutoff is not None:
        far = candidate_pairs.far_candidates  # energies end smoothly at the cutoff, whoever is listed beyond
        long_range = long_range._replace(
            receivers=far.receivers,
            senders=far.senders,
            mask=jnp.arange(len(far.receivers)) < far.size,
            images=far.images,
        )
    return PairsAt(positions, pairs, long_range, pair_list_flags)


def _left_the_skin(candidate_pairs: CandidatePairs, spec: PairListSpec, positions, cells, structure_index):
    """Which atoms have moved so far that a pair could be missing; a change of the cell counts for all its atoms.

    When rows of a cell went from C to C M, a pair that is now d long was at most \\|M^-1\\| (d + 2 u) long where the
    candidates were gathered, with u the largest displacement relative to the moving cell.
    """
    assert candidate_pairs.gathered_at is not None
    if not spec.cells_change:
        return jnp.sum((positions - candidate_pairs.gathered_at) ** 2, axis=1) > (SKIN / 2) ** 2
    unit, longest = jnp.eye(3, dtype=positions.dtype), max(spec.cutoff, spec.far_cutoff or 0.0)
    back = jnp.linalg.solve(cells, candidate_pairs.gathered_cells)
    forth = jnp.linalg.solve(candidate_pairs.gathered_cells, cells)
    swelling = 1.0 + jnp.sqrt(jnp.sum((back - unit) ** 2, axis=(1, 2)))
    off = positions - apply_per_structure(candidate_pairs.gathered_at, forth, structure_index)
    allowed = 0.5 * ((longest + SKIN) / swelling - longest)
    allowed = allowed if len(allowed) == 1 else allowed[structure_index]
    return (jnp.sum(off * off, axis=1) > allowed**2) | (allowed <= 0)


class PairLists:
    """The pair lists of structures that move, kept on the host.

    Args:
        structures: All molecules or all cells.
        cutoff: Of the network, Å.
        needs: What its long-range terms ask for; None without any.
        dtype: Of positions on the device.
        cells_change: Whether cells change while atoms move.
        least_capacity: Room for so many pairs at least, such as those of lists before.
    """

    def __init__(
        self,
        structures: Sequence[ase.Atoms],
        cutoff: float,
        needs: LongRangeNeeds | None,
        dtype: str,
        cells_change: bool = False,
        least_capacity: int = 0,
    ):
        self._dtype, self._cells_change = dtype, cells_change
        self._structures = [atoms.copy() for atoms in structures]
        self._stops = np.cumsum([len(atoms) for atoms in structures])
        periodic = [bool(atoms.pbc.any()) for atoms in structures]
        if any(periodic) and not all(periodic):
            raise ValueError("structures simulated together must be all molecules or all cells, got both")
        self._cells = None
        if all(periodic):
            self._cells = np.stack([complete_cell(np.asarray(atoms.cell), atoms.pbc) for atoms in structures])
        self._meet_all = [self._cells is None and len(atoms) <= ALL_PAIRS_UP_TO for atoms in structures]
        self._extra = _EXTRA_FOR_CELLS if cells_change else _EXTRA
        self._near = _List(cutoff, cells_change)
        self._far: _List | None = None
        self._fixed: LongRange | None = None
        self._capacity = least_capacity  # for pairs of the network; only grows
        self._needs = needs
        self._fixed_cells: np.ndarray | None = None
        if needs is not None:
            self._make_fixed()
            far = far_cutoff(structures[0], needs)
            self._far = None if far is None else _List(far, cells_change)
        self.rebuild(np.concatenate([atoms.positions for atoms in structures]), self._cells)

    def _make_fixed(self) -> None:
        assert self._needs is not None
        self._fixed = fixed_long_range(self._structures, self._needs)
        if self._cells is not None:
            self._fixed_cells = self._cells.copy()

    @property
    def spec(self) -> PairListSpec:
        """The constants of compiled code."""
        far = None if self._far is None else self._far.cutoff
        return PairListSpec(self._near.cutoff, self._capacity, far, self._cells_change)

    @property
    def cells(self) -> Float[np.ndarray, "structures 3 3"] | None:
        """Cells at the last gathering in Å, missing vectors of slabs and wires completed; None for molecules."""
        return self._cells

    def rebuild(
        self,
        positions: Float[np.ndarray, "atoms 3"],
        cells: Float[np.ndarray, "structures 3 3"] | None = None,
        *,
        fixed_anew: bool = False,
    ) -> None:
        """Take the candidates around these positions, in Å, and allocate for the pairs that are there.

        Args:
            positions: Å.
            cells: Å, rows, where they have changed.
            fixed_anew: Whether the waves of a cell's electrostatics are to be chosen for these very cells, and not only
                when a cell has been stretched too far for them.
        """
        at = np.asarray(positions, self._dtype)
        if cells is not None:
            self._cells = np.asarray(cells, np.float64)
            for atoms, cell in zip(self._structures, self._cells, strict=True):
                atoms.cell = cell
        if self._fixed_cells is not None and self._cells is not None:
            stretches = np.linalg.svd(np.linalg.solve(self._fixed_cells, self._cells), compute_uv=False)
            if fixed_anew or np.any(np.maximum(stretches, 1.0 / stretches) > _MOST_STRETCH):
                self._make_fixed()
        origins = None if self._cells is None else np.zeros(at.shape, np.int32)
        wrapped = at.astype(np.float64)
        for number, rows in enumerate(self._rows()):
            if self._cells is not None and origins is not None:
                cell, pbc = self._cells[number], self._structures[number].pbc
                origins[rows] = np.floor(np.linalg.solve(cell.T, wrapped[rows].T).T) * pbc
                wrapped[rows] -= origins[rows] @ cell
        near = self._candidates(self._near, wrapped)
        far = None if self._far is None else self._candidates(self._far, wrapped)
        present = self._count_near(near, wrapped)
        if present > self._capacity:
            self._capacity = self._capacity_for(present)
        if all(self._meet_all):
            self._capacity = min(self._capacity, len(near.receivers))
        gathered_at = at.copy()
        for meets_all, rows in zip(self._meet_all, self._rows(), strict=True):
            gathered_at[rows] = np.nan if meets_all else at[rows]  # NaN is never further away than anything
        gathered_cells = None if self._cells is None else np.asarray(self._cells, self._dtype)
        parts = (
            near,
            far,
            self._fixed,
            origins,
            None if all(self._meet_all) else gathered_at,
            gathered_cells,
        )
        self.candidates = CandidatePairs(*on_device(parts))

    def reallocate(
        self,
        pair_list_flags: int,
        positions: Float[np.ndarray, "atoms 3"],
        cells: Float[np.ndarray, "structures 3 3"] | None = None,
    ) -> None:
        """Gather at these positions, in Å, from which a step went wrong, with more capacity where it was short."""
        if pair_list_flags & OVERFLOW:
            self._capacity = self._capacity_for(self._capacity + self._capacity // 8)
        self.rebuild(positions, cells)

    def state(self) -> dict[str, np.ndarray]:
        """What makes the lists again exactly as they are (:meth:`restore`)."""
        capacities = [self._capacity, *(one.capacity for one in (self._near, self._far) if one is not None)]
        state = {"capacity": np.array(capacities)}
        if self.candidates.gathered_at is not None:
            state["gathered_at"] = np.asarray(self.candidates.gathered_at)
        if self._cells_change and self._cells is not None:
            state["gathered_cells"] = np.asarray(self._cells)
        return state

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """The lists that :meth:`state` told of."""
        lists = [one for one in (self._near, self._far) if one is not None]
        self._capacity, *capacities = state["capacity"].tolist()
        for one, capacity in zip(lists, capacities, strict=True):
            one.capacity = capacity
        if "gathered_at" in state:
            start = np.concatenate([atoms.positions for atoms in self._structures])
            at = np.where(np.isnan(state["gathered_at"]), start, state["gathered_at"])
            self.rebuild(at, state.get("gathered_cells"))

    def _capacity_for(self, count: int) -> int:
        """Capacity for so many pairs and some more."""
        return _in_eights(count + max(int(count * self._extra), 8))

    def _rows(self) -> list[slice]:
        """The atoms of each structure."""
        starts = [0, *self._stops[:-1].tolist()]
        return [slice(start, int(stop)) for start, stop in zip(starts, self._stops, strict=True)]

    def _box(self, number: int):
        cell = None if self._cells is None else self._cells[number]
        return cell, self._structures[number].pbc

    def _count_near(self, candidates: Candidates, positions: Float[np.ndarray, "atoms 3"]) -> int:
        """How many of the candidates are below the cutoff at these positions."""
        i, j = (np.asarray(rows)[: int(candidates.size)] for rows in candidates[:2])
        vectors = positions[j] - positions[i]
        if candidates.images is not None and self._cells is not None:
            index = np.repeat(np.arange(len(self._cells)), np.diff([0, *self._stops]))
            images = np.asarray(candidates.images)[: len(i)].astype(np.float64)
            if len(self._cells) == 1:
                vectors += images @ self._cells[0]
            else:
                vectors += np.einsum("pi,pij->pj", images, self._cells[index[i]])
        return int(np.count_nonzero(np.einsum("px,px->p", vectors, vectors) < self._near.cutoff**2))

    def _candidates(self, one: "_List", positions: Float[np.ndarray, "atoms 3"]) -> Candidates:
        """Candidates of all structures, one after another."""
        parts = []
        for number, rows in enumerate(self._rows()):
            if self._meet_all[number]:
                i, j, _, _ = all_pairs(len(positions[rows]))
                images = np.zeros((len(i), 3), np.int32)
            else:
                i, j, images = pair_list(positions[rows], one.cutoff + SKIN, *self._box(number))
            parts.append((np.asarray(i) + rows.start, np.asarray(j) + rows.start, images))
        i, j, images = (np.concatenate(some).astype(np.int32) for some in zip(*parts, strict=True))
        capacity = len(i) if all(self._meet_all) else one.capacity_for(len(i))
        padded = [np.pad(x, [(0, capacity - len(i))] + [(0, 0)] * (x.ndim - 1)) for x in (i, j, images)]
        return Candidates(padded[0], padded[1], None if self._cells is None else padded[2], len(i))


@dataclass
class _List:
    """One pair list: how far it reaches, and the capacity for its candidates, which only grows."""

    cutoff: float  # Å
    cells_change: bool
    capacity: int = 0

    def capacity_for(self, count: int) -> int:
        if count > self.capacity:
            self.capacity = _in_eights(count + max(count // (4 if self.cells_change else 8), 64))
        return self.capacity


def _in_eights(count: int) -> int:
    return -(-count // 8) * 8
