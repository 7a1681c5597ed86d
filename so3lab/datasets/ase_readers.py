"""How structures that ASE holds or reads become a Dataset: atoms, files of any ASE format, databases."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import ase.db
import ase.io
import numpy as np
from ase import Atoms

from so3lab.datasets.dataset import Dataset
from so3lab.datasets.file_units import FileUnits, file_units, stated_fields
from so3lab.structures.electrons import is_charge_key, stated_charge, total_charge
from so3lab.structures.xyz import read_all_xyz

_LABELLED = frozenset((".npz", ".h5", ".hdf5", ".xz", ".db"))
"""Endings of data sets."""
_COORDINATES = frozenset((".pdb", ".ent", ".sdf", ".sd", ".mol", ".cif", ".gro"))
"""Endings of formats that have no place for energies and forces."""
_MOTION = frozenset(("positions", "momenta", "velocities", "velocity", "vel", "velo", "initial_magmoms"))
"""Tables of atoms that are no labels."""


def from_atoms(
    frames: Iterable[Atoms],
    name: str,
    *,
    keys: Mapping[str, str] | None = None,
    units: FileUnits | None = None,
    meta: Mapping[str, Any] | None = None,
) -> Dataset:
    """Collect ASE atoms with energies and forces into a Dataset.

    Energies and forces come from each frame's calculator results, or from the entries of
    ``atoms.info`` and ``atoms.arrays`` that ``keys`` names, in eV and eV/Å unless ``units`` says otherwise.

    Raises:
        ValueError: If a frame has no energy or no forces; the sentence lists what it has.
    """
    frames = list(frames)
    if not frames:
        raise ValueError(f"{name} holds no frames")
    keys = dict(keys or {})
    energies = [_atoms_value(atoms, i, "energies", keys, name) for i, atoms in enumerate(frames)]
    forces = [_atoms_value(atoms, i, "forces", keys, name) for i, atoms in enumerate(frames)]
    energy, length, force = (units.energy, units.length, units.force) if units else (1.0, 1.0, 1.0)
    cells = np.array([np.asarray(atoms.cell) for atoms in frames])
    charges = [_charge(atoms, number, name) for number, atoms in enumerate(frames)]
    charge_source = stated_charge(frames[0]).source
    return Dataset(
        name=name,
        numbers=tuple(atoms.numbers for atoms in frames),
        positions=tuple(atoms.positions * length for atoms in frames),
        energies=np.array([float(np.asarray(e).reshape(())) for e in energies]) * energy,
        forces=tuple(np.asarray(f, dtype=float) * force for f in forces),
        cells=cells * length if cells.any() else None,
        pbc=np.array([atoms.pbc for atoms in frames]),
        total_charges=np.array(charges),
        labels=_labels(frames, {*keys.values(), "energy"}),
        meta=dict(meta or {}) | ({"total_charges_from": charge_source} if charge_source else {}),
    )


def _atoms_value(atoms: Atoms, frame: int, quantity: str, keys: Mapping[str, str], name: str) -> Any:
    """The energy or the forces of one frame."""
    store = atoms.info if quantity == "energies" else atoms.arrays
    results = atoms.calc.results if atoms.calc is not None else {}
    if quantity in keys:
        for place in (store, results, atoms.info):
            if keys[quantity] in place:
                return place[keys[quantity]]
    else:
        standard = "energy" if quantity == "energies" else "forces"
        for place in (results, store):
            if standard in place:
                return place[standard]
    wanted = f"nothing called {keys[quantity]!r}" if quantity in keys else f"no {quantity}"
    other = sorted({*store, *results} - {"numbers", "positions"})
    raise ValueError(
        f"frame {frame} of {name} has {wanted}; it has {', '.join(map(repr, other)) or 'nothing else'}: "
        f"if one of these holds the {quantity}, pass keys={{{quantity!r}: '...'}}, "
        f"else add them or remove the frame"
    )


def _charge(atoms: Atoms, frame: int, name: str) -> float:
    """The total charge of one frame, or a sentence that names the frame."""
    try:
        return total_charge(atoms)
    except ValueError as error:
        raise ValueError(f"frame {frame} of {name}: {error}") from None


def _labels(frames: list[Atoms], not_labels: set[str]) -> dict[str, np.ndarray]:
    """Single values of ``info`` that every frame carries, such as the trajectory it comes from."""
    shared = set.intersection(*(set(atoms.info) for atoms in frames)) - not_labels
    labels = {}
    for key in sorted(key for key in shared if "unit" not in key and not is_charge_key(key)):
        column = [atoms.info[key] for atoms in frames]
        if all(isinstance(value, str | int | float | np.integer | np.floating) for value in column):
            labels[key] = np.array(column)
    return labels


def has_labels(path: Path) -> bool:
    """Whether a file may hold something to learn from: anything but coordinates alone in a format that ASE reads.

    Args:
        path: The file; of formats that this module does not read nothing is known, and labels are expected.
    """
    if path.suffix.lower() in _LABELLED:
        return True
    if path.suffix.lower() in _COORDINATES:
        return False
    try:
        first = _first_frame(path)
    except Exception:  # whoever reads it as a structure says what is wrong
        return False
    results = set(first.calc.results) if first.calc is not None else set()
    tables = {name for name, values in first.arrays.items() if values.ndim == 2 and name not in _MOTION}
    return bool(results & {"energy", "forces"} or tables or any("energy" in str(key).lower() for key in first.info))


def _first_frame(path: Path) -> Atoms:
    try:
        first = ase.io.read(path, index=0)
    except Exception:
        if path.suffix.lower() not in (".xyz", ".extxyz"):
            raise
        first = read_all_xyz(path)[0]
    assert isinstance(first, Atoms)
    return first


def read_with_ase(path: Path, energy_unit: str | None, length_unit: str | None, keys: Mapping[str, str]) -> Dataset:
    """Read an ASE database or any file that ASE reads; eV and Å unless file or caller says otherwise."""
    if foreign := sorted(set(keys) & {"numbers", "positions"}):
        raise ValueError(f"keys may name 'energies' and 'forces' of files that ASE reads, got {foreign}")
    try:
        frames, stated = _read_database(path) if path.suffix == ".db" else _read_frames(path)
    except Exception as error:  # ASE's readers raise whatever their format provokes
        raise ValueError(
            f"{path} could not be read ({type(error).__name__}: {error}); "
            f"so3lab reads .npz, .hdf5, .xz, .db and the files that ASE reads, best as .extxyz"
        ) from error
    read_units = file_units(stated, energy_unit, length_unit, str(path), documented="ASE's convention")
    return from_atoms(frames, path.stem, keys=keys, units=read_units, meta={"source": path.name, **read_units.record})


def _read_frames(path: Path) -> tuple[list[Atoms], dict[str, str]]:
    """Frames of any file that ASE reads, and the units that their comment lines state."""
    try:
        frames = ase.io.read(path, index=":")
    except Exception:  # what ASE's reader stumbles over is mended where it can be, and named where it cannot
        if path.suffix.lower() not in (".xyz", ".extxyz"):
            raise
        frames = read_all_xyz(path)
    frames = frames if isinstance(frames, list) else [frames]
    return frames, stated_fields(frames[0].info) if frames else {}


def _read_database(path: Path) -> tuple[list[Atoms], dict[str, str]]:
    """Frames of an ASE database with what its rows store beside them, and the units it states."""
    frames = []
    with ase.db.connect(path) as database:
        stated = {k: str(v) for k, v in database.metadata.get("_property_unit_dict", {}).items()}
        stated |= stated_fields({k: v for k, v in database.metadata.items() if isinstance(v, str)})
        for row in database.select():
            atoms = row.toatoms()
            atoms.info.update(row.key_value_pairs)
            for key, value in (row.data or {}).items():
                value = np.asarray(value)
                per_atom = value.ndim > 1 and len(value) == len(atoms)
                (atoms.arrays if per_atom else atoms.info)[key] = value
            frames.append(atoms)
    return frames, stated
