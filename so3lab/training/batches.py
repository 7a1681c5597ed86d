"""How a dataset becomes device arrays of one shape, and how a few of its frames become a batch."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from ase import Atoms
from jaxtyping import Bool, Float, Int

from so3lab.datasets import Dataset
from so3lab.network.pairwise.long_range import LongRangeNeeds, LongRangeRows, batch_long_range, long_range_rows
from so3lab.potential.potential import Potential
from so3lab.structures.graph import Graph, centred_positions, structure_pairs
from so3lab.structures.neighbors import HostOrDevice, complete_cell


class PaddedFrames(NamedTuple):
    """Labelled structures padded to the largest one; everything a training step reads."""

    positions: Float[HostOrDevice, "frames atoms 3"]  # Å
    atomic_numbers: Int[HostOrDevice, "frames atoms"]
    atom_mask: Bool[HostOrDevice, "frames atoms"]
    receivers: Int[HostOrDevice, "frames pairs"]
    senders: Int[HostOrDevice, "frames pairs"]
    pair_mask: Bool[HostOrDevice, "frames pairs"]
    total_charges: Float[HostOrDevice, " frames"]
    unpaired_electrons: Float[HostOrDevice, " frames"]
    energies: Float[HostOrDevice, " frames"]
    """eV, relative to the element shifts."""
    forces: Float[HostOrDevice, "frames atoms 3"]  # eV/Å
    images: Int[HostOrDevice, "frames pairs 3"] | None = None
    cells: Float[HostOrDevice, "frames 3 3"] | None = None
    stresses: Float[HostOrDevice, "frames 3 3"] | None = None
    """eV/Å³; 0 where a frame has none."""
    stress_mask: Bool[HostOrDevice, " frames"] | None = None
    """Which frames have one."""
    far: LongRangeRows | None = None
    """For models with long-range terms where some frames are cells."""


def shifted_energies(dataset: Dataset, shifts: dict[int, float]) -> Float[np.ndarray, " frames"]:
    """Energies in eV relative to the element shifts, in float64.

    Raises:
        ValueError: If a frame holds an element that has no shift.
    """
    missing = sorted(set(dataset.elements) - set(shifts))
    if missing:
        raise ValueError(
            f"elements with atomic numbers {missing} occur in {dataset.name!r} but not in the training data"
        )
    sums = [sum(shifts[int(z)] for z in numbers) for numbers in dataset.numbers]
    return np.asarray(dataset.energies, np.float64) - np.array(sums)


def frames_from(
    dataset: Dataset,
    shifts: dict[int, float],
    cutoff: float,
    dtype: str = "float32",
    needs: LongRangeNeeds | None = None,
    with_stress: bool = True,
) -> PaddedFrames:
    """Arrays of a dataset with the pairs of every frame below the cutoff.

    Args:
        dataset: Labelled frames, of any sizes.
        shifts: Element shifts in eV that are subtracted from the energies.
        cutoff: Å.
        dtype: Type of the real numbers.
        needs: Of a model with long-range terms. Where no frame has a cell, all pairs of each molecule are its far ones
            (:func:`so3lab.network.pairwise.long_range.all_pairs_batch`), and nothing is carried.
        with_stress: Whether stresses are wanted, where the set has some.
    """
    structures = dataset.to_atoms()
    pairs = [structure_pairs(atoms, cutoff) for atoms in structures]
    frames, atoms_capacity = len(structures), dataset.max_atoms
    pairs_capacity = max(8, *(len(p.receivers) for p in pairs))
    periodic = any(atoms.pbc.any() for atoms in structures)

    def padded(rows, capacity: int, kind: str, tail: tuple[int, ...] = ()) -> np.ndarray:
        result = np.zeros((frames, capacity, *tail), kind)
        for frame, row in enumerate(rows):
            result[frame, : len(row)] = row
        return result

    sizes = np.array([len(atoms) for atoms in structures])
    counts = np.array([len(p.receivers) for p in pairs])
    stresses = dataset.stresses if with_stress else None
    known = None if stresses is None else np.isfinite(stresses).all(axis=(1, 2))
    cells = [complete_cell(np.asarray(a.cell), a.pbc) if a.pbc.any() else np.eye(3) for a in structures]
    return PaddedFrames(
        positions=padded([centred_positions(atoms) for atoms in structures], atoms_capacity, dtype, (3,)),
        atomic_numbers=padded([atoms.numbers for atoms in structures], atoms_capacity, "int32"),
        atom_mask=np.arange(atoms_capacity) < sizes[:, None],
        receivers=padded([p.receivers for p in pairs], pairs_capacity, "int32"),
        senders=padded([p.senders for p in pairs], pairs_capacity, "int32"),
        pair_mask=np.arange(pairs_capacity) < counts[:, None],
        total_charges=np.asarray(dataset.total_charges, dtype),
        unpaired_electrons=np.asarray(dataset.unpaired_electrons, dtype),
        energies=shifted_energies(dataset, shifts).astype(dtype),
        forces=padded(dataset.forces, atoms_capacity, dtype, (3,)),
        images=padded([p.images for p in pairs], pairs_capacity, "int32", (3,)) if periodic else None,
        cells=np.array(cells, dtype) if periodic else None,
        stresses=None if stresses is None else np.nan_to_num(stresses).astype(dtype),
        stress_mask=known,
        far=long_range_rows(structures, needs) if periodic and needs is not None else None,
    )


def mean_neighbors(frames: PaddedFrames) -> float:
    """Mean number of neighbours of an atom within the cutoff; at least 1."""
    return max(1.0, 2.0 * float(np.sum(frames.pair_mask)) / float(np.sum(frames.atom_mask)))


def batch_graph(frames: PaddedFrames) -> Graph:
    """A batch of frames as one graph; for compiled code."""
    count, atoms = frames.atomic_numbers.shape
    offsets = (atoms * jnp.arange(count, dtype=jnp.int32))[:, None]
    flat = lambda array: array.reshape(-1, *array.shape[2:])  # noqa: E731
    return Graph(
        positions=flat(frames.positions),
        atomic_numbers=flat(frames.atomic_numbers),
        structure_index=jnp.repeat(jnp.arange(count, dtype=jnp.int32), atoms),
        atom_mask=flat(frames.atom_mask),
        receivers=flat(frames.receivers + offsets),
        senders=flat(frames.senders + offsets),
        pair_mask=flat(frames.pair_mask),
        total_charges=frames.total_charges,
        unpaired_electrons=frames.unpaired_electrons,
        images=None if frames.images is None else flat(frames.images),
        cells=frames.cells,
        long_range=None if frames.far is None else batch_long_range(frames.far, atoms),
    )


def batch_order(frames: int, batch_size: int, first_step: int, steps: int, seed: int) -> Int[np.ndarray, "steps batch"]:
    """Which frames each step sees: one permutation after another, without gaps, a function of the seed alone."""
    first, last = first_step * batch_size, (first_step + steps) * batch_size
    passes = range(first // frames, -(-last // frames))
    stream = np.concatenate([np.random.default_rng((seed, number)).permutation(frames) for number in passes])
    start = first - passes[0] * frames
    return stream[start : start + steps * batch_size].reshape(steps, batch_size).astype(np.int32)


def check_frames(potential: Potential, dataset: Dataset, what: str) -> None:
    """Refuse frames that a potential can say nothing about.

    Raises:
        ValueError: If there is one; the sentence gives its number.
    """
    seen = set()
    for number, numbers in enumerate(dataset.numbers):
        charge, unpaired = dataset.total_charges[number], dataset.unpaired_electrons[number]
        periodic = bool(dataset.pbc[number].any())
        kind = (np.sort(numbers).tobytes(), float(charge), float(unpaired), periodic)
        if kind in seen:
            continue
        seen.add(kind)
        electrons = {"charge": float(charge), "unpaired_electrons": float(unpaired)}
        try:
            potential.check_composition(Atoms(numbers=numbers, pbc=periodic, info=electrons))
        except ValueError as error:
            raise ValueError(f"{what} {number}: {error}") from None
