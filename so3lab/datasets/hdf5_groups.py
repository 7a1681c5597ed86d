"""How groups of an HDF5 file become a Dataset: each with the frames of one molecule or cell, at any depth."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from so3lab.datasets.cell_labels import CellLabel, stresses_of_arrays
from so3lab.datasets.dataset import Dataset
from so3lab.datasets.file_units import FileUnits, file_units, stated_fields, text
from so3lab.datasets.frame_electrons import require_all_charged, spins_of_arrays
from so3lab.datasets.label_names import (
    NAMES,
    found_under,
    record_of_cell_labels,
    record_of_families,
    record_of_names,
)
from so3lab.datasets.named_arrays import (
    NOT_SAID,
    candidates,
    cells_of_arrays,
    pick_optional,
    read_array,
    total_charges,
)
from so3lab.structures.electrons import (
    is_charge_key,
    is_column_of_charges,
    is_smiles_key,
    is_spin_key,
    sounds_like_electrons,
)
from so3lab.structures.smiles import formal_charge

_LABELS = ("energies", "forces")


def read_hdf5(
    path: Path, original: Path, energy_unit: str | None, length_unit: str | None, keys: Mapping[str, str]
) -> Dataset:
    """Groups at any depth: one frame in each as in QM7-X, or several of the same atoms.

    Args:
        path: The file.
        original: What sentences call it; another one where ``path`` was unpacked.
        energy_unit: As of `so3lab.datasets.load`.
        length_unit: Likewise.
        keys: Likewise.

    Raises:
        ValueError: If the file cannot be understood; the sentence names the group.
    """
    rows, documented = _Rows(original), ""
    try:
        with h5py.File(path, "r") as file:
            stated = stated_fields(dict(file.attrs))
            for group, beside in _groups(file, {}):
                if found_under(group.keys(), "positions", keys):
                    rows.append(group, keys, beside)
                    stated = _same_units(_units_beside(group, rows.names, keys), stated, f"{original}, {group.name}")
                    documented = "QM7-X" if "ePBE0+MBD" in group else documented
    except OSError as error:
        raise ValueError(f"{original} is no HDF5 file or is damaged ({error}); download or write it again") from None
    if not rows.energies:
        raise ValueError(
            f"{original} has no group with positions under "
            f"{' or '.join(map(repr, [keys['positions']] if 'positions' in keys else NAMES['positions']))}; pass "
            f"keys={{'positions': '...'}} with the name that it uses"
        )
    require_all_charged(rows.charges, rows.charge_said, str(original))
    return rows.dataset(file_units(stated, energy_unit, length_unit, str(original), documented))


def _units_beside(group: h5py.Group, names: Mapping[str, str], keys: Mapping[str, str]) -> dict[str, str]:
    """Units that arrays carry as an attribute, as SPICE writes them, and those among the attributes of their group.

    Args:
        group: With the arrays.
        names: Of energies and forces.
        keys: As of `so3lab.datasets.load`.
    """
    found = stated_fields(dict(group.attrs)) if len(group.attrs) else {}
    for quantity, name in (*names.items(), ("positions", found_under(group.keys(), "positions", keys)[0])):
        attributes = group[name].attrs
        for attribute in ("units", "unit") if len(attributes) else ():
            if unit := text(attributes.get(attribute)):
                found[quantity] = unit
    return found


def _is_of_electrons(name: str) -> bool:
    """Whether a name is one of charges, of all or of each atom, or of spins."""
    return (
        is_charge_key(name)
        or is_spin_key(name)
        or any(is_column_of_charges(name, computed=computed) for computed in (False, True))
    )


def _charges_of_smiles(group: h5py.Group, numbers: Sequence[np.ndarray]) -> np.ndarray | None:
    """Total charges of frames by the SMILES that stands beside them, as in SPICE; None without one of these atoms."""
    for name in group:
        if is_smiles_key(name) and (smiles := text(group[name][()])) is not None:
            charge = formal_charge(smiles, numbers[0])
            return None if charge is None else np.full(len(numbers), float(charge))
    return None


def _same_units(found: Mapping[str, str], before: Mapping[str, str], where: str) -> dict[str, str]:
    """Both, where they say nothing different.

    Raises:
        ValueError: If they do.
    """
    other = next((key for key in found if key in before and found[key] != before[key]), None)
    if other is not None:
        raise ValueError(
            f"{where} states {other} in {found[other]!r}, and what stands before it {before[other]!r}; all groups of a "
            "file must have one unit: convert one of them"
        )
    return {**found, **before}


def _groups(group: h5py.Group, beside: Mapping[str, Any]) -> Iterator[tuple[h5py.Group, dict[str, Any]]]:
    """The group and all groups inside it, each with the charges and spins among its attributes and those above it."""
    own = {name: value for name, value in group.attrs.items() if is_charge_key(name) or is_spin_key(name)}
    attributes = {**beside, **own}
    yield group, attributes
    for item in group.values():
        if isinstance(item, h5py.Group):
            yield from _groups(item, attributes)


@dataclass
class _Rows:
    """What was read so far, an entry for each frame, in the units of the file."""

    original: Path
    numbers: list[np.ndarray] = field(default_factory=list)
    positions: list[np.ndarray] = field(default_factory=list)
    energies: list[float] = field(default_factory=list)
    forces: list[np.ndarray] = field(default_factory=list)
    cells: list[np.ndarray] = field(default_factory=list)
    pbc: list[np.ndarray] = field(default_factory=list)
    stresses: list[np.ndarray] = field(default_factory=list)
    charges: list[float] = field(default_factory=list)
    charge_said: list[bool] = field(default_factory=list)
    unpaired: list[float] = field(default_factory=list)
    group: list[str] = field(default_factory=list)
    """In which group each frame stands."""
    alone: list[bool] = field(default_factory=list)
    """Whether it is the only frame there."""
    names: dict[str, str] = field(default_factory=dict)
    """Of energies and forces, the same in all groups."""
    record: dict[str, str] = field(default_factory=dict)
    """For the dataset's meta."""

    def append(self, group: h5py.Group, keys: Mapping[str, str], beside: Mapping[str, Any]) -> None:
        """Read the frames of a group, whose attributes may have charges and spins, too."""
        where = f"{self.original}, group {group.name}"
        found = candidates(group, keys, where)
        self._keep_names(found, where)
        values = {q: read_array(group[names[0]], q, names[0], where) for q, names in found.items()}
        positions, forces = (values[q].astype(np.float64) for q in ("positions", "forces"))
        if positions.ndim == 2:
            positions, forces = positions[None], forces[None]
        energies = values["energies"].astype(np.float64).reshape(-1)
        if positions.shape != forces.shape or len(positions) != len(energies):
            raise ValueError(
                f"{where}: shapes disagree: positions {positions.shape}, forces {forces.shape}, "
                f"energies {energies.shape}; correct or remove this group"
            )
        frames = len(positions)
        numbers = values["numbers"]
        rows = list(numbers) if numbers.ndim == 2 and len(numbers) == frames else [numbers] * frames
        self.numbers += rows
        self.positions += list(positions)
        self.forces += list(forces)
        self.energies += energies.tolist()
        named = {name: group[name] for name in group if _is_of_electrons(name)}
        electrons = {**beside, **named}
        charges, said = total_charges(electrons, frames, positions.shape[1], where)
        if (of_smiles := _charges_of_smiles(group, rows)) is not None and not any(map(is_charge_key, electrons)):
            charges, said = of_smiles, True
        self.charges += charges.tolist()
        self.charge_said += [said] * frames
        for name, value in (*group.file.attrs.items(), *group.attrs.items()):
            number = np.size(value) == 1 and np.asarray(value).dtype.kind in "iuf"
            if number and sounds_like_electrons(name) and not _is_of_electrons(name):
                self.record["notes"] = (
                    f"the attribute {name!r} sounds like a charge or a spin and is left out, since "
                    "so3lab does not know the name; call it charge or multiplicity if it is one"
                )
        spins = spins_of_arrays(electrons, rows, charges, where)
        self.unpaired += [np.nan] * frames if spins is None else spins.tolist()
        self.group += [group.name] * frames
        self.alone += [frames == 1] * frames
        self._append_cells(group, frames, where)

    def _append_cells(self, group: h5py.Group, frames: int, where: str) -> None:
        """Cells and stresses of a group; a single frame may stand without an axis of frames."""
        cells, pbc, guessed = cells_of_arrays(pick_optional(group, "cells"), pick_optional(group, "pbc"), frames, where)
        known = np.zeros((frames, 3, 3)) if cells is None else cells
        self.cells += list(known)
        self.pbc += list(pbc)
        if guessed:
            self.record["cells"] = NOT_SAID
        stresses, label = stresses_of_arrays(group, cells if pbc.all() else None, 1.0, 1.0, where)
        self.stresses += list(np.full((frames, 3, 3), np.nan) if stresses is None else stresses)
        self._keep_labels(group, label)

    def _keep_labels(self, group: h5py.Group, label: CellLabel | None) -> None:
        for key, words in record_of_cell_labels(group.keys(), label).items():
            self.record.setdefault(key, words)

    def _keep_names(self, found: Mapping[str, list[str]], where: str) -> None:
        """One name of energies and one of forces for all groups, since two may be two methods."""
        for quantity in _LABELS:
            name = found[quantity][0]
            if self.names.setdefault(quantity, name) != name:
                raise ValueError(
                    f"{where}: {quantity} must stand under one name in all groups, got {name!r} here and "
                    f"{self.names[quantity]!r} before; say which with keys={{{quantity!r}: {name!r}}} (--keys)"
                )
        self.record |= record_of_names(self.names) | record_of_families(found["energies"], found["forces"])

    def dataset(self, units: FileUnits) -> Dataset:
        """All frames in eV and Å."""
        ids = [name.rsplit("/", 1)[-1] for name in self.group]
        molecules = [n.rsplit("/", 1)[0] or "/" if one else n for n, one in zip(self.group, self.alone, strict=True)]
        cells = np.array(self.cells) * units.length
        dataset = Dataset(
            name=self.original.stem,
            numbers=tuple(self.numbers),
            positions=tuple(r * units.length for r in self.positions),
            energies=np.array(self.energies) * units.energy,
            forces=tuple(f * units.force for f in self.forces),
            cells=cells if cells.any() else None,
            pbc=np.array(self.pbc),
            total_charges=np.array(self.charges),
            stresses=np.array(self.stresses) * units.energy / units.length**3,
            labels={"id": np.array(ids), "molecule": np.array(molecules)},
            meta={"source": self.original.name, **units.record, **self.record},
        )
        stated = np.array(self.unpaired)
        if np.isnan(stated).all():
            return dataset
        spins: Any = np.where(np.isnan(stated), dataset.unpaired_electrons, stated)
        return replace(dataset, unpaired_electrons=spins)
