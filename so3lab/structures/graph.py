"""How structures become arrays: atoms, undirected pairs, masks; one structure or a batch of different ones.

One layout serves molecules and cells, training and dynamics: atoms of all structures one after
another, pairs one after another, both padded to a fixed length. A structure's atoms know its number.
"""

from collections.abc import Sequence
from typing import NamedTuple

import ase
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Shaped

from so3lab.functions.safe import masked
from so3lab.structures.electrons import total_charge, unpaired_electrons
from so3lab.structures.neighbors import HostOrDevice, Pairs, bucket, complete_cell, pair_list


class LongRange(NamedTuple):
    """What energies beyond the network's cutoff need; made by :mod:`so3lab.network.pairwise.long_range`.

    Far pairs are undirected, and the near ones are among them. ``waves`` or ``mesh`` carry the exact
    electrostatics of cells; the latter is for one structure only.
    """

    receivers: Int[HostOrDevice, " far"]
    senders: Int[HostOrDevice, " far"]
    mask: Bool[HostOrDevice, " far"]
    images: Int[HostOrDevice, "far 3"] | None = None
    periodic: Bool[HostOrDevice, " structures"] | None = None  # None when no structure is a cell
    waves: Int[HostOrDevice, "structures waves 3"] | None = None  # half of the k vectors; 0 on padding
    mesh: Float[HostOrDevice, "x y z"] | None = None  # factors of the interpolation, see pairwise.mesh


class AtomClasses(NamedTuple):
    """Classes of atoms that start with equal features: the same element in structures of equal charge and make."""

    of_atoms: Int[HostOrDevice, " atoms"]
    members: Int[HostOrDevice, " classes"]  # one atom of each


class Graph(NamedTuple):
    """Arrays of one or more structures; ``cells`` and ``images`` are None when none is periodic."""

    positions: Float[HostOrDevice, "atoms 3"]  # Å
    atomic_numbers: Int[HostOrDevice, " atoms"]
    structure_index: Int[HostOrDevice, " atoms"]
    atom_mask: Bool[HostOrDevice, " atoms"]
    receivers: Int[HostOrDevice, " pairs"]
    senders: Int[HostOrDevice, " pairs"]
    pair_mask: Bool[HostOrDevice, " pairs"]
    total_charges: Float[HostOrDevice, " structures"]  # e
    unpaired_electrons: Float[HostOrDevice, " structures"]
    images: Int[HostOrDevice, "pairs 3"] | None = None
    cells: Float[HostOrDevice, "structures 3 3"] | None = None  # Å, rows
    long_range: LongRange | None = None  # None for models that see no further than their cutoff
    atom_classes: AtomClasses | None = None  # when known, a first layer with compressed filters uses them
    embedding: Float[HostOrDevice, "atoms features"] | None = None  # initial features, when known

    @property
    def num_structures(self) -> int:
        """Number of structures, padding included."""
        return self.total_charges.shape[0]

    @property
    def long_range_graph(self) -> "Graph":
        """The same structures with the far pairs in place of the near ones."""
        pairs = self.long_range
        if pairs is None:
            raise ValueError(
                "this model has long-range terms, but the graph holds no far pairs; "
                "add them with so3lab.network.pairwise.long_range.with_long_range"
            )
        return self._replace(
            receivers=pairs.receivers, senders=pairs.senders, pair_mask=pairs.mask, images=pairs.images
        )


def gather(values: Shaped[Array, "atoms *rest"], index: HostOrDevice) -> Shaped[Array, "pairs *rest"]:
    """Rows of an array by an index that is known to be valid: no check is compiled in."""
    return values.at[index].get(mode="promise_in_bounds")


def segment_sum(atoms: int, *parts: tuple[HostOrDevice, Float[Array, "pairs *rest"]]) -> Float[Array, "atoms *rest"]:
    """Sum rows into the atoms that valid indices name, for any number of (index, rows)."""
    rows = parts[0][1]
    total = jnp.zeros((atoms, *rows.shape[1:]), rows.dtype)
    for index, values in parts:
        total = total.at[index].add(values, mode="promise_in_bounds")
    return total


def displacements(graph: Graph, strain: Float[Array, "structures 3 3"] | None = None) -> Float[Array, "pairs 3"]:
    """Vectors from receiver to sender, ``R_j - R_i + n @ cell`` in Å; padding gets (1, 1, 1).

    Args:
        graph: Structures.
        strain: Optional symmetric strain of each structure; positions and lattice vectors are both
            multiplied by (1 + strain), so that its gradient is the stress times the volume.
    """
    positions = jnp.asarray(graph.positions)
    vectors = gather(positions, graph.senders) - gather(positions, graph.receivers)
    if graph.cells is not None and graph.images is not None:
        images = jnp.asarray(graph.images).astype(vectors.dtype)
        vectors = vectors + apply_per_structure(images, jnp.asarray(graph.cells), structure_of_pairs(graph))
    if strain is not None:
        vectors = vectors + apply_per_structure(vectors, strain, structure_of_pairs(graph))
    return masked(jnp.asarray(graph.pair_mask), jnp.asarray(vectors), 1.0)


def apply_per_structure(
    rows: Float[Array, "rows 3"], matrices: Float[Array, "structures 3 3"], index: Int[HostOrDevice, "..."]
) -> Float[Array, "rows 3"]:
    """Row vectors times the matrix of the structure that each belongs to; the index is not read for one structure."""
    if matrices.shape[0] == 1:
        return rows @ matrices[0]
    return jnp.einsum("pi,pij->pj", rows, matrices[index])


def structure_of_pairs(graph: Graph) -> Int[HostOrDevice, " pairs"]:
    """Number of the structure that each pair belongs to."""
    return graph.structure_index[graph.receivers]


def sum_per_structure(values: Float[Array, "atoms"], graph: Graph) -> Float[Array, " structures"]:
    """Sum of a value over the real atoms of each structure."""
    values = jnp.where(graph.atom_mask, values, 0.0)
    if graph.num_structures == 1:
        return values.sum()[None]
    return jnp.zeros(graph.num_structures, values.dtype).at[graph.structure_index].add(values)


def sum_pairs_per_structure(values: Float[Array, " pairs"], graph: Graph) -> Float[Array, " structures"]:
    """Sum of a value over the pairs of each structure; the value must be zero on padding."""
    if graph.num_structures == 1:
        return values.sum()[None]
    return jnp.zeros(graph.num_structures, values.dtype).at[structure_of_pairs(graph)].add(values)


def atom_classes(structures: Sequence[ase.Atoms]) -> AtomClasses:
    """The classes of atoms of structures: elements, told apart where composition, charge or unpaired electrons
    differ."""
    rows: list[tuple[int, int]] = []
    makes: dict[tuple, int] = {}
    for atoms in structures:
        make = total_charge(atoms), unpaired_electrons(atoms), tuple(sorted(atoms.numbers.tolist()))
        rows += [(makes.setdefault(make, len(makes)), number) for number in atoms.numbers.tolist()]
    _, members, index = np.unique(np.array(rows), axis=0, return_index=True, return_inverse=True)
    return AtomClasses(index.reshape(-1).astype(np.int32), members.astype(np.int32))


def checked_slots(structures: Sequence[ase.Atoms], slots: Sequence[int] | None) -> list[int]:
    """Rows of atoms for each structure: those given, or its own number of atoms.

    Raises:
        ValueError: If there is not one for each structure, or a structure has more atoms.
    """
    sizes = [len(atoms) for atoms in structures]
    if slots is None:
        return sizes
    if len(slots) != len(sizes) or any(slot < size for slot, size in zip(slots, sizes, strict=True)):
        raise ValueError(f"slots must be at least the numbers of atoms, {sizes}, one for each; got {list(slots)}")
    return [int(slot) for slot in slots]


def padded_rows(rows: Sequence[np.ndarray], slots: Sequence[int]) -> np.ndarray:
    """Rows of structures one after another, each with zeros up to its slot."""
    return np.concatenate(
        [np.pad(x, [(0, slot - len(x))] + [(0, 0)] * (x.ndim - 1)) for x, slot in zip(rows, slots, strict=True)]
    )


def build_graph(
    structures: Sequence[ase.Atoms],
    cutoff: float,
    *,
    num_atoms: int | None = None,
    num_pairs: int | None = None,
    dtype: str = "float32",
) -> Graph:
    """Arrays of structures, with all pairs below the cutoff, padded.

    Structures are moved to their centre first, so that far coordinates lose no digits.

    Args:
        structures: ASE structures; a mixture of molecules and cells is allowed.
        cutoff: Å.
        num_atoms: Padded number of atoms; default: the exact number.
        num_pairs: Padded number of pairs; default: the next :func:`~so3lab.structures.neighbors.bucket`.
        dtype: Type of the coordinates.

    Raises:
        ValueError: If ``structures`` is empty, or a padded number is too small.
    """
    if not structures:
        raise ValueError("structures must hold at least one structure, got none")
    pairs = [structure_pairs(atoms, cutoff) for atoms in structures]
    sizes = np.array([len(atoms) for atoms in structures])
    offsets = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    atoms_capacity = _capacity("num_atoms", int(sizes.sum()), num_atoms, int(sizes.sum()))
    pair_count = sum(len(p.receivers) for p in pairs)
    pairs_capacity = _capacity("num_pairs", pair_count, num_pairs, bucket(pair_count))
    periodic = any(atoms.pbc.any() for atoms in structures)

    def padded(parts: Sequence[np.ndarray], capacity: int, kind: str) -> np.ndarray:
        joined = np.concatenate([np.asarray(part) for part in parts])
        result = np.zeros((capacity, *joined.shape[1:]), kind)
        result[: len(joined)] = joined
        return result

    return Graph(
        positions=padded([centred_positions(atoms) for atoms in structures], atoms_capacity, dtype),
        atomic_numbers=padded([atoms.numbers for atoms in structures], atoms_capacity, "int32"),
        structure_index=padded([np.full(n, s) for s, n in enumerate(sizes)], atoms_capacity, "int32"),
        atom_mask=np.arange(atoms_capacity) < sizes.sum(),
        receivers=padded([p.receivers + o for p, o in zip(pairs, offsets, strict=True)], pairs_capacity, "int32"),
        senders=padded([p.senders + o for p, o in zip(pairs, offsets, strict=True)], pairs_capacity, "int32"),
        pair_mask=np.arange(pairs_capacity) < pair_count,
        total_charges=np.array([total_charge(atoms) for atoms in structures], dtype),
        unpaired_electrons=np.array([unpaired_electrons(atoms) for atoms in structures], dtype),
        images=padded([p.images for p in pairs], pairs_capacity, "int32") if periodic else None,
        cells=np.array([_cell_or_unit(atoms) for atoms in structures], dtype) if periodic else None,
    )


def structure_pairs(atoms: ase.Atoms, cutoff: float) -> Pairs:
    """Undirected pairs of one structure below the cutoff."""
    return pair_list(atoms.positions, cutoff, np.asarray(atoms.cell), atoms.pbc)


def centred_positions(atoms: ase.Atoms) -> Float[np.ndarray, "atoms 3"]:
    """Positions in float64, relative to their centre."""
    return atoms.positions - atoms.positions.mean(axis=0)


def _cell_or_unit(atoms: ase.Atoms) -> Float[np.ndarray, "3 3"]:
    return complete_cell(np.asarray(atoms.cell), atoms.pbc) if atoms.pbc.any() else np.eye(3)


def _capacity(name: str, needed: int, asked: int | None, default: int) -> int:
    if asked is None:
        return default
    if asked < needed:
        raise ValueError(f"{name} must hold all {needed}, got {asked}")
    return asked
