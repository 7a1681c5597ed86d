"""How inputs of Gaussian are read: charge, multiplicity and Cartesian coordinates, isotopes, fragments, held atoms.

Sections are those of the Gaussian 16 manual, "Molecule Specifications" and "Link 0". ASE's reader wants a decimal point
in every coordinate and no more on a line than an element and three of them, so this reads the lines itself.
"""

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import ase
import ase.io
import numpy as np
from ase.constraints import FixAtoms
from ase.data import atomic_numbers, chemical_symbols

from so3lab import units
from so3lab.structures.understood import Content, Several
from so3lab.structures.xyz import ISOTOPES

_CHARGES = re.compile(r"\s*[+-]?\d+[\s,]+\d+(?:[\s,]+[+-]?\d+[\s,]+\d+)*\s*")
_ATOM = re.compile(r"([A-Za-z]{1,2}|\d+)(-[^(]*)?(?:\((.*)\))?")
_ISOTOPE = re.compile(r"\biso(?:tope)?\s*=\s*(\d+\.?\d*)", re.IGNORECASE)
_VARIABLE = re.compile(r"\s*[A-Za-z]\w*\s*[=\s]\s*[+-]?\d*\.?\d+\s*|\s*[A-Za-z]\w*\s*[=\s]\s*[+-]?\d+\.\s*")
_BOHR = re.compile(r"units\s*=?\s*\(?[^)]*\b(?:bohr|au)\b", re.IGNORECASE)


class _Job(NamedTuple):
    """The sections of one job that say which molecule it is about, with the number of the line of charges."""

    route: str
    first_line: int
    rows: list[str]


def jobs_of_gaussian(path: Path) -> Several:
    """The molecules of an input of Gaussian (``.com``, ``.gjf``), one of each job that has coordinates.

    Raises:
        ValueError: If there is no molecule, or a line cannot be understood; the sentence names line and token.
    """
    text = path.read_bytes().decode("utf-8-sig", errors="replace").replace("\r\n", "\n")
    jobs = [job for job in _jobs(text) if job.rows]
    if not jobs:
        raise ValueError(
            f"{path} holds no molecule: behind route and title, each with an empty line, charge and multiplicity must "
            "stand, and atoms below them"
        )
    return Several(path, "jobs", len(jobs), lambda number: _molecule(jobs[number], path))


def _molecule(job: _Job, path: Path) -> Content:
    notes = []
    atoms = _from_internal_coordinates(job, path) if _is_internal(job.rows) else _atoms(job, path)
    if _BOHR.search(job.route):
        atoms.positions *= units.bohr
        notes.append("the route says that lengths are in bohr")
    if len(job.rows[0].replace(",", " ").split()) > 2:
        notes.append(f"of the line {job.rows[0].strip()!r} the first two numbers are those of the whole molecule")
    return Content(atoms, "Gaussian input", notes)


def _jobs(text: str) -> list[_Job]:
    """Jobs of a file, which a line ``--Link1--`` parts."""
    lines = text.split("\n")
    links = [number for number, line in enumerate(lines) if line.strip().lower() == "--link1--"]
    return [
        _job(lines[begin:end], begin + 1)
        for begin, end in zip([0, *(k + 1 for k in links)], [*links, None], strict=True)
    ]


def _job(lines: Sequence[str], first_line: int) -> _Job:
    """Route, and the rows from the line of charges on, which begins the first section behind the title."""
    sections: list[tuple[int, list[str]]] = []
    begun = False
    for number, row in enumerate(lines, start=first_line):
        if not row.strip():
            begun = False
        elif not row.lstrip().startswith("!"):
            if not begun:
                sections.append((number, []))
            begun = True
            sections[-1][1].append(row)
    routes = [place for place, (_, rows) in enumerate(sections) if any(row.lstrip().startswith("#") for row in rows)]
    if not routes or len(sections) < routes[0] + 3:
        return _Job("", first_line, [])
    number, rows = sections[routes[0] + 2]
    if not _CHARGES.fullmatch(rows[0]):
        return _Job("", first_line, [])
    behind = sections[routes[0] + 3][1] if len(sections) > routes[0] + 3 else []
    if _is_internal(rows) and behind and all(_VARIABLE.fullmatch(row) for row in behind):
        rows = [*rows, "Variables:", *(row.replace("=", " ") for row in behind)]
    return _Job(" ".join(sections[routes[0]][1]), number, rows)


def _is_internal(rows: Sequence[str]) -> bool:
    """Whether the first atom below the line of charges has no three coordinates, as in a Z-matrix."""
    return len(rows) > 1 and len(_split(rows[1])[1]) < 3


def _from_internal_coordinates(job: _Job, path: Path) -> ase.Atoms:
    """What ASE makes of a Z-matrix."""
    charge, multiplicity = (int(word) for word in job.rows[0].replace(",", " ").split()[:2])
    text = "\n".join(["#", "", "title", "", f"{charge} {multiplicity}", *job.rows[1:], "", ""])
    try:
        atoms = ase.io.read(io.StringIO(text), format="gaussian-in")
    except Exception as error:  # it raises whatever it stumbles over
        raise ValueError(
            f"{path}, line {job.first_line + 1} and below: this is no Z-matrix that ASE reads "
            f"({error or type(error).__name__}); write Cartesian coordinates"
        ) from error
    assert isinstance(atoms, ase.Atoms)
    return ase.Atoms(atoms.numbers, atoms.positions, info={"charge": charge, "multiplicity": multiplicity})


def _atoms(job: _Job, path: Path) -> ase.Atoms:
    charge, multiplicity = (int(word) for word in job.rows[0].replace(",", " ").split()[:2])
    symbols: list[str] = []
    places: list[list[float]] = []
    masses: dict[int, float] = {}
    held: list[int] = []
    for offset, row in enumerate(job.rows[1:], start=1):
        where = f"{path}, line {job.first_line + offset}"
        head, words = _split(row)
        symbol, mass = _element(head, where)
        if mass is not None:
            masses[len(symbols)] = mass
        if len(words) > 3 and re.fullmatch(r"-?\d+", words[0]):
            if words[0] != "0":
                held.append(len(symbols))
            words = words[1:]
        places.append([_coordinate(word, where) for word in words[:3]])
        if len(places[-1]) < 3:
            raise ValueError(f"{where}: an atom must have three coordinates, got {row.strip()!r}")
        symbols.append(symbol)
    if not symbols:
        raise ValueError(f"{path}, line {job.first_line}: no atoms stand below charge and multiplicity")
    atoms = ase.Atoms(symbols, places, info={"charge": charge, "multiplicity": multiplicity})
    if masses:
        all_masses = atoms.get_masses()
        all_masses[list(masses)] = list(masses.values())
        atoms.set_masses(all_masses)
    if held:
        atoms.set_constraint(FixAtoms(held))
    return atoms


def _split(row: str) -> tuple[str, list[str]]:
    """The atom with its parameters in parentheses, and the rest of the line."""
    match = re.match(r"\s*([^\s,(]+(?:\([^)]*\))?)[\s,]*(.*)", row)
    return (match[1], match[2].replace(",", " ").split()) if match else (row.strip(), [])


def _element(head: str, where: str) -> tuple[str, float | None]:
    match = _ATOM.fullmatch(head)
    word = match[1] if match else ""
    if word in ISOTOPES:
        return ISOTOPES[word]
    if word.isdigit() and 0 < int(word) < len(chemical_symbols):
        word = chemical_symbols[int(word)]
    if match is None or word.capitalize() not in atomic_numbers or word.lower() in ("x", "bq", "tv"):
        raise ValueError(
            f"{where}: every atom must be an element or an atomic number, got {head!r}; ghost atoms, dummies and "
            "translation vectors are not read"
        )
    if "-bq" in (match[2] or "").lower():
        raise ValueError(f"{where}: ghost atoms have no place in a structure, got {head!r}; remove it")
    isotope = _ISOTOPE.search(match[3] or "")
    return word.capitalize(), _mass(word.capitalize(), float(isotope[1])) if isotope else None


def _mass(symbol: str, stated: float) -> float:
    """Mass in amu of an isotope by its mass number or its mass; of a mass number the usual mass where it is known."""
    known = ISOTOPES.get(f"{stated:g}{symbol}")
    return known[1] if known else stated


def _coordinate(word: str, where: str) -> float:
    try:
        value = float(word.replace("d", "e").replace("D", "e"))
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise ValueError(f"{where}: a coordinate must be a finite number, got {word!r}")
    return value
