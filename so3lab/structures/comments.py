"""What do comment lines of XYZ files say in other words than those of extended XYZ: cells, masses, charges?

Programs write cells as bare numbers, as ``lattice=`` or as i-PI's ``CELL(abcABC)``, and people write ``charge -1``.
"""

import re
from collections.abc import Sequence
from typing import Any

import ase
import numpy as np
from ase.geometry import cellpar_to_cell

from so3lab import units
from so3lab.structures.comment_electrons import take_electrons

_LENGTHS = {"angstrom": 1.0, "atomic_unit": units.bohr, "nanometer": 10.0, "bohr": units.bohr}
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][+-]?\d+)?"
_BARE = re.compile(rf"\s*{_NUMBER}(?:[\s,]+{_NUMBER}){{2,8}}\s*")
_IPI_CELL = re.compile(rf"CELL\(?(?P<kind>abcABC|H|GENH)\)?:\s*(?P<numbers>(?:{_NUMBER}\s+)+)")
_IPI_UNIT = re.compile(r"(positions|cell)\{(\w+)\}")
UNIT_WORDS = re.compile(r"\b(bohrs?|atomic[ _]units?|a\.u\.|nm|nanomet\w+|pm|picomet\w+)(?!\w)", re.IGNORECASE)
"""Words of other units of length than Å."""
NAMES_OF_UNITS = re.compile(r"(?:(?:length|position|coordinate|distance|r)s?_)?units?", re.IGNORECASE)
"""Names of entries that say in which unit lengths are."""
_CELLS = frozenset(("lattice", "cell", "unit_cell", "box"))
_MASSES = ("mass", "atomic_masses", "atom_masses")


def take_other_names(atoms: ase.Atoms, comment: str) -> list[str]:
    """Take into atoms what their comment line or columns say under other names than ASE knows; what was taken.

    Args:
        atoms: As ASE read them; changed in place.
        comment: The second line of their frame.

    Returns:
        A sentence for each thing that was taken, or that looks like something and was left out.
    """
    return [
        *take_cell(atoms, comment), *_take_masses(atoms), *take_electrons(atoms, comment), *_other_unit(atoms, comment),
    ]  # fmt: skip


def take_cell(atoms: ase.Atoms, comment: str = "") -> list[str]:
    """The same of cells alone, in ``atoms.info`` or in the comment."""
    if match := _IPI_CELL.search(comment):
        return _take_ipi_cell(atoms, match, dict(_IPI_UNIT.findall(comment)))
    named = [key for key in atoms.info if str(key).lower() in _CELLS]
    if not (named or comment) or atoms.pbc.any() or np.any(atoms.cell.array):
        return []
    for key in named:
        numbers = _numbers(atoms.info[key])
        if len(numbers) in (3, 9) and np.any(numbers):
            del atoms.info[key]
            atoms.cell, atoms.pbc = np.reshape(numbers, (3, 3)) if len(numbers) == 9 else numbers, True
            return [f"{key!r} is read as the cell; Lattice is its usual name"]
        if len(numbers) == 6 and np.any(numbers):
            del atoms.info[key]
            atoms.cell, atoms.pbc = cellpar_to_cell(numbers), True
            return [f"{key!r} is read as lengths and angles of the cell; Lattice is its usual name"]
    if _BARE.fullmatch(comment) and len(comment.replace(",", " ").split()) in (3, 6, 9):
        return [
            f"the second line {comment.strip()!r} is left out; if it is a cell in Å, write "
            'Lattice="ax ay az bx by bz cx cy cz"'
        ]
    return []


def _take_ipi_cell(atoms: ase.Atoms, match: re.Match[str], named: dict[str, str]) -> list[str]:
    """The cell of i-PI's comments; positions and cell are in bohr where nothing else is said."""
    numbers = _numbers(match["numbers"].split())
    length, of_cell = (_LENGTHS.get(named.get(what, "atomic_unit"), 0.0) for what in ("positions", "cell"))
    if not (length and of_cell):
        raise ValueError(f"positions and cell must be in {', '.join(_LENGTHS)}, got {named}")
    if match["kind"] == "abcABC" and len(numbers) >= 6:
        cell = cellpar_to_cell([*(of_cell * np.array(numbers[:3])), *numbers[3:6]])
    elif len(numbers) >= 9:
        cell = of_cell * np.reshape(numbers[:9], (3, 3)).T  # i-PI's columns are vectors
    else:
        raise ValueError(f"the cell of i-PI must be six or nine numbers, got {match['numbers'].strip()!r}")
    atoms.info = {}
    atoms.positions *= length
    atoms.cell, atoms.pbc = cell, True
    units_of = ", ".join(f"{what} in {named.get(what, 'atomic_unit')}" for what in ("positions", "cell"))
    return [f"the second line is read as i-PI writes it: {units_of}"]


def _take_masses(atoms: ase.Atoms) -> list[str]:
    for name in _MASSES:
        masses = atoms.arrays.get(name)
        if masses is not None and masses.shape == (len(atoms),) and masses.dtype.kind in "if" and (masses > 0).all():
            atoms.set_masses(masses)
            return [f"the column {name} is read as masses in amu"]
    return []


def _other_unit(atoms: ase.Atoms, comment: str) -> list[str]:
    """That coordinates are taken for Å though the comment has the word of another unit of length."""
    word = UNIT_WORDS.search(comment)
    if word is None or _IPI_CELL.search(comment):
        return []
    if any(isinstance(atoms.info[key], str) and NAMES_OF_UNITS.fullmatch(str(key)) for key in atoms.info):
        return []  # whoever makes a structure or a set of it asks that
    return [f"coordinates are read in Å, though the second line has the word {word[0]!r}; convert them if they are not"]


def _numbers(values: Any) -> Sequence[float]:
    """Numbers in an entry; none where it holds something else."""
    words = values.replace(",", " ").split() if isinstance(values, str) else np.ravel(values).tolist()
    try:
        return [float(word) for word in words]
    except (TypeError, ValueError):
        return []
