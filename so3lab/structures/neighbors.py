"""Who is within the cutoff: every pair once, with and without periodicity.

A pair is (receiver i, sender j, image n) with displacement ``R_j - R_i + n @ cell``; the reverse
direction (j, i, -n) is the same pair and is not listed again. An atom pairs with its own images
in small cells.

Two ways lead to the same list: :func:`pair_list` on the host, with arrays of the exact length;
and :func:`find_pairs` inside a compiled loop, with arrays of a fixed capacity and a flag that
is raised when the capacity was too small.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from vesin import NeighborList

FEW_ATOMS = 100
"""Of molecules, up to which all pairs are looked at sooner than a list is made."""
HostOrDevice = jax.Array | np.ndarray
"""Index arrays are NumPy when they were just built and JAX inside compiled code."""


class Pairs(NamedTuple):
    """Undirected pairs of one structure, exact length, on the host."""

    receivers: Int[np.ndarray, " pairs"]
    senders: Int[np.ndarray, " pairs"]
    images: Int[np.ndarray, "pairs 3"]


class PaddedPairs(NamedTuple):
    """Undirected pairs of one structure, fixed length, on the device; padding has ``mask`` False."""

    receivers: Int[Array, " pairs"]
    senders: Int[Array, " pairs"]
    images: Int[Array, "pairs 3"] | None
    mask: Bool[Array, " pairs"]
    overflow: Bool[Array, ""]


def complete_cell(cell: Float[np.ndarray, "3 3"], pbc: Bool[np.ndarray, " 3"]) -> Float[np.ndarray, "3 3"]:
    """The cell with missing vectors of non-periodic directions replaced by unit vectors normal to the rest.

    Raises:
        ValueError: If a periodic direction has no lattice vector, or the vectors are not independent.
    """
    cell = np.array(cell, dtype=np.float64)
    lengths = np.linalg.norm(cell, axis=1)
    if np.any(pbc & (lengths < 1e-8)):
        raise ValueError(f"cell must have a lattice vector along every periodic direction, got {cell.tolist()}")
    for missing in np.flatnonzero(lengths < 1e-8):
        others = cell[np.linalg.norm(cell, axis=1) > 1e-8]
        _, _, basis = np.linalg.svd(np.vstack([others, np.zeros((3, 3))]))
        cell[missing] = basis[-1]
    if abs(np.linalg.det(cell)) < 1e-6:
        raise ValueError(f"cell vectors must be linearly independent, got {cell.tolist()}")
    return cell


def pair_list(
    positions: Float[np.ndarray, "atoms 3"],
    cutoff: float,
    cell: Float[np.ndarray, "3 3"] | None = None,
    pbc: Bool[np.ndarray, " 3"] | None = None,
) -> Pairs:
    """All undirected pairs closer than ``cutoff``, found on the host: with vesin, or among all pairs of a few atoms.

    Args:
        positions: Å, shape ``(atoms, 3)``; atoms may lie outside the cell.
        cutoff: Å.
        cell: Lattice vectors as rows, Å; ignored without periodicity.
        pbc: Which directions are periodic; None means none.

    Raises:
        ValueError: If positions are not finite or the cell is degenerate.
    """
    positions = np.asarray(positions, dtype=np.float64)
    check_finite(positions)
    periodic = np.zeros(3, bool) if pbc is None else np.asarray(pbc, bool)
    if len(positions) <= FEW_ATOMS and not periodic.any():
        return _among_all(positions, cutoff)
    search = NeighborList(cutoff=float(cutoff), full_list=False, n_threads=1)
    if periodic.any():
        box = complete_cell(np.asarray(cell), periodic)
        i, j, images = search.compute(positions, box, periodic, "ijS")
    else:
        centred = positions - positions.mean(axis=0)
        i, j = search.compute(centred, np.eye(3), False, "ij")
        images = np.zeros((len(i), 3))
    order = np.lexsort((j, i))
    return Pairs(i[order].astype(np.int32), j[order].astype(np.int32), images[order].astype(np.int32))


@functools.lru_cache(maxsize=FEW_ATOMS)
def _every_pair(atoms: int) -> tuple[np.ndarray, np.ndarray]:
    return np.triu_indices(atoms, k=1)


def _among_all(positions: Float[np.ndarray, "atoms 3"], cutoff: float) -> Pairs:
    i, j = _every_pair(len(positions))
    vectors = positions[j] - positions[i]
    close = np.einsum("px,px->p", vectors, vectors) < cutoff**2
    i, j = i[close].astype(np.int32), j[close].astype(np.int32)
    return Pairs(i, j, np.zeros((len(i), 3), np.int32))


class Candidates(NamedTuple):
    """Pairs among which compiled code looks for those within a cutoff; those after the first ``size`` are padding."""

    receivers: Int[HostOrDevice, " candidates"]
    senders: Int[HostOrDevice, " candidates"]
    images: Int[HostOrDevice, "candidates 3"] | None  # None without periodicity
    size: int | Int[HostOrDevice, ""]


def all_pairs(atoms: int) -> Candidates:
    """Every pair of so many atoms of a molecule."""
    first, second = (index.astype(np.int32) for index in np.triu_indices(atoms, k=1))
    return Candidates(first, second, None, len(first))


def find_pairs(
    positions: Float[Array, "atoms 3"],
    candidates: Candidates,
    cutoff: float,
    capacity: int,
    translations: Float[Array, "candidates 3"] | None = None,
) -> PaddedPairs:
    """Pairs closer than ``cutoff`` at these positions, compacted to ``capacity`` entries; for compiled code.

    When more pairs exist than fit, ``overflow`` is True and the result must be thrown away.

    Args:
        positions: Å.
        candidates: Those that come into question at these positions.
        cutoff: Å.
        capacity: Room for pairs; with room for all candidates they stay where they are.
        translations: Å by which senders are moved, for candidates with images.
    """
    receivers, senders = jnp.asarray(candidates.receivers), jnp.asarray(candidates.senders)
    images = None if candidates.images is None else jnp.asarray(candidates.images)
    vectors = positions[senders] - positions[receivers]
    if translations is not None:
        vectors = vectors + translations
    near = jnp.sum(vectors * vectors, axis=-1) < cutoff * cutoff
    near = near & (jnp.arange(receivers.shape[0]) < candidates.size)
    if capacity >= receivers.shape[0]:
        return PaddedPairs(receivers, senders, images, near, jnp.zeros((), bool))
    rank = jnp.cumsum(near)
    chosen = jnp.searchsorted(rank, jnp.arange(1, capacity + 1))
    mask = chosen < receivers.shape[0]
    chosen = jnp.minimum(chosen, receivers.shape[0] - 1)
    images = None if images is None else images[chosen]
    return PaddedPairs(receivers[chosen], senders[chosen], images, mask, rank[-1] > capacity)


def bucket(count: int, multiple: int = 8) -> int:
    """The smallest padded size that holds ``count``: sizes grow by a quarter, so that few are ever compiled."""
    size = multiple
    while size < count:
        size = -(-int(size * 1.25 + 1) // multiple) * multiple
    return size


def check_finite(positions: Float[np.ndarray, "atoms 3"]) -> None:
    """Refuse positions that are no numbers, as a broken file or calculation leaves them.

    Raises:
        ValueError: If there is a NaN or an infinity.
    """
    wrong = np.flatnonzero(~np.isfinite(positions).all(axis=1))
    if len(wrong):
        others = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise ValueError(
            f"positions must be finite numbers in Å, atom {wrong[0]} is at {positions[wrong[0]].tolist()}{others}; "
            "take a structure from before it broke"
        )
