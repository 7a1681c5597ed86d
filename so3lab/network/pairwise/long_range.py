"""Which atoms meet beyond the network's cutoff: far pairs, and the waves or the mesh of an Ewald sum.

Molecules without truncation meet all their atoms, whatever the positions. Cells have far pairs up to a
cutoff for dispersion; their exact electrostatics needs no pairs at all (:mod:`so3lab.network.pairwise.ewald`).
"""

from collections.abc import Sequence
from typing import NamedTuple

import ase
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from so3lab.network.pairwise.ewald import wave_vectors
from so3lab.network.pairwise.mesh import mesh_factors
from so3lab.network.pairwise.truncation import CELL_CUTOFF
from so3lab.network.settings import ModelSettings
from so3lab.structures.graph import Graph, LongRange, checked_slots
from so3lab.structures.neighbors import HostOrDevice, Pairs, all_pairs, bucket, pair_list

MOST_WAVES = 500_000
"""Waves of a cell that are summed one by one: a cube of 190 Å."""
MESH_FROM = 2_000_000
"""Atoms times waves from which a cell's electrostatics is interpolated on a mesh; about 1,700 atoms of water."""


class LongRangeNeeds(NamedTuple):
    """Which far pairs a model asks for, and whether it sums waves."""

    molecule_cutoff: float | None  # Å; None for all pairs
    cell_cutoff: float | None  # Å; None for no pairs
    screening_length: float | None  # Å; of the Ewald sum over cells; None for no such sum


def long_range_needs(settings: ModelSettings) -> LongRangeNeeds | None:
    """What a model with these settings asks for; None when it has no long-range terms."""
    electrostatics, cutoff = settings.electrostatics, settings.long_range_cutoff
    if electrostatics == "none" and not settings.dispersion:
        return None
    exact = electrostatics == "exact"
    pairs_in_cells = settings.dispersion or not exact
    return LongRangeNeeds(
        None if exact else cutoff,
        (cutoff or CELL_CUTOFF) if pairs_in_cells else None,
        settings.screening_length if exact else None,
    )


def far_cutoff(atoms: ase.Atoms, needs: LongRangeNeeds) -> float | None:
    """How far the far pairs of a structure reach in Å; None when they do not depend on positions."""
    return needs.cell_cutoff if atoms.pbc.any() else needs.molecule_cutoff


def long_range_pairs(atoms: ase.Atoms, needs: LongRangeNeeds) -> Pairs:
    """Undirected far pairs of one structure, exact length, on the host."""
    cutoff = far_cutoff(atoms, needs)
    if cutoff is not None:
        return pair_list(atoms.positions, cutoff, np.asarray(atoms.cell), atoms.pbc)
    i, j, _, count = all_pairs(0 if atoms.pbc.any() else len(atoms))
    return Pairs(np.asarray(i), np.asarray(j), np.zeros((int(count), 3), np.int32))


def with_long_range(
    graph: Graph,
    structures: Sequence[ase.Atoms],
    needs: LongRangeNeeds | None,
    num_far_pairs: int | None = None,
) -> Graph:
    """A graph of these structures together with what their long-range energies need.

    Args:
        graph: From :func:`so3lab.structures.graph.build_graph` for the same structures.
        structures: ASE structures.
        needs: From :func:`long_range_needs`; None leaves the graph as it is.
        num_far_pairs: Padded number of far pairs; default: the next :func:`~so3lab.structures.neighbors.bucket`.

    Raises:
        ValueError: If a structure is periodic in one or two directions only and the electrostatics is
            exact, or ``num_far_pairs`` is too small.
    """
    if needs is None:
        return graph
    pairs = [long_range_pairs(atoms, needs) for atoms in structures]
    offsets = np.concatenate([[0], np.cumsum([len(atoms) for atoms in structures])[:-1]])
    count = sum(len(p.receivers) for p in pairs)
    capacity = _far_capacity(structures, needs, count) if num_far_pairs is None else num_far_pairs
    if capacity < count:
        raise ValueError(f"num_far_pairs must hold all {count} far pairs, got {capacity}")
    images = np.concatenate([p.images for p in pairs])

    def joined(rows: Sequence[Int[np.ndarray, " _"]]) -> Int[np.ndarray, " pairs"]:
        return np.concatenate([r + o for r, o in zip(rows, offsets, strict=True)])

    return graph._replace(
        long_range=LongRange(
            _padded(joined([p.receivers for p in pairs]), capacity),
            _padded(joined([p.senders for p in pairs]), capacity),
            np.arange(capacity) < count,
            None if graph.cells is None else _padded(images, capacity),
            *_reciprocal(structures, needs),
        )
    )


def _far_capacity(structures: Sequence[ase.Atoms], needs: LongRangeNeeds, count: int) -> int:
    """All pairs of molecules are always as many; a list with a cutoff gets room to breathe."""
    untruncated = needs.molecule_cutoff is None and not any(atoms.pbc.any() for atoms in structures)
    return count if untruncated and len(structures) == 1 else bucket(count)


def _padded(rows: Int[np.ndarray, "pairs *rest"], capacity: int) -> Int[np.ndarray, "capacity *rest"]:
    result = np.zeros((capacity, *rows.shape[1:]), np.int32)
    result[: len(rows)] = rows
    return result


class _Reciprocal(NamedTuple):
    periodic: Bool[np.ndarray, " structures"] | None
    waves: Int[np.ndarray, "structures waves 3"] | None
    mesh: Float[np.ndarray, "x y z"] | None


def _reciprocal(structures: Sequence[ase.Atoms], needs: LongRangeNeeds) -> _Reciprocal:
    """The last three fields of :class:`~so3lab.structures.graph.LongRange`."""
    periodic = np.array([bool(atoms.pbc.any()) for atoms in structures])
    if not periodic.any():
        return _Reciprocal(None, None, None)
    if needs.screening_length is None:
        return _Reciprocal(periodic, None, None)
    if len(structures) == 1 and needs_mesh(structures[0], needs):
        mesh = mesh_factors(np.asarray(structures[0].cell), needs.screening_length)
        return _Reciprocal(periodic, None, mesh)
    return _Reciprocal(periodic, _waves(structures, needs.screening_length), None)


def _waves(structures: Sequence[ase.Atoms], screening_length: float) -> Int[np.ndarray, "structures waves 3"]:
    """Of each cell, and none of molecules, padded to the largest number."""
    for atoms in structures:
        _check_periodicity(atoms)
        _check_waves(atoms, screening_length)
    none = np.zeros((0, 3), int)
    found = [
        wave_vectors(np.asarray(atoms.cell), screening_length) if atoms.pbc.any() else none for atoms in structures
    ]
    capacity = bucket(max(len(waves) for waves in found))
    return np.stack([_padded(waves, capacity) for waves in found])


def needs_mesh(atoms: ase.Atoms, needs: LongRangeNeeds | None) -> bool:
    """Whether a cell is so large that its electrostatics is interpolated on a mesh."""
    if needs is None or needs.screening_length is None or not atoms.pbc.all():
        return False
    return bool(len(atoms) * _number_of_waves(atoms, needs.screening_length) > MESH_FROM)


def _number_of_waves(atoms: ase.Atoms, screening_length: float) -> float:
    """About how many waves a cell's electrostatics sums."""
    return float(atoms.cell.volume * (8.0 / screening_length) ** 3 / (12.0 * np.pi**2))


def _check_waves(atoms: ase.Atoms, screening_length: float) -> None:
    """Refuse a cell whose waves would fill the memory, before they do."""
    waves = _number_of_waves(atoms, screening_length) if atoms.pbc.any() else 0.0
    if waves > MOST_WAVES:
        edges = " x ".join(f"{length:.4g}" for length in atoms.cell.lengths())
        raise ValueError(
            f"atoms.cell must not need more than {MOST_WAVES:,} waves in a batch, got {edges} Å and {waves:,.0f} "
            "waves; for a molecule in an empty box set atoms.pbc = False (so3lab md: --no-cell), otherwise use "
            'potential.with_electrostatics("wolf")'
        )


def explain_far(atoms: ase.Atoms, needs: LongRangeNeeds | None) -> dict[str, str]:
    """Which far pairs a structure has and whether waves are summed, in words; nothing for models without."""
    if needs is None:
        return {}
    periodic = bool(atoms.pbc.any())
    cutoff = needs.cell_cutoff if periodic else needs.molecule_cutoff
    if cutoff is not None:
        words = f"pairs below {cutoff:g} Å, ending smoothly"
    else:
        words = "no pairs" if periodic else "all pairs, without a cutoff"
    if periodic and needs.screening_length is not None:
        on = "on a mesh" if needs_mesh(atoms, needs) else "one by one"
        words += f"; electrostatics beyond by Ewald's waves, summed {on}"
    return {"long range": words}


def _check_periodicity(atoms: ase.Atoms) -> None:
    if atoms.pbc.any() and not atoms.pbc.all():
        raise ValueError(
            f"atoms.pbc must be True in all three directions or in none for exact electrostatics, got "
            f"{atoms.pbc.tolist()}; add vacuum and make the slab or wire periodic in all directions, or use "
            'potential.with_electrostatics("wolf")'
        )


def all_pairs_batch(graph: Graph) -> Graph:
    """A batch of molecules, each padded to the same number of atoms, with all pairs of atoms of each as far pairs.

    For compiled code, where the batch changes and its shape does not.
    """
    structures, atoms = graph.num_structures, graph.atomic_numbers.shape[0] // graph.num_structures
    first, second, _, _ = all_pairs(atoms)
    offsets = (atoms * np.arange(structures, dtype=np.int32))[:, None]
    i, j = (first + offsets).ravel(), (second + offsets).ravel()
    real = jnp.asarray(graph.atom_mask)
    return graph._replace(long_range=LongRange(i, j, real[i] & real[j]))


class LongRangeRows(NamedTuple):
    """What :class:`~so3lab.structures.graph.LongRange` holds, a row for each structure; atoms are counted in each."""

    receivers: Int[HostOrDevice, "structures far"]
    senders: Int[HostOrDevice, "structures far"]
    mask: Bool[HostOrDevice, "structures far"]
    images: Int[HostOrDevice, "structures far 3"]
    periodic: Bool[HostOrDevice, " structures"]
    waves: Int[HostOrDevice, "structures waves 3"] | None


def long_range_rows(structures: Sequence[ase.Atoms], needs: LongRangeNeeds) -> LongRangeRows:
    """The long-range part of structures of which some are cells, so that any few of them can make a batch.

    Raises:
        ValueError: As :func:`with_long_range`.
    """
    pairs = [long_range_pairs(atoms, needs) for atoms in structures]
    counts = np.array([len(p.receivers) for p in pairs])
    capacity = bucket(int(counts.max()))
    receivers, senders, images = (np.stack([_padded(p[field], capacity) for p in pairs]) for field in range(3))
    periodic = np.array([bool(atoms.pbc.any()) for atoms in structures])
    waves = None if needs.screening_length is None else _waves(structures, needs.screening_length)
    return LongRangeRows(receivers, senders, np.arange(capacity) < counts[:, None], images, periodic, waves)


def batch_long_range(rows: LongRangeRows, atoms: int) -> LongRange:
    """The long-range part of a batch of structures that each have room for so many atoms; for compiled code."""
    offsets = (atoms * np.arange(rows.periodic.shape[0], dtype=np.int32))[:, None]
    receivers, senders = (jnp.asarray(index + offsets).ravel() for index in rows[:2])
    images = rows.images.reshape(-1, 3)
    return LongRange(receivers, senders, rows.mask.ravel(), images, rows.periodic, rows.waves)


def fixed_long_range(
    structures: Sequence[ase.Atoms], needs: LongRangeNeeds, slots: Sequence[int] | None = None
) -> LongRange:
    """The part of the long-range terms of structures, all molecules or all cells, that does not move with the atoms.

    Args:
        structures: ASE structures.
        needs: From :func:`long_range_needs`.
        slots: Rows of atoms that each has; its own number of atoms when not given.

    Raises:
        ValueError: As :func:`with_long_range`.
    """
    fixed = _reciprocal(structures, needs)
    if far_cutoff(structures[0], needs) is not None or structures[0].pbc.any():
        none = np.zeros(0, np.int32)
        images = None if far_cutoff(structures[0], needs) is not None else np.zeros((0, 3), np.int32)
        return LongRange(none, none, np.zeros(0, bool), images, *fixed)
    rows = checked_slots(structures, slots)
    starts = np.cumsum([0, *rows[:-1]])
    pairs = [all_pairs(slot)[:2] for slot in rows]  # of a structure with fewer atoms, those without them count
    i, j = (np.concatenate([p[side] + start for p, start in zip(pairs, starts, strict=True)]) for side in (0, 1))
    real = np.concatenate([np.arange(slot) < len(atoms) for slot, atoms in zip(rows, structures, strict=True)])
    return LongRange(i.astype(np.int32), j.astype(np.int32), real[i] & real[j], None, *fixed)
