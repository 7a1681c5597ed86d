"""How structures that ASE holds or reads become a Dataset: atoms, files of any ASE format, databases."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import ase.db
import numpy as np
from ase import Atoms

from so3lab.datasets.cell_labels import stresses_of_frames
from so3lab.datasets.dataset import Dataset
from so3lab.datasets.file_units import FileUnits, file_units, stated_fields
from so3lab.datasets.frame_electrons import require_all_charged, spins_of_atoms
from so3lab.datasets.label_names import (
    found_under,
    in_order_of_families,
    is_gradient,
    is_name_of,
    nothing_found,
    record_of_cell_labels,
    record_of_families,
    record_of_names,
)
from so3lab.datasets.numerals import number, numbers_of
from so3lab.structures.electrons import is_charge_key, is_spin_key, stated_charge, total_charge
from so3lab.structures.packed import is_packed, unpacked
from so3lab.structures.reading import read_contents, read_quietly, values_beside
from so3lab.structures.xyz import frames_of_xyz

_LABELLED = frozenset((".npz", ".h5", ".hdf5", ".xz", ".db"))
"""Endings of data sets."""
_COORDINATES = frozenset((".pdb", ".ent", ".sdf", ".sd", ".mol", ".mol2", ".cif", ".gro", ".com", ".gjf"))
"""Endings of formats that have no place for energies and forces."""
_NOTES = 3
_MOST_IN_A_LINE = 9
"""Numbers of a cell or a tensor; more of them may be forces."""
_MOTION = frozenset(("positions", "momenta", "velocities", "velocity", "vel", "velo", "initial_magmoms"))
"""Tables of atoms that are no labels."""


def from_atoms(
    frames: Iterable[Atoms],
    name: str,
    *,
    keys: Mapping[str, str] | None = None,
    units: FileUnits | None = None,
    meta: Mapping[str, Any] | None = None,
    where: str | None = None,
) -> Dataset:
    """Collect ASE atoms with energies and forces into a Dataset.

    Energies and forces come from each frame's calculator results, or from the entries of ``atoms.info`` and
    ``atoms.arrays`` that ``keys`` names, else from those with the usual names (``REF_energy``, ``dft_forces``, ...),
    in eV and eV/Å unless ``units`` says otherwise.

    Args:
        frames: The structures.
        name: What to call the set.
        keys: Names of ``"energies"`` and ``"forces"`` where they are none of the usual ones.
        units: Factors to eV and Å.
        meta: Where the set comes from.
        where: What sentences call it, such as a file; ``name`` when left out.

    Raises:
        ValueError: If a frame has no energy or no forces; the sentence lists what it has. If a label is no finite
            number.
    """
    frames, where = list(frames), where or name
    if not frames:
        raise ValueError(f"{where} holds no frames")
    keys = dict(keys or {})
    stores = [_Labels.of(atoms) for atoms in frames]
    candidates = _candidates(stores, keys)
    names = {q: _name_in_all(stores, q, candidates[q], keys, where) for q in ("energies", "forces")}
    called = names["energies"], names["forces"]
    sign = -1.0 if is_gradient(called[1]) else 1.0
    energies = [
        number(labels.energies[called[0]], f"frame {i} of {where}, {called[0]!r}") for i, labels in enumerate(stores)
    ]
    forces = [
        numbers_of(labels.forces[called[1]], f"frame {i} of {where}, {called[1]!r}", ("atom",))
        if called[1] in labels.forces
        else np.zeros((1, 3))
        for i, labels in enumerate(stores)
    ]
    energy, length, force = (units.energy, units.length, units.force) if units else (1.0, 1.0, 1.0)
    cells = np.array([np.asarray(atoms.cell) for atoms in frames])
    charges = [_charge(atoms, i, where) for i, atoms in enumerate(frames)]
    sources = [stated_charge(atoms).source for atoms in frames]
    require_all_charged(charges, [bool(source) for source in sources], where)
    charge_source = sources[0]
    record = record_of_names(names) | ({"total_charges_from": charge_source} if charge_source else {})
    record |= record_of_families(*([names[q], *(n for n in candidates[q] if n != names[q])] for q in names))
    stresses, label = stresses_of_frames(frames, [labels.energies for labels in stores], energy, length, where)
    record |= record_of_cell_labels(stores[0].energies, label)
    return Dataset(
        name=name,
        numbers=tuple(atoms.numbers for atoms in frames),
        positions=tuple(atoms.positions * length for atoms in frames),
        energies=np.array(energies) * energy,
        forces=tuple(sign * f * force for f in forces),
        cells=cells * length if cells.any() else None,
        pbc=np.array([atoms.pbc for atoms in frames]),
        total_charges=np.array(charges),
        unpaired_electrons=spins_of_atoms(frames, charges, where),
        stresses=stresses,
        labels=_labels(frames, set(names.values())),
        meta={**(meta or {}), **record},
    )


class _Labels(NamedTuple):
    """Entries of one frame among which its labels are."""

    energies: Mapping[str, Any]
    forces: Mapping[str, Any]

    alone: bool
    """Whether it is one atom, on which no force acts, so that files often leave it out."""

    @classmethod
    def of(cls, atoms: Atoms) -> "_Labels":
        """Those of ``atoms.info``, ``atoms.arrays`` and the results of its calculator, which go before."""
        results = atoms.calc.results if atoms.calc is not None else {}
        alone = len(atoms) == 1
        return cls({**atoms.info, **results}, {**atoms.info, **atoms.arrays, **results}, alone)


def _candidates(stores: list[_Labels], keys: Mapping[str, str]) -> dict[str, list[str]]:
    """Names of both labels in the first frame that has to have both, the likeliest first."""
    first = next((labels for labels in stores if not labels.alone), stores[0])
    energies = found_under(first.energies.keys(), "energies", keys)
    forces = found_under(first.forces.keys(), "forces", keys)
    return dict(zip(("energies", "forces"), in_order_of_families(energies, forces), strict=True))


def _name_in_all(
    stores: list[_Labels], quantity: str, candidates: list[str], keys: Mapping[str, str], where: str
) -> str:
    """The first name of a quantity that every frame has."""
    asked = [not (quantity == "forces" and labels.alone) for labels in stores]
    if not any(asked):
        asked[0] = True
    entries = [getattr(labels, quantity) for labels in stores]
    for candidate in candidates:
        if all(candidate in entry for entry, needed in zip(entries, asked, strict=True) if needed):
            return candidate
    lacking = [i for i, entry in enumerate(entries) if asked[i] and not (candidates and candidates[0] in entry)]
    frame = lacking[0]
    if quantity == "forces" and not (candidates or keys or _tables(entries[frame])):
        raise ValueError(
            f"frame {frame} of {where} has no forces, nor any other table of its atoms, and so3lab needs energies "
            "and forces: compute them (in Gaussian with Force, in ORCA with EnGrad), or give the file that holds them"
        )
    words = {key for key, value in entries[frame].items() if value is True}  # of a comment, without a value
    has = set(entries[frame]) - words - {"numbers", "positions"}
    raise ValueError(f"frame {frame} of {where} has {nothing_found(has, quantity, keys)}")


def _charge(atoms: Atoms, frame: int, where: str) -> float:
    """The total charge of one frame, or a sentence that names the frame."""
    try:
        return total_charge(atoms)
    except ValueError as error:
        raise ValueError(f"frame {frame} of {where}: {error}") from None


def _labels(frames: list[Atoms], not_labels: set[str]) -> dict[str, np.ndarray]:
    """Single values of ``info`` that every frame carries, such as the trajectory it comes from."""
    shared = set.intersection(*(set(atoms.info) for atoms in frames)) - not_labels
    labels = {}
    for key in sorted(key for key in shared if "unit" not in key and not is_charge_key(key)):
        if is_name_of(key, "energies") or is_spin_key(key):
            continue
        column = [atoms.info[key] for atoms in frames]
        if all(isinstance(value, str | int | float | np.integer | np.floating) for value in column):
            labels[key] = np.array(column)
    return labels


def labels_in(path: Path) -> frozenset[str]:
    """Which of ``"energies"`` and ``"forces"`` a file may hold, both of which are needed to learn from it.

    Args:
        path: The file; of formats that this module does not read nothing is known, and both are expected.
    """
    both = frozenset(("energies", "forces"))
    if is_packed(path):
        with unpacked(path) as inside:
            return labels_in(inside)
    if path.suffix.lower() in _LABELLED:
        return both
    if path.suffix.lower() in _COORDINATES:
        return frozenset()
    try:
        first = _first_frame(path)
    except Exception:  # whoever reads it as a structure says what is wrong
        return frozenset()
    results = {name for name, value in first.calc.results.items() if value is not True} if first.calc else set()
    if "forces" in results or _tables(first.arrays):
        return both
    if "energy" in results or any(map(_is_energy, first.info.items())):
        unlike_forces = all(np.size(value) <= _MOST_IN_A_LINE for value in first.info.values())
        return both - {"forces"} if len(first) > 1 and unlike_forces else both
    return frozenset()


def _tables(entries: Mapping[str, Any]) -> list[str]:
    """Names of what may be forces: a row for each atom."""
    return [name for name, values in entries.items() if np.ndim(values) == 2 and name not in _MOTION]


def _is_energy(entry: tuple[Any, Any]) -> bool:
    """Whether an entry of ``info`` is an energy, and no mere word of a comment."""
    return "energy" in str(entry[0]).lower() and entry[1] is not True


def _first_frame(path: Path) -> Atoms:
    if path.suffix.lower() in (".xyz", ".extxyz"):
        with path.open("rb") as file:
            count = file.readline(100).strip()
        if count.isdigit() and int(count) > path.stat().st_size:  # ASE would look for them line by line
            raise ValueError(f"{path} cannot hold {int(count)} atoms")
    try:
        first = read_quietly(path, 0)
    except Exception:
        if path.suffix.lower() not in (".xyz", ".extxyz"):
            raise
        first = frames_of_xyz(path).content(0).atoms
    assert isinstance(first, Atoms)
    return first


def read_with_ase(path: Path, energy_unit: str | None, length_unit: str | None, keys: Mapping[str, str]) -> Dataset:
    """Read an ASE database or any file that ASE reads; eV and Å unless file or caller says otherwise."""
    if foreign := sorted(set(keys) & {"numbers", "positions"}):
        raise ValueError(f"keys may name 'energies' and 'forces' of files that ASE reads, got {foreign}")
    try:
        frames, stated, notes = _read_database(path) if path.suffix == ".db" else _read_frames(path)
    except ValueError as error:
        named = "" if str(path) in str(error) else f"{path}: "
        raise ValueError(f"{named}{error}") from error
    except Exception as error:  # ASE's readers raise whatever their format provokes
        raise ValueError(
            f"{path} could not be read ({type(error).__name__}: {error}); "
            f"so3lab reads .npz, .hdf5, .xz, .db and the files that ASE reads, best as .extxyz"
        ) from error
    read_units = file_units(stated, energy_unit, length_unit, str(path), documented="ASE's convention")
    meta = {"source": path.name, **read_units.record, **({"notes": notes} if notes else {})}
    return from_atoms(frames, path.stem, keys=keys, units=read_units, meta=meta, where=str(path))


def _read_frames(path: Path) -> tuple[list[Atoms], dict[str, str], str]:
    """Frames of any file that ASE reads, the units that their comment lines state, and what was decided on the way."""
    contents = read_contents(path)
    frames = [content.atoms for content in contents]
    first: dict[str, int] = {}
    for frame, content in enumerate(contents):
        for note in content.notes:
            first.setdefault(note, frame)
    said = [f"frame {frame}: {note}" for note, frame in first.items()]
    more = [f"and {len(said) - _NOTES} more of the kind"] if len(said) > _NOTES else []
    return frames, stated_fields(frames[0].info) if frames else {}, "; ".join(said[:_NOTES] + more)


def _read_database(path: Path) -> tuple[list[Atoms], dict[str, str], str]:
    """Frames of an ASE database with what its rows store beside them, and the units it states."""
    frames = []
    with ase.db.connect(path) as database:
        stated = {k: str(v) for k, v in database.metadata.get("_property_unit_dict", {}).items()}
        stated |= stated_fields({k: v for k, v in database.metadata.items() if isinstance(v, str)})
        for row in database.select():
            atoms = row.toatoms()
            atoms.info.update(values_beside(row))
            for key, value in (row.data or {}).items():
                value = np.asarray(value)
                per_atom = value.ndim > 1 and len(value) == len(atoms)
                (atoms.arrays if per_atom else atoms.info)[key] = value if value.ndim else value.item()
            frames.append(atoms)
    return frames, stated, ""
