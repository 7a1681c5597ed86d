"""What a set of labelled structures is: positions, energies and forces of many frames; its statistics."""

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import chemical_symbols
from ase.stress import full_3x3_to_voigt_6_stress
from jaxtyping import Float, Integer

from so3lab.datasets.frame_electrons import least_unpaired, require_parity, whole_charges
from so3lab.datasets.frames import (
    copied,
    floats,
    label_per_frame,
    numbers_per_frame,
    read_only,
    require_cells,
    require_elements,
    require_finite,
    require_same_atoms,
    require_stresses,
    shaped,
    vectors_per_frame,
)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Structures with reference energies and forces; frames may differ in size and composition.

    Every per-frame field is indexed by frame first: ``dataset.positions[7]`` has shape
    ``(atoms of frame 7, 3)``. Arrays are read-only; ``np.array(...)`` copies. For frames of one
    molecule see `from_arrays`.

    Raises:
        ValueError: If shapes disagree, a number is not finite, or an element does not exist; the
            sentence names the frame.
    """

    name: str
    """What to call the set."""
    # Shapes are checked below and not by annotations: here data of users enter, who need sentences.
    numbers: Sequence[np.ndarray]
    """Atomic numbers, one ``(atoms,)`` integer array per frame."""
    positions: Sequence[np.ndarray]
    """Å, one ``(atoms, 3)`` array per frame."""
    energies: np.ndarray
    """Total energies in eV, shape ``(frames,)``."""
    forces: Sequence[np.ndarray]
    """eV/Å, one ``(atoms, 3)`` array per frame."""
    cells: np.ndarray | None = None
    """Å, shape ``(frames, 3, 3)`` with rows as lattice vectors, or None without any cell."""
    pbc: np.ndarray = None  # type: ignore[assignment]  # filled in below
    """Which directions repeat, shape ``(frames, 3)``; none when left out."""
    total_charges: np.ndarray = None  # type: ignore[assignment]
    """In units of e, shape ``(frames,)``; 0 when left out."""
    unpaired_electrons: np.ndarray = None  # type: ignore[assignment]
    """Shape ``(frames,)``; when left out, the least that the number of electrons allows, and none in cells."""
    stresses: np.ndarray | None = None
    """eV/Å³, shape ``(frames, 3, 3)``, positive under tension as in ASE; NaN for frames without one."""
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Further values per frame, such as ``origin`` (a trajectory) or ``split``; each array has the frames as its first
    axis."""
    meta: Mapping[str, Any] = field(default_factory=dict)
    """Where the set comes from: source, level of theory, licence, citation, units read."""
    remarks: tuple[str, ...] | None = field(default=None, init=False, repr=False)
    """What `so3lab.datasets.check_labels` has to say of it, or of the set that it is a part of; None before that."""
    untold: tuple[str, ...] = field(default=(), init=False, repr=False)
    """What that check could not tell, for want of frames or bonds."""

    def __post_init__(self) -> None:
        energies = read_only(floats(self.energies, "energies"))
        if energies.ndim != 1 or len(energies) == 0:
            raise ValueError(f"energies must have shape (frames,) with at least one frame, got {energies.shape}")
        frames = len(energies)
        positions = vectors_per_frame(self.positions, "positions", frames)
        numbers = numbers_per_frame(self.numbers, frames)
        forces = vectors_per_frame(self.forces, "forces", frames)
        require_same_atoms(numbers, positions, forces)
        require_finite(energies, positions, forces)
        require_elements(numbers)
        cells, pbc = self.cells, self.pbc
        if cells is not None:
            cells = read_only(shaped(floats(cells, "cells"), "cells", (frames, 3, 3)))
        pbc = np.zeros((frames, 3), bool) if pbc is None else np.asarray(pbc, bool)
        charges = floats(np.zeros(frames) if self.total_charges is None else self.total_charges, "total_charges")
        charges = read_only(whole_charges(shaped(charges, "total_charges", (frames,))))
        pbc = read_only(shaped(pbc, "pbc", (frames, 3)))
        require_cells(cells, pbc)
        unpaired = self.unpaired_electrons
        if unpaired is None:
            unpaired = least_unpaired(numbers, charges, pbc)
        else:
            unpaired = shaped(floats(unpaired, "unpaired_electrons"), "unpaired_electrons", (frames,))
            require_parity(unpaired, numbers, charges, pbc)
        stresses = self.stresses
        if stresses is not None:
            stresses = shaped(floats(stresses, "stresses"), "stresses", (frames, 3, 3))
            stresses = require_stresses(stresses, cells, pbc)
            stresses = read_only(stresses) if np.isfinite(stresses).any() else None
        values = {
            "numbers": numbers,
            "positions": positions,
            "energies": energies,
            "forces": forces,
            "cells": cells,
            "pbc": pbc,
            "total_charges": charges,
            "unpaired_electrons": read_only(unpaired),
            "stresses": stresses,
            "labels": {key: label_per_frame(key, value, frames) for key, value in self.labels.items()},
            "meta": dict(self.meta),
        }
        for key, value in values.items():
            object.__setattr__(self, key, value)

    @classmethod
    def from_arrays(
        cls,
        name: str,
        numbers: Integer[np.ndarray, " atoms"],
        positions: Float[np.ndarray, "frames atoms 3"],
        energies: Float[np.ndarray, " frames"],
        forces: Float[np.ndarray, "frames atoms 3"],
        **rest: Any,
    ) -> "Dataset":
        """A set whose frames all hold the same atoms, from stacked arrays (Å, eV, eV/Å)."""
        frames = len(positions)
        return cls(name, (numbers,) * frames, tuple(positions), energies, tuple(forces), **rest)

    def __len__(self) -> int:
        return len(self.energies)

    def __repr__(self) -> str:
        symbols = " ".join(chemical_symbols[z] for z in self.elements)
        return f"Dataset({self.name!r}, {len(self)} frames of up to {self.max_atoms} atoms, {symbols})"

    def __getitem__(self, index: int) -> Atoms:
        """One frame as ASE atoms whose calculator holds the reference energy, forces and, if there is one, stress."""
        i = int(index)
        atoms = Atoms(
            numbers=self.numbers[i],
            positions=self.positions[i],
            cell=None if self.cells is None else self.cells[i],
            pbc=self.pbc[i],
        )
        if self.total_charges.any():  # in every frame, since silence is not zero beside charges
            atoms.info["charge"] = float(self.total_charges[i])
        if self.unpaired_electrons[i]:
            atoms.info["multiplicity"] = float(self.unpaired_electrons[i]) + 1.0
        results = {"energy": float(self.energies[i]), "forces": self.forces[i]}
        if self.stresses is not None and np.isfinite(self.stresses[i]).all():
            results["stress"] = full_3x3_to_voigt_6_stress(self.stresses[i])
        atoms.calc = SinglePointCalculator(atoms, **results)
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
            index = np.flatnonzero(shaped(index, "indices (a mask)", (len(self),)))
        if index.size == 0:
            raise ValueError("indices must select at least one frame, got none")
        if index.ndim != 1 or not np.issubdtype(index.dtype, np.integer):
            raise ValueError(f"indices must be a list of whole numbers, got {index.dtype} {index.shape}")
        if index.min() < -len(self) or index.max() >= len(self):
            raise ValueError(f"indices must lie below the {len(self)} frames of {self.name!r}, got up to {index.max()}")
        part = Dataset(
            name=self.name,
            numbers=tuple(self.numbers[i] for i in index),
            positions=copied([self.positions[i] for i in index]),
            energies=self.energies[index],
            forces=copied([self.forces[i] for i in index]),
            cells=None if self.cells is None else self.cells[index],
            pbc=self.pbc[index],
            total_charges=self.total_charges[index],
            unpaired_electrons=self.unpaired_electrons[index],
            stresses=None if self.stresses is None else self.stresses[index],
            labels={key: value[index] for key, value in self.labels.items()},
            meta=self.meta,
        )
        if self.remarks is not None:
            part.keep_remarks(self.remarks, self.untold)
        return part

    def keep_remarks(self, remarks: tuple[str, ...], untold: tuple[str, ...] = ()) -> None:
        """Remember what a check of the labels said, so that parts of the set are not asked again."""
        object.__setattr__(self, "remarks", remarks)
        object.__setattr__(self, "untold", untold)

    @functools.cached_property
    def sizes(self) -> Integer[np.ndarray, " frames"]:
        """Atoms in each frame."""
        return read_only(np.array([len(z) for z in self.numbers]))

    @functools.cached_property
    def molecules(self) -> Integer[np.ndarray, " frames"]:
        """A whole number for each frame, from 0 on, the same where atoms are the same in the same order."""
        return read_only(np.unique([id(z) for z in self.numbers], return_inverse=True)[1].reshape(-1))

    @property
    def max_atoms(self) -> int:
        """Atoms in the largest frame."""
        return int(self.sizes.max())

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
            raise ValueError(f"{self.name!r} mixes molecules, so its frames have no common array; use the fields")
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
    return pd.DataFrame.from_dict(rows, orient="index").astype({"frames": int, "atoms": int, "largest_frame": int})


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
