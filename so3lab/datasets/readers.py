"""How the arrays of a file become a Dataset: NumPy archives, HDF5 files, ASE databases, and all ASE reads."""

import json
import lzma
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Float

from so3lab.datasets.ase_readers import read_with_ase
from so3lab.datasets.cell_labels import stresses_of_arrays
from so3lab.datasets.dataset import Dataset
from so3lab.datasets.file_units import FileUnits, file_units, stated_fields, text
from so3lab.datasets.frame_electrons import require_all_charged, spins_of_arrays
from so3lab.datasets.label_names import (
    NAMES,
    QUANTITIES,
    found_under,
    in_order_of_families,
    is_gradient,
    nothing_found,
    record_of_cell_labels,
    record_of_families,
    record_of_names,
)
from so3lab.datasets.numerals import numbers_of
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
        return _read_hdf5(path, path, energy_unit, length_unit, keys)
    if path.suffix == ".xz":
        with tempfile.TemporaryDirectory() as folder:
            plain = Path(folder) / "unpacked.hdf5"
            unpack_xz(path, plain)
            return _read_hdf5(plain, path, energy_unit, length_unit, keys)
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
    candidates = _candidates(arrays, keys, str(path))
    names = {q: names[0] for q, names in candidates.items()}
    found = {q: _read_array(arrays[name], q, name, str(path)) for q, name in names.items()}
    frames = len(found["positions"])
    optional = {q: _pick_optional(arrays, q) for q in NAMES if q not in QUANTITIES}
    optional["total_charges"] = _total_charges(arrays, frames, str(path))
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
        **record_of_families(candidates["energies"], candidates["forces"]),
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


def _candidates(available: Mapping[str, Any], keys: Mapping[str, str], what: str) -> dict[str, list[str]]:
    """Under which names each quantity stands, the one to read first."""
    found = {q: found_under(available.keys(), q, keys) for q in QUANTITIES}
    for quantity, names in found.items():
        if not names:
            raise ValueError(f"{what} has {nothing_found(available.keys(), quantity, keys)}")
    found["energies"], found["forces"] = in_order_of_families(found["energies"], found["forces"])
    return found


def _read_array(values: Any, quantity: str, name: str, what: str) -> np.ndarray:
    """The numbers of a quantity; labels are finite, and may be texts of numbers; forces are minus a gradient."""
    if quantity not in ("energies", "forces"):
        return np.asarray(values)
    found = numbers_of(values, f"{what}, {name!r}", ("frame", "atom"))
    return -found if quantity == "forces" and is_gradient(name) else found


def _pick_optional(arrays: Mapping[str, Any], quantity: str) -> Any:
    return next((arrays[name] for name in found_under(arrays.keys(), quantity, {})), None)


def _total_charges(values: Mapping[str, Any], frames: int, what: str) -> Float[np.ndarray, " frames"]:
    """Charges under any usual name, one for all frames or one for each; zero where there is none.

    Arrays of another shape, such as charges of atoms or quadrupoles called Q, are not total charges.

    Raises:
        ValueError: If two names disagree.
    """
    found = {key: np.asarray(values[key]) for key in values if is_charge_key(key)}
    usable = {
        key: np.broadcast_to(array.astype(float).reshape(-1), frames)
        for key, array in found.items()
        if array.size in (1, frames) and array.dtype.kind in "iuf"
    }
    for key, charges in usable.items():
        first, others = next(iter(usable.items()))
        wrong = np.flatnonzero(charges != others)
        if wrong.size:
            raise ValueError(
                f"{what}: the total charge must be said once, or the same each time, but frame {wrong[0]} has "
                f"{others[wrong[0]]:g} e under {first!r} and {charges[wrong[0]]:g} e under {key!r}; remove one"
            )
    return next(iter(usable.values()), np.zeros(frames))


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
    cells = optional["cells"]
    if cells is not None:
        cells = np.broadcast_to(np.asarray(cells, float), (frames, 3, 3)) * units.length
    pbc = np.broadcast_to(np.asarray(False if optional["pbc"] is None else optional["pbc"], bool), (frames, 3))
    molecules = (numbers,) * frames if numbers.ndim == 1 else tuple(numbers)
    placed: Any = positions.astype(np.float64) * units.length
    pulled: Any = forces.astype(np.float64) * units.force
    if numbers.ndim == 2 and optional["atom_counts"] is not None:
        counts = np.broadcast_to(optional["atom_counts"].reshape(-1), frames)
        molecules, placed, pulled = (
            tuple(row[:n] for row, n in zip(rows, counts, strict=True)) for rows in (molecules, placed, pulled)
        )
    return Dataset(
        name=name,
        numbers=molecules,
        positions=placed,
        energies=energies.reshape(frames).astype(np.float64) * units.energy,
        forces=pulled,
        cells=cells,
        pbc=pbc,
        total_charges=optional["total_charges"],
        labels=labels,
        meta=meta,
    )


def _read_hdf5(
    path: Path, original: Path, energy_unit: str | None, length_unit: str | None, keys: Mapping[str, str]
) -> Dataset:
    """Groups at any depth, each with the frames of one molecule: one frame as in QM7-X, or several."""
    filled = (*QUANTITIES, "total_charges", "charge_said", "unpaired_electrons", "id", "molecule")
    columns: dict[str, list[Any]] = {q: [] for q in filled}
    documented = ""
    try:
        with h5py.File(path, "r") as file:
            stated = stated_fields(dict(file.attrs))
            for group in _groups(file):
                if found_under(group.keys(), "positions", keys):
                    _append_group(columns, group, keys, original)
                    documented = "QM7-X" if "ePBE0+MBD" in group else documented
    except OSError as error:
        raise ValueError(f"{original} is no HDF5 file or is damaged ({error}); download or write it again") from None
    if not columns["id"]:
        raise ValueError(
            f"{original} has no group with positions under "
            f"{' or '.join(map(repr, [keys['positions']] if 'positions' in keys else NAMES['positions']))}; pass "
            f"keys={{'positions': '...'}} with the name that it uses"
        )
    require_all_charged(columns["total_charges"], columns["charge_said"], str(original))
    units = file_units(stated, energy_unit, length_unit, str(original), documented)
    dataset = Dataset(
        name=original.stem,
        numbers=tuple(columns["numbers"]),
        positions=tuple(r * units.length for r in columns["positions"]),
        energies=np.array(columns["energies"]) * units.energy,
        forces=tuple(f * units.force for f in columns["forces"]),
        total_charges=np.array(columns["total_charges"]),
        labels={"id": np.array(columns["id"]), "molecule": np.array(columns["molecule"])},
        meta={"source": original.name, **units.record},
    )
    stated_spins = np.array(columns["unpaired_electrons"])
    if np.isnan(stated_spins).all():
        return dataset
    spins = np.where(np.isnan(stated_spins), dataset.unpaired_electrons, stated_spins)
    return replace(dataset, unpaired_electrons=spins)


def _append_group(columns: dict[str, list[Any]], group: h5py.Group, keys: Mapping[str, str], original: Path) -> None:
    where = f"{original}, group {group.name}"
    names = {q: names[0] for q, names in _candidates(group, keys, where).items()}
    values = {q: _read_array(group[name], q, name, where) for q, name in names.items()}
    positions, forces = (values[q].astype(np.float64) for q in ("positions", "forces"))
    if positions.ndim == 2:
        positions, forces = positions[None], forces[None]
    energies = values["energies"].astype(np.float64).reshape(-1)
    if positions.shape != forces.shape or len(positions) != len(energies):
        raise ValueError(
            f"{where}: shapes disagree: positions {positions.shape}, forces {forces.shape}, "
            f"energies {energies.shape}; correct or remove this group"
        )
    columns["numbers"] += [values["numbers"]] * len(positions)
    columns["positions"] += list(positions)
    columns["forces"] += list(forces)
    columns["energies"] += energies.tolist()
    charges = _total_charges(group, len(positions), where)
    columns["total_charges"] += charges.tolist()
    columns["charge_said"] += [any(map(is_charge_key, group.keys()))] * len(positions)
    molecules = [values["numbers"]] * len(positions)
    spins = spins_of_arrays(group, molecules, charges, where)
    columns["unpaired_electrons"] += [np.nan] * len(positions) if spins is None else spins.tolist()
    columns["id"] += [group.name.rsplit("/", 1)[-1]] * len(positions)
    columns["molecule"] += [group.parent.name if len(positions) == 1 else group.name] * len(positions)


def _groups(group: h5py.Group) -> Iterator[h5py.Group]:
    """The group and all groups inside it."""
    yield group
    for item in group.values():
        if isinstance(item, h5py.Group):
            yield from _groups(item)
