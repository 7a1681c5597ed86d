"""What a set of labelled structures is: positions, energies and forces of many frames, and their statistics."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import chemical_symbols
from jaxtyping import Bool, Float, Integer

HEAVIEST = 118
"""Largest atomic number that has a name."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Structures with reference energies and forces; frames may differ in size and composition.

    Every per-frame field is indexed by frame first: ``dataset.positions[7]`` has shape
    ``(atoms of frame 7, 3)``. The constructor also takes one shared ``(atoms,)`` array of atomic
    numbers and stacked ``(frames, atoms, 3)`` arrays. Arrays are read-only; ``np.array(...)`` copies.

    Args:
        name: What to call the set.
        numbers: Atomic numbers, one ``(atoms,)`` integer array per frame.
        positions: Å, one ``(atoms, 3)`` array per frame.
        energies: Total energies in eV, shape ``(frames,)``.
        forces: eV/Å, one ``(atoms, 3)`` array per frame.
        cells: Å, shape ``(frames, 3, 3)`` with rows as lattice vectors, or None without any cell.
        pbc: Which directions repeat, shape ``(frames, 3)``; none when left out.
        total_charges: In units of e, shape ``(frames,)``; 0 when left out.
        labels: Further values per frame, such as ``origin`` (a trajectory) or ``split``; each
            array has the frames as its first axis.
        meta: Where the set comes from: source, level of theory, licence, citation, units read.

    Raises:
        ValueError: If shapes disagree, a number is not finite, or an element does not exist; the
            sentence names the frame.
    """

    name: str
    numbers: tuple[Integer[np.ndarray, " _"], ...]
    positions: tuple[Float[np.ndarray, "_ 3"], ...]
    energies: Float[np.ndarray, " frames"]
    forces: tuple[Float[np.ndarray, "_ 3"], ...]
    cells: Float[np.ndarray, "frames 3 3"] | None = None
    pbc: Bool[np.ndarray, "frames 3"] = None  # type: ignore[assignment]  # filled in below
    total_charges: Float[np.ndarray, " frames"] = None  # type: ignore[assignment]
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        energies = _read_only(_floats(self.energies, "energies"))
        if energies.ndim != 1 or len(energies) == 0:
            raise ValueError(
                f"energies must have shape (frames,) with at least one frame, got {energies.shape}"
            )
        frames = len(energies)
        positions = _vectors_per_frame(self.positions, "positions", frames)
        numbers = _numbers_per_frame(self.numbers, frames)
        forces = _vectors_per_frame(self.forces, "forces", frames)
        _require_same_atoms(numbers, positions, forces)
        _require_finite(energies, positions, forces)
        _require_elements(numbers)
        cells, pbc = self.cells, self.pbc
        if cells is not None:
            cells = _read_only(_shaped(_floats(cells, "cells"), "cells", (frames, 3, 3)))
        pbc = np.zeros((frames, 3), bool) if pbc is None else np.asarray(pbc, bool)
        charges = np.zeros(frames) if self.total_charges is None else self.total_charges
        values = {
            "numbers": numbers,
            "positions": positions,
            "energies": energies,
            "forces": forces,
            "cells": cells,
            "pbc": _read_only(_shaped(pbc, "pbc", (frames, 3))),
            "total_charges": _read_only(
                _shaped(_floats(charges, "total_charges"), "total_charges", (frames,))
            ),
            "labels": {key: _label(key, value, frames) for key, value in self.labels.items()},
            "meta": dict(self.meta),
        }
        for key, value in values.items():
            object.__setattr__(self, key, value)
        _require_cells(self)

    def __len__(self) -> int:
        return len(self.energies)

    def __repr__(self) -> str:
        symbols = " ".join(chemical_symbols[z] for z in self.elements)
        return f"Dataset({self.name!r}, {len(self)} frames of up to {self.max_atoms} atoms, {symbols})"

    def __getitem__(self, index: int) -> Atoms:
        """One frame as ASE atoms whose calculator holds the reference energy and forces."""
        i = int(index)
        atoms = Atoms(
            numbers=self.numbers[i],
            positions=self.positions[i],
            cell=None if self.cells is None else self.cells[i],
            pbc=self.pbc[i],
        )
        if self.total_charges[i]:
            atoms.info["charge"] = float(self.total_charges[i])
        atoms.calc = SinglePointCalculator(atoms, energy=float(self.energies[i]), forces=self.forces[i])
        return atoms

    def __iter__(self) -> Iterator[Atoms]:
        return (self[i] for i in range(len(self)))

    def to_atoms(self) -> list[Atoms]:
        """All frames as ASE atoms; see ``dataset[i]``."""
        return list(self)

    def select(self, indices: Sequence[int] | np.ndarray | slice) -> "Dataset":
        """The frames with these indices, in this order, as a set of its own.

        Raises:
            ValueError: If nothing is selected or an index does not exist.
        """
        index = np.arange(len(self))[indices] if isinstance(indices, slice) else np.asarray(indices)
        if index.dtype == bool:
            index = np.flatnonzero(_shaped(index, "indices (a mask)", (len(self),)))
        if index.size == 0:
            raise ValueError("indices must select at least one frame, got none")
        if index.ndim != 1 or not np.issubdtype(index.dtype, np.integer):
            raise ValueError(f"indices must be a list of whole numbers, got {index.dtype} {index.shape}")
        if index.min() < -len(self) or index.max() >= len(self):
            raise ValueError(
                f"indices must lie below the {len(self)} frames of {self.name!r}, got up to {index.max()}"
            )
        return Dataset(
            name=self.name,
            numbers=tuple(self.numbers[i] for i in index),
            positions=_copied([self.positions[i] for i in index]),
            energies=self.energies[index],
            forces=_copied([self.forces[i] for i in index]),
            cells=None if self.cells is None else self.cells[index],
            pbc=self.pbc[index],
            total_charges=self.total_charges[index],
            labels={key: value[index] for key, value in self.labels.items()},
            meta=self.meta,
        )

    @property
    def sizes(self) -> Integer[np.ndarray, " frames"]:
        """Atoms in each frame."""
        return np.array([len(z) for z in self.numbers])

    @property
    def max_atoms(self) -> int:
        """Atoms in the largest frame."""
        return max(len(z) for z in self.numbers)

    @property
    def elements(self) -> tuple[int, ...]:
        """Atomic numbers that occur, ascending."""
        return tuple(sorted({int(z) for numbers in _distinct(self.numbers) for z in numbers}))

    @property
    def uniform(self) -> bool:
        """Whether all frames hold the same atoms in the same order."""
        return len(_distinct(self.numbers)) == 1

    def stacked(
        self,
    ) -> tuple[
        Integer[np.ndarray, " atoms"],
        Float[np.ndarray, "frames atoms 3"],
        Float[np.ndarray, "frames atoms 3"],
    ]:
        """Atomic numbers ``(atoms,)``, positions and forces ``(frames, atoms, 3)`` of a uniform set.

        Raises:
            ValueError: If the frames differ in their atoms.
        """
        if not self.uniform:
            raise ValueError(
                f"{self.name!r} mixes molecules, so its frames have no common array; use the fields"
            )
        return self.numbers[0], np.stack(self.positions), np.stack(self.forces)

    def statistics(self) -> pd.DataFrame:
        """Counts, energies and forces; see `so3lab.datasets.statistics`."""
        return statistics(self)


def statistics(dataset: Dataset) -> pd.DataFrame:
    """Counts, energies and forces of a set: one row for all atoms, then one per element.

    Columns: ``frames`` (that contain the element), ``atoms`` (in all frames together),
    ``largest_frame`` (most atoms in one frame), ``force_rms`` (per component) and ``force_max``
    (longest vector) in eV/Å, ``energy_mean`` and ``energy_std`` in eV (first row only),
    ``energy_shift`` in eV (elements only; see `energy_shifts`).
    """
    numbers = np.concatenate(dataset.numbers)
    forces = np.concatenate(dataset.forces)
    frame_of = np.repeat(np.arange(len(dataset)), dataset.sizes)
    shifts = energy_shifts(dataset)
    rows: dict[str, dict[str, float]] = {}
    for z in (0, *dataset.elements):
        mine = slice(None) if z == 0 else numbers == z
        per_frame = np.bincount(frame_of[mine], minlength=len(dataset))
        rows["all" if z == 0 else chemical_symbols[z]] = {
            "frames": int(np.count_nonzero(per_frame)),
            "atoms": int(per_frame.sum()),
            "largest_frame": int(per_frame.max()),
            "force_rms": float(np.sqrt(np.mean(forces[mine] ** 2))),
            "force_max": float(np.linalg.norm(forces[mine], axis=1).max()),
            "energy_mean": float(dataset.energies.mean()) if z == 0 else np.nan,
            "energy_std": float(dataset.energies.std()) if z == 0 else np.nan,
            "energy_shift": np.nan if z == 0 else shifts[z],
        }
    return pd.DataFrame.from_dict(rows, orient="index").astype(
        {"frames": int, "atoms": int, "largest_frame": int}
    )


def energy_shifts(dataset: Dataset) -> dict[int, float]:
    r"""Energy per element that explains most of the total energies.

    .. math:: \min_\epsilon \sum_f \Big( E_f - \sum_{i \in f} \epsilon_{z_i} \Big)^2

    Where the ratios of the elements never vary (one molecule), many answers fit equally well and
    the one of smallest norm is returned: its sum over a frame is still the mean energy.

    Returns:
        Atomic number to energy in eV, in float64.
    """
    distinct = _distinct(dataset.numbers)
    rows = np.array([[np.count_nonzero(numbers == z) for z in dataset.elements] for numbers in distinct])
    which = {id(numbers): row for row, numbers in enumerate(distinct)}
    group = np.array([which[id(numbers)] for numbers in dataset.numbers])
    rows, merged = np.unique(rows, axis=0, return_inverse=True)
    group = merged.reshape(-1)[group]
    weight = np.sqrt(np.bincount(group))
    mean = np.bincount(group, weights=dataset.energies) / weight**2
    solution = np.linalg.lstsq(rows * weight[:, None], mean * weight, rcond=None)[0]
    return {z: float(energy) for z, energy in zip(dataset.elements, solution, strict=True)}


def _distinct(numbers: Iterable[np.ndarray]) -> list[np.ndarray]:
    """The arrays without repetition; frames of one molecule share one array object."""
    return list({id(array): array for array in numbers}.values())


def _read_only(array: np.ndarray) -> np.ndarray:
    view = array.view()
    view.flags.writeable = False
    return view


def _floats(values: Any, what: str) -> np.ndarray:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what} must be a regular array of numbers: {error}") from None


def _shaped(array: np.ndarray, what: str, shape: tuple[int, ...]) -> np.ndarray:
    if array.shape != shape:
        raise ValueError(f"{what} must have shape {shape}, got {array.shape}")
    return array


def _label(key: str, values: Any, frames: int) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim == 0 or len(array) != frames:
        raise ValueError(
            f"label {key!r} must have one value for each of {frames} frames, got shape {array.shape}"
        )
    return _read_only(array)


def _copied(arrays: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    """Copies, so that a small selection does not keep a large file in memory."""
    if len({len(array) for array in arrays}) == 1:
        return tuple(_read_only(np.stack(arrays)))
    return tuple(_read_only(array.copy()) for array in arrays)


def _vectors_per_frame(values: Any, what: str, frames: int) -> tuple[np.ndarray, ...]:
    """``(atoms, 3)`` float64 arrays, one per frame, as read-only views where possible."""
    if values is None:
        raise ValueError(f"{what} are missing; a dataset needs them for every frame")
    if len(values) != frames:
        raise ValueError(f"{what} must have one entry for each of {frames} energies, got {len(values)}")
    if isinstance(values, np.ndarray) and values.dtype != object:
        arrays: tuple[np.ndarray, ...] = tuple(_read_only(_floats(values, what)))
    else:
        arrays = tuple(_read_only(_floats(v, f"{what} of frame {i}")) for i, v in enumerate(values))
    for i, array in enumerate(arrays):
        if array.ndim != 2 or array.shape[1] != 3 or len(array) == 0:
            raise ValueError(f"frame {i}: {what} must have shape (atoms, 3), got {array.shape}")
    return arrays


def _numbers_per_frame(values: Any, frames: int) -> tuple[np.ndarray, ...]:
    """``(atoms,)`` integer arrays, one per frame; equal frames share one array object."""
    if isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype != object:
        return (_whole_numbers(values, 0),) * frames
    if len(values) != frames:
        raise ValueError(
            f"numbers must be one (atoms,) array or one per frame: {frames} energies, {len(values)} entries"
        )
    seen: dict[bytes, np.ndarray] = {}
    same_object: dict[int, np.ndarray] = {}
    result = []
    for i, value in enumerate(values):
        if id(value) not in same_object:
            array = _whole_numbers(np.asarray(value), i)
            shared = seen.setdefault(array.tobytes(), array)
            if not isinstance(values, tuple):  # rows of an array are new objects, whose ids repeat
                result.append(shared)
                continue
            same_object[id(value)] = shared
        result.append(same_object[id(value)])
    return tuple(result)


def _whole_numbers(array: np.ndarray, frame: int) -> np.ndarray:
    if array.ndim != 1 or array.dtype.kind not in "iuf" or (array != np.round(array)).any():
        raise ValueError(
            f"frame {frame}: atomic numbers must be whole numbers of shape (atoms,), "
            f"got {array.dtype} {array.shape}"
        )
    return _read_only(array.astype(np.int64))


def _require_same_atoms(
    numbers: tuple[np.ndarray, ...], positions: tuple[np.ndarray, ...], forces: tuple[np.ndarray, ...]
) -> None:
    for i, (z, r, f) in enumerate(zip(numbers, positions, forces, strict=True)):
        if not len(z) == len(r) == len(f):
            raise ValueError(
                f"frame {i}: atoms disagree: {len(z)} atomic numbers, {len(r)} positions, {len(f)} forces; "
                f"correct or remove this frame"
            )


def _require_finite(
    energies: np.ndarray, positions: tuple[np.ndarray, ...], forces: tuple[np.ndarray, ...]
) -> None:
    bad = np.flatnonzero(~np.isfinite(energies))
    if bad.size:
        raise ValueError(_not_finite(int(bad[0]), "its energy", energies[bad[0]], bad.size))
    for what, arrays in (("a position", positions), ("a force", forces)):
        finite = np.isfinite(np.concatenate(arrays))
        if not finite.all():
            frame_of = np.repeat(np.arange(len(arrays)), [len(a) for a in arrays])
            bad = np.unique(frame_of[~finite.all(axis=1)])
            array = arrays[bad[0]]
            raise ValueError(_not_finite(int(bad[0]), what, array[~np.isfinite(array)][0], bad.size))


def _not_finite(frame: int, what: str, value: float, count: int) -> str:
    return (
        f"frame {frame}: {what} is {value} ({count} such frames); every number must be finite: "
        f"remove these frames, their reference calculation probably failed"
    )


def _require_elements(numbers: tuple[np.ndarray, ...]) -> None:
    known: set[int] = set()
    for i, z in enumerate(numbers):
        if id(z) in known:
            continue
        known.add(id(z))
        if z.min() < 1 or z.max() > HEAVIEST:
            wrong = z[(z < 1) | (z > HEAVIEST)][0]
            raise ValueError(
                f"frame {i}: atomic number {wrong} is no element (1 to {HEAVIEST}); "
                f"if it pads smaller molecules, store the atom counts as N beside it"
            )


def _require_cells(dataset: Dataset) -> None:
    if not dataset.pbc.any():
        return
    if dataset.cells is None:
        raise ValueError("pbc is set, but there are no cells; pass cells of shape (frames, 3, 3) in Å")
    flat = np.abs(np.linalg.det(dataset.cells)) < 1e-6
    bad = np.flatnonzero(flat & dataset.pbc.all(axis=1))
    if bad.size:
        raise ValueError(f"frame {bad[0]}: periodic in all directions, but its cell has no volume")
