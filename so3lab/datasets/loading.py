"""How a name or a path becomes a checked Dataset, and what can be said about one before training on it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from so3lab.datasets.dataset import Dataset
from so3lab.datasets.download import fetch
from so3lab.datasets.empty_boxes import without_empty_boxes
from so3lab.datasets.label_checks import check_labels
from so3lab.datasets.readers import read
from so3lab.datasets.sanity_checks import check_units_and_geometry
from so3lab.datasets.sources import (
    BUNDLED,
    PublicSet,
    bundled_file,
    canonical,
    download_folder,
    public_sets,
    unknown_name,
)


def load(
    name_or_path: str | Path,
    *,
    energy_unit: str | None = None,
    length_unit: str | None = None,
    keys: Mapping[str, str] | None = None,
    check: bool = True,
) -> Dataset:
    """Load a set by its catalogue name, downloading it if needed, or from a file, in eV and Å.

    Molecules in boxes so empty that images cannot matter become molecules without a cell; ``meta["cells"]`` says so.
    Reads NumPy archives in the styles of MD17, rMD17, MD22 and padded sets (``N`` counts atoms),
    HDF5 files in the style of QM7-X (also ``.xz``), ASE databases, and every file that ASE reads.

    Args:
        name_or_path: A name of `catalogue`, such as ``"ethanol"`` or ``"rmd17-aspirin"``, or a file.
        energy_unit: ``"eV"``, ``"kcal/mol"``, ``"kJ/mol"``, ``"hartree"`` or ``"meV"``. Needed for
            NumPy and HDF5 files that do not state it; files that ASE reads are in eV unless they
            say otherwise. Forces are in this unit per length unit.
        length_unit: ``"angstrom"``, ``"bohr"`` or ``"nm"``; Å unless the file says otherwise.
        keys: What the file calls ``"numbers"``, ``"positions"``, ``"energies"`` or ``"forces"``,
            where it is none of the usual names: ``{"energies": "dft_energy"}``.
        check: Whether to refuse structures, forces and energies that cannot be right in these units, or that contradict
            each other (:func:`so3lab.datasets.check_labels`, which also warns of doubtful ones).

    Raises:
        ValueError: If the contents cannot be understood or cannot be right.
        FileNotFoundError: If there is no such file or name.
    """
    name = canonical(name_or_path) if isinstance(name_or_path, str) else None
    if name is None:
        path = Path(name_or_path).expanduser()
        if not path.exists():
            raise FileNotFoundError(unknown_name(str(name_or_path)))
        dataset = read(path, energy_unit, length_unit, keys)
    elif name in BUNDLED:
        dataset = read(bundled_file(name), energy_unit, length_unit, keys)
    else:
        dataset = _load_public(name, energy_unit, length_unit, keys)
    dataset = without_empty_boxes(dataset)
    if check:
        check_units_and_geometry(dataset)
        check_labels(dataset)
    else:
        dataset.keep_remarks(())
    return dataset


def _load_public(
    name: str, energy_unit: str | None, length_unit: str | None, keys: Mapping[str, str] | None
) -> Dataset:
    entry = public_sets()[name]
    dataset = read(fetch(name), energy_unit or entry.energy_unit, length_unit, keys)
    facts = {
        "source": entry.url,
        "level_of_theory": entry.level_of_theory,
        "licence": entry.licence,
        "citation": entry.citation,
    }
    return replace(dataset, name=name, meta={**dataset.meta, **facts})


def describe(
    name_or_path: str | Path, *, energy_unit: str | None = None, length_unit: str | None = None
) -> dict[str, Any]:
    """What a set is: facts, and its statistics where its file is at hand. Never downloads.

    Returns:
        Plain values that JSON can hold: ``name``, ``where`` (``"bundled"``, ``"cached"``,
        ``"remote"`` or ``"file"``), ``frames``, ``atoms`` (in the largest frame), ``level_of_theory``,
        ``licence``, ``citation``. A set that is here has ``elements``, ``periodic``, ``labels``,
        ``remarks`` (of the check of labels), ``meta`` and ``statistics`` (the rows of `statistics`, each with its
        ``element``); one that is not has ``url``, ``download_MB`` and ``folder``.
    """
    name = canonical(name_or_path) if isinstance(name_or_path, str) else None
    where = "file"
    if name is not None:
        where = "bundled" if name in BUNDLED else "cached"
        if where == "cached" and not (download_folder() / public_sets()[name].file).is_file():
            return _remote_facts(public_sets()[name])
    dataset = load(name_or_path, energy_unit=energy_unit, length_unit=length_unit)
    rows = dataset.statistics().rename_axis("element").reset_index().to_dict("records")
    return {
        "name": dataset.name,
        "where": where,
        "frames": len(dataset),
        "atoms": dataset.max_atoms,
        "elements": list(dataset.elements),
        "periodic": bool(dataset.pbc.any()),
        **{key: dataset.meta.get(key, "") for key in ("level_of_theory", "licence", "citation")},
        "labels": sorted(dataset.labels),
        "remarks": list(dataset.remarks or ()),
        "meta": dict(dataset.meta),
        "statistics": [{key: None if value != value else value for key, value in row.items()} for row in rows],
    }


def _remote_facts(entry: PublicSet) -> dict[str, Any]:
    return {
        "name": entry.name,
        "where": "remote",
        "frames": entry.frames or None,
        "atoms": entry.atoms or None,
        "level_of_theory": entry.level_of_theory,
        "licence": entry.licence,
        "citation": entry.citation,
        "url": entry.url,
        "download_MB": entry.download_bytes / 1e6 or None,
        "folder": str(download_folder()),
    }
