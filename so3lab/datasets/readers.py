"""How a file becomes a Dataset by its ending: NumPy archives here, HDF5 files and what ASE reads elsewhere."""

import json
import lzma
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from so3lab.datasets.ase_readers import read_with_ase
from so3lab.datasets.cell_labels import stresses_of_arrays
from so3lab.datasets.dataset import Dataset
from so3lab.datasets.file_units import FileUnits, file_units, stated_fields, text
from so3lab.datasets.frame_electrons import spins_of_arrays
from so3lab.datasets.hdf5_groups import read_hdf5
from so3lab.datasets.label_names import NAMES, QUANTITIES, record_of_cell_labels, record_of_families, record_of_names
from so3lab.datasets.named_arrays import (
    NOT_SAID,
    candidates,
    cells_of_arrays,
    pick_optional,
    read_array,
    total_charges,
)
from so3lab.structures.electrons import is_charge_key, is_spin_key
from so3lab.structures.packed import is_packed, unpacked


def read(path: Path, energy_unit: str | None, length_unit: str | None, keys: Mapping[str, str] | None) -> Dataset:
    """Read a file by its ending, in eV and Å; see `so3lab.datasets.load`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file cannot be understood; the sentence says what to do.
    """
    unknown = sorted(set(keys or {}) - set(QUANTITIES))
    if unknown:
        raise ValueError(f"keys may name {', '.join(QUANTITIES)}, got {', '.join(unknown)}")
    if path.is_dir():
        raise ValueError(f"{path} is a folder; give a file in it")
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    keys = dict(keys or {})
    if is_packed(path) and Path(path.stem).suffix != ".hdf5":
        with unpacked(path) as inside:
            dataset = read(inside, energy_unit, length_unit, keys)
        return replace(dataset, meta={**dataset.meta, "source": path.name})
    if path.suffix == ".npz":
        return _read_npz(path, energy_unit, length_unit, keys)
    if path.suffix in (".hdf5", ".h5"):
        return read_hdf5(path, path, energy_unit, length_unit, keys)
    if path.suffix == ".xz":
        with tempfile.TemporaryDirectory() as folder:
            plain = Path(folder) / "unpacked.hdf5"
            unpack_xz(path, plain)
            return read_hdf5(plain, path, energy_unit, length_unit, keys)
    return read_with_ase(path, energy_unit, length_unit, keys)


def unpack_xz(source: Path, target: Path) -> None:
    """Decompress ``source`` into ``target``.

    Raises:
        ValueError: If the file is damaged.
    """
    try:
        with lzma.open(source) as packed, target.open("wb") as unpacked:
            shutil.copyfileobj(packed, unpacked, 1 << 20)
    except (lzma.LZMAError, EOFError) as error:
        raise ValueError(f"{source} is damaged ({error}); delete it and download it again") from None


def _read_npz(path: Path, energy_unit: str | None, length_unit: str | None, keys: Mapping[str, str]) -> Dataset:
    arrays = _archive(path)
    named = candidates(arrays, keys, str(path))
    names = {q: found[0] for q, found in named.items()}
    found = {q: read_array(arrays[name], q, name, str(path)) for q, name in names.items()}
    frames = len(found["positions"])
    optional = {q: pick_optional(arrays, q) for q in NAMES if q not in QUANTITIES}
    shape = np.shape(found["positions"])
    optional["total_charges"] = total_charges(arrays, frames, shape[1] if len(shape) == 3 else 0, str(path))[0]
    used = {id(arrays[name]) for name in names.values()} | {id(value) for value in optional.values()}
    fields = {key: value for key, value in arrays.items() if id(value) not in used}
    documented = "QM7-X" if "ePBE0+MBD" in arrays else ""
    read_units = file_units(stated_fields(fields), energy_unit, length_unit, str(path), documented)
    labels = {
        key: value
        for key, value in fields.items()
        if value.ndim >= 1 and len(value) == frames and frames > 1 and text(value) is None
        if not (is_charge_key(key) or is_spin_key(key))
    }
    meta = {
        "source": path.name,
        **_description(fields),
        **read_units.record,
        **record_of_names(names),
        **record_of_families(named["energies"], named["forces"]),
    }
    dataset = _assemble(path.stem, found, optional, labels, read_units, meta)
    stresses, label = stresses_of_arrays(fields, dataset.cells, read_units.energy, read_units.length, str(path))
    spins = spins_of_arrays(fields, dataset.numbers, dataset.total_charges, str(path))
    return replace(
        dataset,
        unpaired_electrons=dataset.unpaired_electrons if spins is None else spins,
        stresses=stresses,
        labels={key: value for key, value in dataset.labels.items() if label is None or key != label.name},
        meta={**dataset.meta, **record_of_cell_labels(fields, label)},
    )


def _archive(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an archive, none of them unpickled."""
    damaged = f"{path} is no NumPy archive or is damaged"
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError("it holds a single array")
    except (zipfile.BadZipFile, EOFError, OSError, ValueError) as error:
        raise ValueError(f"{damaged} ({error}); download or write it again") from None
    with archive:
        try:
            return {key: _member(archive, key, path) for key in archive.files}
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
            raise ValueError(f"{damaged} ({error}); download or write it again") from None


def _member(archive: Any, key: str, path: Path) -> np.ndarray:
    try:
        return archive[key]
    except ValueError:
        raise ValueError(
            f"{path}: {key!r} holds Python objects, probably arrays of different lengths, and is not read "
            f"because unpickling can run code; store frames of different sizes as extxyz, or padded with 0 "
            f"and their atom counts as N"
        ) from None


def _description(fields: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """What the file says about itself: a JSON ``meta``, and single texts such as ``theory``."""
    result: dict[str, Any] = {}
    for key, value in fields.items():
        content = text(value)
        if content is None or "unit" in key.lower():
            continue
        if content.startswith("{"):
            try:
                result |= json.loads(content)
                continue
            except ValueError:
                pass
        result[{"theory": "level_of_theory"}.get(key, key)] = content
    return result


def _atom_counts(numbers: np.ndarray, stated: np.ndarray | None) -> np.ndarray | None:
    """Atoms in each row of padded elements: as the file says, or up to its zeros; None where all are full."""
    if numbers.ndim != 2:
        return None
    if stated is not None:
        return np.broadcast_to(stated.reshape(-1), len(numbers))
    counts = np.count_nonzero(numbers, axis=1)
    at_the_end = np.arange(numbers.shape[1]) >= counts[:, None]
    padded = counts.min() < numbers.shape[1] and counts.min() > 0 and bool((numbers[at_the_end] == 0).all())
    return counts if padded else None


def _assemble(
    name: str,
    found: Mapping[str, np.ndarray],
    optional: Mapping[str, Any],
    labels: Mapping[str, np.ndarray],
    units: FileUnits,
    meta: Mapping[str, Any],
) -> Dataset:
    """A Dataset from stacked arrays, one row per frame."""
    positions, forces = (np.asarray(found[q]) for q in ("positions", "forces"))
    energies, numbers = np.asarray(found["energies"]), np.asarray(found["numbers"])
    if positions.ndim != 3 or positions.shape[-1] != 3:
        raise ValueError(f"positions of {name!r} must have shape (frames, atoms, 3), got {positions.shape}")
    frames = len(positions)
    if numbers.shape not in (positions.shape[1:2], positions.shape[:2]):
        raise ValueError(
            f"atomic numbers of {name!r} must have shape {positions.shape[1:2]} or {positions.shape[:2]} "
            f"as the positions have, got {numbers.shape}"
        )
    if forces.shape != positions.shape:
        raise ValueError(f"forces of {name!r} must have the positions' shape {positions.shape}, got {forces.shape}")
    if energies.size != frames:
        raise ValueError(f"energies of {name!r} must be one for each of {frames} frames, got shape {energies.shape}")
    cells, pbc, guessed = cells_of_arrays(optional["cells"], optional["pbc"], frames, repr(name))
    molecules = (numbers,) * frames if numbers.ndim == 1 else tuple(numbers)
    placed: Any = positions.astype(np.float64) * units.length
    pulled: Any = forces.astype(np.float64) * units.force
    counts = _atom_counts(numbers, optional["atom_counts"])
    if counts is not None:
        molecules, placed, pulled = (
            tuple(row[:n] for row, n in zip(rows, counts, strict=True)) for rows in (molecules, placed, pulled)
        )
    return Dataset(
        name=name,
        numbers=molecules,
        positions=placed,
        energies=energies.reshape(frames).astype(np.float64) * units.energy,
        forces=pulled,
        cells=None if cells is None else cells * units.length,
        pbc=pbc,
        total_charges=optional["total_charges"],
        labels=labels,
        meta={**meta, "cells": NOT_SAID} if guessed else meta,
    )
