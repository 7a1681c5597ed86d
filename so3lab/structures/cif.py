"""How CIF files are read: whole sites alone, deuterium by its mass; what is half there is refused by name."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ase
import ase.io
import numpy as np

from so3lab.structures.understood import Content
from so3lab.structures.xyz import ISOTOPES

_OF_FORMULA = re.compile(r"([A-Z][a-z]?)(\d+\.?\d*)?")
_COMPLETE = 0.98
"""Of what a formula asks; its numbers are rounded."""

if TYPE_CHECKING:
    from ase.io.cif import CIFBlock


def read_cif(path: Path) -> Content:
    """The crystal of a CIF file, with all atoms that its symmetry makes.

    Raises:
        ValueError: If a site is occupied in part or stands for another one, the file is the macromolecular kind
            (mmCIF), or cannot be read.
    """
    from ase.io.cif import parse_cif  # here, because space groups would slow down every command

    if b"_atom_site.Cartn_x" in path.read_bytes():
        raise ValueError(
            f"{path} is an mmCIF file, as the Protein Data Bank writes them; so3lab reads its PDB form: choose 'PDB "
            "format' there, or gemmi convert in.cif out.pdb"
        )
    try:
        blocks = [block for block in parse_cif(str(path)) if block.has_structure()]
        _check_sites(blocks[-1:])
        atoms = ase.io.read(path, index=-1, format="cif")
    except Exception as error:  # ASE's reader raises whatever it stumbles over
        raise ValueError(f"{path} cannot be read as CIF: {error or type(error).__name__}") from error
    assert isinstance(atoms, ase.Atoms)
    _check_occupancy(blocks[-1], path)
    _check_disorder(blocks[-1], path)
    heavy = (atoms.numbers == 1) & (np.abs(atoms.get_masses() - ISOTOPES["D"][1]) < 0.1)
    if heavy.any():
        masses = atoms.get_masses()
        masses[heavy] = ISOTOPES["D"][1]
        atoms.set_masses(masses)
    notes = [] if len(blocks) == 1 else [f"the last of {len(blocks)} crystals"]
    if not any(key.startswith(("_symmetry", "_space_group")) for key in blocks[-1]):
        notes.append("no symmetry is given: the cell holds the atoms of the file alone")
    notes += _about_formula(blocks[-1], atoms)
    group = atoms.info.get("spacegroup")
    atoms.info = {
        key: value for key, value in atoms.info.items() if key not in ("spacegroup", "unit_cell", "occupancy")
    }
    return Content(atoms, f"CIF (space group {group.symbol})" if group is not None else "CIF", notes)


def _about_formula(block: "CIFBlock", atoms: ase.Atoms) -> list[str]:
    """That the file's own formula has more of an element than its sites make, such as hydrogen."""
    text = str(block.get("_chemical_formula_sum") or "")
    formula: dict[str, float] = {}
    for symbol, count in _OF_FORMULA.findall(text):
        name = "H" if symbol == "D" else symbol
        formula[name] = formula.get(name, 0.0) + float(count or 1)
    there = atoms.symbols.formula.count()
    ratios = {symbol: there.get(symbol, 0) / count for symbol, count in formula.items() if count}
    if not ratios or min(ratios.values()) > _COMPLETE * max(ratios.values()):
        return []
    fewest = min(ratios, key=ratios.__getitem__)
    return [
        f"the formula of the file is {text.strip()}, and its sites make {atoms.get_chemical_formula()}: {fewest} is "
        "missing; what is computed is another substance"
    ]


def _check_sites(blocks: Sequence["CIFBlock"]) -> None:
    """Refuse a file without sites, and sites without a place."""
    if not blocks:
        raise ValueError("no block of it has a cell and sites of atoms")
    columns = [_column(blocks[0], f"_atom_site_fract_{axis}") for axis in "xyz"]
    for label, *place in zip(_labels(blocks[0]), *columns, strict=False):
        if any(isinstance(number, str) for number in place):
            raise ValueError(f"the site {label} has no place ({' '.join(map(str, place))}); complete or remove it")


def _check_occupancy(block: "CIFBlock", path: Path) -> None:
    partial = [
        f"{label} {value:g}"
        for label, value in zip(_labels(block), _column(block, "_atom_site_occupancy"), strict=False)
        if isinstance(value, int | float) and value < 0.999
    ]
    if partial:
        shown = ", ".join(partial[:6]) + (f" and {len(partial) - 6} more" if len(partial) > 6 else "")
        raise ValueError(
            f"{path}: every site must be occupied by a whole atom, but some are in part: {shown}; decide which atoms "
            "are there and write occupancies of 1"
        )


def _check_disorder(block: "CIFBlock", path: Path) -> None:
    """Refuse sites that stand for each other: two groups of one assembly, or one that symmetry repeats (negative)."""
    groups = _column(block, "_atom_site_disorder_group")
    assemblies = _column(block, "_atom_site_disorder_assembly") or [None] * len(groups)
    sites: dict[str, dict[int, list[str]]] = {}
    for label, group, assembly in zip(_labels(block), groups, assemblies, strict=False):
        if isinstance(group, int | float) and group:
            sites.setdefault(str(assembly), {}).setdefault(int(group), []).append(str(label))
    for found in sites.values():
        if len(found) > 1 or min(found) < 0:
            shown = " or ".join(" ".join(labels[:4]) + (" ..." if len(labels) > 4 else "") for labels in found.values())
            way = "keep one group, and remove the other sites"
            if min(found) < 0:
                way = "they stand beside their own images: write one arrangement without symmetry (P 1)"
            raise ValueError(
                f"{path}: sites must not stand for each other, but those of _atom_site_disorder_group "
                f"{', '.join(map(str, found))} do: {shown}; {way}"
            )


def _labels(block: "CIFBlock") -> list[Any]:
    return _column(block, "_atom_site_label") or _column(block, "_atom_site_type_symbol")


def _column(block: "CIFBlock", name: str) -> list[Any]:
    """Entries of a loop; one of a block with a single site."""
    values = block.get(name)
    return values if isinstance(values, list) else [] if values is None else [values]
