"""How a trajectory file is laid out: H5MD names, units and chunks, and the two restart slots.

The file is H5MD 1.1 (de Buyl, Colberg, Höfling, Comput. Phys. Commun. 185, 1546 (2014),
https://nongnu.org/h5md). What H5MD does not know lies in ``parameters/so3lab``: the number of
frames that are completely written, the settings as JSON, and the restart state, twice.
"""

import hashlib
import json
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from ase import Atoms
from jaxtyping import Float, Integer

from so3lab import units

PRIVATE = "parameters/so3lab"
FORMAT = 1
# Restricting the format to HDF5 1.10 keeps the files readable for older tools; SWMR needs 1.10.
LIBVER = ("v110", "v110")
_MAX_CHUNK_BYTES = 1 << 20
_SCALAR_CHUNK = 1024
_COMPRESSION = {"compression": "gzip", "compression_opts": 1, "shuffle": True}


class Column(NamedTuple):
    """One quantity per frame: ``stored = value in so3lab's units * factor``."""

    path: str
    unit: str | None
    factor: float = 1.0


# The units are those that MDAnalysis's H5MD reader knows: it refuses eV/Å.
PER_ATOM = {
    "positions": Column("particles/trajectory/position", "Angstrom"),
    "velocities": Column("particles/trajectory/velocity", "Angstrom fs-1", units.fs),
    "forces": Column("particles/trajectory/force", "kJ mol-1 Angstrom-1", 1.0 / units.kJ_per_mol),
}
CELL = Column("particles/trajectory/box/edges", "Angstrom")
STEP = "particles/trajectory/position/step"
TIME = "particles/trajectory/position/time"
_OBSERVABLE_UNITS = {
    "potential_energy": "eV",
    "kinetic_energy": "eV",
    "conserved_energy": "eV",
    "bias_energy": "eV",
    "target_temperature": "K",
    "temperature": "K",
    "pressure": "eV Angstrom-3",
    "volume": "Angstrom3",
}


@dataclass(frozen=True)
class Layout:
    """Everything that is fixed when a trajectory file is made."""

    atomic_numbers: Integer[np.ndarray, " atoms"]
    """Elements, shape ``(atoms,)``."""
    masses: Float[np.ndarray, " atoms"]
    """Masses in amu, shape ``(atoms,)``."""
    cell: Float[np.ndarray, "3 3"]
    """First cell in Å, rows are lattice vectors; all zero for a free molecule."""
    pbc: tuple[bool, bool, bool]
    """Which cell vectors repeat."""
    observables: tuple[str, ...]
    """Names of the numbers kept per frame."""
    state_template: dict[str, tuple[tuple[int, ...], np.dtype]]
    """Shape and dtype of each array of the restart state."""
    meta: dict[str, Any]
    """Settings and provenance, anything JSON can hold."""
    precision: str = "float32"
    """``"float32"`` or ``"float64"``, of positions, velocities and forces."""
    chunk_frames: int = 64
    """Frames per HDF5 chunk; large frames get fewer, so that a chunk stays below 1 MiB."""
    compress: bool = False
    """Whether positions, velocities, forces and cells are compressed (gzip, which every HDF5 has)."""

    @property
    def has_cell(self) -> bool:
        return bool(np.any(self.cell))

    def columns(self) -> dict[str, Column]:
        """Every quantity that grows with the frames, except step and time."""
        observables = {name: Column(f"observables/{name}", _OBSERVABLE_UNITS.get(name)) for name in self.observables}
        return PER_ATOM | ({"cell": CELL} if self.has_cell else {}) | observables


def frame_shape(name: str, atoms: int) -> tuple[int, ...]:
    """Shape of one frame of a quantity."""
    return (atoms, 3) if name in PER_ATOM else (3, 3) if name == "cell" else ()


def make_layout(
    structure: Atoms | tuple,
    observables: tuple[str, ...],
    state_template: dict[str, Any],
    meta: dict[str, Any],
    precision: str,
    chunk_frames: int,
) -> Layout:
    """Check what a user gave and turn it into a :class:`Layout`.

    Raises:
        ValueError: For an unknown precision, a chunk without frames, or no atoms.
        TypeError: If ``meta`` is not JSON or a state array has a type that HDF5 cannot hold.
    """
    if precision not in ("float32", "float64"):
        raise ValueError(f"precision must be 'float32' or 'float64', got {precision!r}")
    if chunk_frames < 1:
        raise ValueError(f"chunk_frames must be at least 1, got {chunk_frames}")
    if not isinstance(structure, Atoms):
        numbers, masses, cell, pbc = structure
        structure = Atoms(numbers=numbers, masses=masses, cell=cell, pbc=pbc)
    if len(structure) == 0:
        raise ValueError("structure must have at least one atom, got none")
    try:
        json.dumps(meta)
    except (TypeError, ValueError) as error:
        raise TypeError(f"meta must contain only what JSON can hold: {error}") from None
    template = {}
    for name, value in state_template.items():
        array = np.asarray(value)
        if array.dtype.kind not in "biufc":
            raise TypeError(
                f"state_template[{name!r}] must be a plain numeric array, got dtype {array.dtype}; "
                "for a JAX random key pass jax.random.key_data(key)"
            )
        template[name] = (array.shape, array.dtype)
    periodic_x, periodic_y, periodic_z = (bool(periodic) for periodic in structure.pbc)
    return Layout(
        atomic_numbers=np.asarray(structure.numbers, dtype=np.int64),
        masses=np.asarray(structure.get_masses(), dtype=np.float64),
        cell=np.array(structure.cell, dtype=np.float64),
        pbc=(periodic_x, periodic_y, periodic_z),
        observables=tuple(observables),
        state_template=template,
        meta=meta,
        precision=precision,
        chunk_frames=chunk_frames,
    )


def create(path: Path, layout: Layout) -> None:
    """Write an empty, cleanly closed trajectory file (the caller moves it to its final name)."""
    with h5py.File(path, "w", libver=LIBVER) as file:
        _describe(file, layout)
        atoms = len(layout.atomic_numbers)
        step = _growing(file, STEP, (), np.int64, layout, fill=-1.0)
        time = _growing(file, TIME, (), np.float64, layout)
        time.attrs["unit"] = "fs"
        for name, column in layout.columns().items():
            shape = frame_shape(name, atoms)
            dtype = layout.precision if name in PER_ATOM else "float64"
            value = _growing(file, f"{column.path}/value", shape, dtype, layout)
            if column.unit is not None:
                value.attrs["unit"] = column.unit
            group = file[column.path]
            for key, shared in (("step", step), ("time", time)):
                if key not in group:
                    group[key] = shared  # hard links, as H5MD allows: one step and time for all
        file.create_dataset(f"{PRIVATE}/frames", data=np.int64(0))
        for slot in ("0", "1"):
            for name, (state_shape, state_dtype) in layout.state_template.items():
                empty = np.zeros(state_shape, state_dtype)
                file.create_dataset(f"{PRIVATE}/state/{slot}/arrays/{name}", data=empty)
            file.create_dataset(f"{PRIVATE}/state/{slot}/record", data=np.zeros(3, np.uint64))


def read_layout(file: h5py.File) -> Layout:
    """The :class:`Layout` of an open trajectory file.

    Raises:
        KeyError: If the file was not written by so3lab.
    """
    private, particles = file[PRIVATE], file["particles/trajectory"]
    arrays = private["state/0"].get("arrays", {})
    return Layout(
        atomic_numbers=particles["species"][()].astype(np.int64),
        masses=particles["mass"][()].astype(np.float64),
        cell=private["cell"][()],
        pbc=tuple(kind == b"periodic" for kind in particles["box"].attrs["boundary"]),  # type: ignore[arg-type]
        observables=tuple(json.loads(private["observables"][()])),
        state_template={name: (value.shape, value.dtype) for name, value in arrays.items()},
        meta=json.loads(private["meta"][()]),
        precision=particles["position/value"].dtype.name,
        chunk_frames=int(private.attrs["chunk_frames"]),
        compress=particles["position/value"].compression is not None,
    )


def growing_datasets(file: h5py.File, layout: Layout) -> dict[str, h5py.Dataset]:
    """The datasets that grow with the frames, by the names that ``append`` knows them by."""
    columns = {name: f"{column.path}/value" for name, column in layout.columns().items()}
    return {name: file[path] for name, path in {"step": STEP, "time_fs": TIME, **columns}.items()}


def write_rows(dataset: h5py.Dataset, start: int, rows: np.ndarray) -> None:
    """Write rows of a growing dataset from a place on, which may be its end.

    Through h5py's lower layer: a single frame takes it a third of the time of ``dataset[start:stop] = rows``.
    """
    known, rows = dataset.id, np.ascontiguousarray(rows)
    if not len(rows):
        return
    if known.shape[0] < start + len(rows):
        known.set_extent((start + len(rows), *rows.shape[1:]))
    there = known.get_space()
    there.select_hyperslab((start,) + (0,) * (rows.ndim - 1), rows.shape)
    known.write(h5py.h5s.create_simple(rows.shape), there, rows)


class StateSlot(NamedTuple):
    """Where one of the two restart states lies in an open file."""

    arrays: dict[str, h5py.Dataset]
    record: h5py.Dataset


def state_slots(file: h5py.File) -> tuple[StateSlot, StateSlot]:
    """The places of the two restart states."""
    first, second = (
        StateSlot(dict(slot.get("arrays", {})), slot["record"])
        for slot in (file[f"{PRIVATE}/state/0"], file[f"{PRIVATE}/state/1"])
    )
    return first, second


def write_state(slots: tuple[StateSlot, StateSlot], counter: int, frames: int, state: dict[str, np.ndarray]) -> None:
    """Put the restart state into the slot whose turn it is; the other slot stays valid meanwhile."""
    slot = slots[counter % 2]
    for name, value in state.items():
        _write_all(slot.arrays[name], value)
    _write_all(slot.record, np.array([counter, frames, _checksum(counter, frames, state)], np.uint64))


def _write_all(dataset: h5py.Dataset, value: np.ndarray) -> None:
    dataset.id.write(h5py.h5s.ALL, h5py.h5s.ALL, np.ascontiguousarray(value))


def read_state(file: h5py.File, behind: int | None = None) -> tuple[int, int, dict[str, np.ndarray]] | None:
    """Newest restart state whose checksum holds: its counter, how many frames precede it, its arrays.

    Args:
        file: An open trajectory file.
        behind: Number of frames that must precede the state; default: any.
    """
    found = []
    for slot in file[f"{PRIVATE}/state"].values():
        try:
            counter, frames, checksum = (int(number) for number in slot["record"][()])
            arrays = slot.get("arrays", {})
            state = {name: np.asarray(value[()]) for name, value in arrays.items()}
        except OSError:  # a damaged slot is no slot
            continue
        if counter > 0 and behind in (None, frames) and checksum == _checksum(counter, frames, state):
            found.append((counter, frames, state))
    return max(found, key=lambda entry: entry[0], default=None)


def _checksum(counter: int, frames: int, state: dict[str, np.ndarray]) -> int:
    digest = hashlib.blake2b(np.array([counter, frames], np.int64).tobytes(), digest_size=8)
    for name in sorted(state):
        digest.update(np.ascontiguousarray(state[name]).tobytes())
    return int.from_bytes(digest.digest(), "little")


def _describe(file: h5py.File, layout: Layout) -> None:
    """Write what never changes: who made the file, atoms, box, settings."""
    h5md = file.create_group("h5md")
    h5md.attrs["version"] = np.array([1, 1])
    h5md.create_group("author").attrs["name"] = "so3lab"
    creator = h5md.create_group("creator")
    creator.attrs["name"] = "so3lab"
    try:
        creator.attrs["version"] = metadata.version("so3lab")
    except metadata.PackageNotFoundError:
        creator.attrs["version"] = "unknown"
    particles = file.create_group("particles/trajectory")
    box = particles.create_group("box")
    box.attrs["dimension"] = 3
    box.attrs["boundary"] = np.array([b"periodic" if p else b"none" for p in layout.pbc])
    particles["species"] = layout.atomic_numbers
    particles["mass"] = layout.masses
    particles["mass"].attrs["unit"] = "u"
    private = file.create_group(PRIVATE)
    private.attrs["format"] = FORMAT
    private.attrs["chunk_frames"] = layout.chunk_frames
    private["cell"] = layout.cell
    private["observables"] = np.bytes_(json.dumps(layout.observables))
    private["meta"] = np.bytes_(json.dumps(layout.meta))


def _growing(
    file: h5py.File, path: str, shape: tuple[int, ...], dtype: Any, layout: Layout, fill: float = np.nan
) -> h5py.Dataset:
    frame_bytes = np.dtype(dtype).itemsize * int(np.prod(shape))
    frames = layout.chunk_frames if shape else max(layout.chunk_frames, _SCALAR_CHUNK)
    frames = max(1, min(frames, _MAX_CHUNK_BYTES // frame_bytes))
    return file.create_dataset(
        path,
        (0, *shape),
        dtype,
        maxshape=(None, *shape),
        chunks=(frames, *shape),
        fillvalue=fill,
        **(_COMPRESSION if layout.compress and shape else {}),
    )
