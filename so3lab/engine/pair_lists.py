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
from typing import NamedTuple

import ase
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Shaped

from so3lab.functions.matrices import inverse_3x3
from so3lab.machine.compilation import on_device
from so3lab.network.pairwise.long_range import LongRangeNeeds, far_cutoff, fixed_long_range
from so3lab.structures.graph import LongRange, apply_per_structure, checked_slots, padded_rows
from so3lab.structures.neighbors import (
    Candidates,
    PaddedPairs,
    Pairs,
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


def _left_the_skin(
    candidate_pairs: CandidatePairs,
    spec: PairListSpec,
    positions: Float[Array, "atoms 3"],
    cells: Float[Array, "structures 3 3"] | None,
    structure_index: Int[Array, " atoms"],
) -> Bool[Array, " atoms"]:
    """Which atoms have moved so far that a pair could be missing; a change of the cell counts for all its atoms.

    When rows of a cell went from C to C M, a pair that is now d long was at most \\|M^-1\\| (d + 2 u) long where the
    candidates were gathered, with u the largest displacement relative to the moving cell.
    """
    assert candidate_pairs.gathered_at is not None
    if not spec.cells_change:
        return jnp.sum((positions - candidate_pairs.gathered_at) ** 2, axis=1) > (SKIN / 2) ** 2
    assert cells is not None
    assert candidate_pairs.gathered_cells is not None
    unit, longest = jnp.eye(3, dtype=positions.dtype), max(spec.cutoff, spec.far_cutoff or 0.0)
    back = inverse_3x3(cells) @ candidate_pairs.gathered_cells
    forth = inverse_3x3(candidate_pairs.gathered_cells) @ cells
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
        slots: Rows of atoms that each structure has; its own number of atoms when not given. Rows beyond those of a
            structure belong to nobody, and :meth:`replace` may fill them.

    Raises:
        ValueError: For molecules and cells together, or a structure with more atoms than rows.
    """

    def __init__(
        self,
        structures: Sequence[ase.Atoms],
        cutoff: float,
        needs: LongRangeNeeds | None,
        dtype: str,
        cells_change: bool = False,
        least_capacity: int = 0,
        slots: Sequence[int] | None = None,
    ):
        self._dtype, self._cells_change = dtype, cells_change
        self._structures = [atoms.copy() for atoms in structures]
        self._slots = checked_slots(structures, slots)
        periodic = [bool(atoms.pbc.any()) for atoms in structures]
        if any(periodic) and not all(periodic):
            raise ValueError("structures simulated together must be all molecules or all cells, got both")
        self._cells = None
        if all(periodic):
            self._cells = np.stack([complete_cell(np.asarray(atoms.cell), atoms.pbc) for atoms in structures])
        self._meet_all = [self._cells is None and slot <= ALL_PAIRS_UP_TO for slot in self._slots]
        self._extra = _EXTRA_FOR_CELLS if cells_change else _EXTRA
        self._near = _List(cutoff, cells_change, len(structures))
        self._far: _List | None = None
        self._fixed: LongRange | None = None
        self._capacity = least_capacity  # for pairs of the network; only grows
        self._needs = needs
        self._fixed_cells: Float[np.ndarray, "structures 3 3"] | None = None
        self._gathered_at = np.full((sum(self._slots), 3), np.nan, dtype)  # NaN is never further away than anything
        self._origins = np.zeros((sum(self._slots), 3), np.int32)
        if needs is not None:
            self._make_fixed()
            far = far_cutoff(structures[0], needs)
            self._far = None if far is None else _List(far, cells_change, len(structures))
        self.rebuild(self._own_positions(), self._cells)

    def _make_fixed(self) -> None:
        assert self._needs is not None
        self._fixed = fixed_long_range(self._structures, self._needs, self._slots)
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
        if cells is not None:
            self._set_cells(cells)
        if self._fixed_cells is not None and self._cells is not None:
            stretches = np.linalg.svd(np.linalg.solve(self._fixed_cells, self._cells), compute_uv=False)
            if fixed_anew or np.any(np.maximum(stretches, 1.0 / stretches) > _MOST_STRETCH):
                self._make_fixed()
        at = np.asarray(positions, self._dtype)
        for number, rows in enumerate(self._rows()):
            self._gather(number, at[rows])
        self._assemble()

    def replace(self, number: int, atoms: ase.Atoms) -> None:
        """Put another structure in the place of one; the candidates of all others stay as they are.

        Nothing is compiled for it unless it has more pairs than there is capacity for, or, in a cell with exact
        electrostatics, other waves.

        Args:
            number: Which one.
            atoms: What comes: at most as many atoms as there are rows, periodic as the others are.

        Raises:
            ValueError: If it does not fit, or is a cell among molecules or a molecule among cells.
        """
        if bool(atoms.pbc.any()) != (self._cells is not None):
            kind = "molecules" if self._cells is None else "cells"
            raise ValueError(f"the structures it joins are all {kind}, but atoms.pbc is {atoms.pbc.tolist()}")
        if len(atoms) > self._slots[number]:
            raise ValueError(f"atoms must have at most {self._slots[number]} atoms in place {number}, got {len(atoms)}")
        before = self._structures[number], self._cells
        self._structures[number] = atoms.copy()
        try:
            if self._cells is not None:
                self._cells = self._cells.copy()
                self._cells[number] = complete_cell(np.asarray(atoms.cell), atoms.pbc)
            if self._needs is not None and (len(atoms) != len(before[0]) or self._cells is not None):
                self._make_fixed()
        except ValueError:
            self._structures[number], self._cells = before
            raise
        rows = self._rows()[number]
        slot = slice(rows.start, rows.start + self._slots[number])
        self._gathered_at[slot], self._origins[slot] = np.nan, 0
        self._gather(number, np.asarray(atoms.positions, self._dtype))
        self._assemble()

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

    def state(self) -> dict[str, Shaped[np.ndarray, "..."]]:
        """What makes the lists again exactly as they are (:meth:`restore`)."""
        capacities = [self._capacity, *(one.capacity for one in (self._near, self._far) if one is not None)]
        state = {"capacity": np.array(capacities)}
        if self.candidates.gathered_at is not None:
            state["gathered_at"] = self._gathered_at.copy()
        if self._cells_change and self._cells is not None:
            state["gathered_cells"] = np.asarray(self._cells)
            if self._fixed_cells is not None:
                state["fixed_cells"] = self._fixed_cells
        return state

    def restore(self, state: dict[str, Shaped[np.ndarray, "..."]]) -> None:
        """The lists that :meth:`state` told of."""
        lists = [one for one in (self._near, self._far) if one is not None]
        self._capacity, *capacities = state["capacity"].tolist()
        for one, capacity in zip(lists, capacities, strict=True):
            one.capacity = capacity
        if "fixed_cells" in state:  # the waves are those of these cells
            self._set_cells(state["fixed_cells"])
            self._make_fixed()
        if "gathered_at" in state:
            at = np.where(np.isnan(state["gathered_at"]), self._own_positions(), state["gathered_at"])
            self.rebuild(at, state.get("gathered_cells"))

    def _set_cells(self, cells: Float[np.ndarray, "structures 3 3"]) -> None:
        self._cells = np.asarray(cells, np.float64)
        for atoms, cell in zip(self._structures, self._cells, strict=True):
            atoms.cell = cell

    def _capacity_for(self, count: int) -> int:
        """Capacity for so many pairs and some more."""
        return _in_eights(count + max(int(count * self._extra), 8))

    def _rows(self) -> list[slice]:
        """The atoms of each structure, without rows that nobody has."""
        starts = np.cumsum([0, *self._slots[:-1]]).tolist()
        return [slice(start, start + len(atoms)) for start, atoms in zip(starts, self._structures, strict=True)]

    def _own_positions(self) -> Float[np.ndarray, "atoms 3"]:
        """Those of the structures as they came, in Å."""
        return padded_rows([atoms.positions for atoms in self._structures], self._slots)

    def _gather(self, number: int, positions: Float[np.ndarray, "atoms 3"]) -> None:
        """The candidates of one structure around its positions, in Å."""
        rows, pbc = self._rows()[number], self._structures[number].pbc
        cell = None if self._cells is None else self._cells[number]
        near_cell = positions.astype(np.float64)
        if cell is not None:
            origins = np.floor(np.linalg.solve(cell.T, near_cell.T).T) * pbc
            near_cell -= origins @ cell
            self._origins[rows] = origins
        if not self._meet_all[number]:
            self._gathered_at[rows] = positions
        for one in (self._near, self._far):
            if one is not None:
                one.gather(number, near_cell, cell, pbc, self._meet_all[number])

    def _assemble(self) -> None:
        """The arrays of all structures, from the parts of each."""
        all_meet, periodic = all(self._meet_all), self._cells is not None
        starts = [rows.start for rows in self._rows()]
        present = sum(self._near.present)
        if present > self._capacity:
            self._capacity = self._capacity_for(present)
        if all_meet:
            most = sum(slot * (slot - 1) // 2 for slot in self._slots)
            self._capacity, self._near.capacity = min(self._capacity, most), most
            if self._far is not None:
                self._far.capacity = most
        parts = (
            self._near.candidates(starts, periodic),
            None if self._far is None else self._far.candidates(starts, periodic),
            self._fixed,
            self._origins if periodic else None,
            None if all_meet else self._gathered_at,
            None if self._cells is None else np.asarray(self._cells, self._dtype),
        )
        self.candidates = CandidatePairs(*on_device(parts))


class _List:
    """One pair list: how far it reaches, its candidates by structure, and the capacity for them, which only grows."""

    def __init__(self, cutoff: float, cells_change: bool, structures: int):
        self.cutoff, self._cells_change, self.capacity = cutoff, cells_change, 0  # Å
        nobody = np.zeros(0, np.int32)
        self._parts = [Pairs(nobody, nobody, np.zeros((0, 3), np.int32))] * structures  # of each
        self.present = [0] * structures  # pairs of each below the cutoff

    def gather(
        self,
        number: int,
        positions: Float[np.ndarray, "atoms 3"],
        cell: Float[np.ndarray, "3 3"] | None,
        pbc: Bool[np.ndarray, " 3"],
        all_meet: bool,
    ) -> None:
        """Candidates of one structure at positions in Å; its atoms are counted from 0."""
        if all_meet:
            i, j, _, _ = all_pairs(len(positions))
            images = np.zeros((len(i), 3), np.int32)
        else:
            i, j, images = pair_list(positions, self.cutoff + SKIN, cell, pbc)
        self._parts[number] = Pairs(np.asarray(i), np.asarray(j), images)
        vectors = positions[j] - positions[i]
        if cell is not None:
            vectors += images @ cell
        self.present[number] = int(np.count_nonzero(np.einsum("px,px->p", vectors, vectors) < self.cutoff**2))

    def candidates(self, starts: list[int], periodic: bool) -> Candidates:
        """Those of all structures, one after another, whose atoms start at these rows."""
        moved = [(i + start, j + start, images) for (i, j, images), start in zip(self._parts, starts, strict=True)]
        i, j, images = (np.concatenate(some).astype(np.int32) for some in zip(*moved, strict=True))
        count = len(i)
        if count > self.capacity:
            self.capacity = _in_eights(count + max(count // (4 if self._cells_change else 8), 64))
        i, j, images = (np.pad(x, [(0, self.capacity - count)] + [(0, 0)] * (x.ndim - 1)) for x in (i, j, images))
        return Candidates(i, j, images if periodic else None, count)


def _in_eights(count: int) -> int:
    return -(-count // 8) * 8
