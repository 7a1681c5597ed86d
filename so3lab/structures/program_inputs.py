"""How inputs of ORCA, Q-Chem and NWChem are read: charge, multiplicity and Cartesian coordinates.

ORCA has ``* xyz CHARGE MULTIPLICITY`` and ends with ``*``, Q-Chem ``$molecule`` with both numbers in the next line and
``$end``, NWChem ``geometry`` and ``end`` beside lines ``charge`` and ``mult`` (their manuals). What stands in other
files, and internal coordinates, are refused by name.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import ase

from so3lab import units
from so3lab.structures.electrons import LEVELS
from so3lab.structures.understood import Content, Several
from so3lab.structures.xyz import frame_of_text

_LINES = re.MULTILINE | re.IGNORECASE
_ORCA = re.compile(r"^\s*\*\s*(?P<kind>\w+)(?P<rest>[^\n]*)\n(?P<rows>.*?)^\s*\*\s*$", _LINES | re.DOTALL)
_ORCA_FILE = re.compile(r"^\s*\*\s*(xyzfile|gzmtfile)\s+-?\d+\s+\d+\s+(\S+)", _LINES)
_ORCA_BLOCK = re.compile(r"^\s*%coords\b", _LINES)
_ORCA_BOHR = re.compile(r"^\s*!.*\bbohrs?\b", _LINES)
_ORCA_JOBS = re.compile(r"^\s*\$new_job\b", _LINES)
_QCHEM = re.compile(r"^\s*\$molecule\s*\n(?P<rest>[^\n]*)\n(?P<rows>.*?)^\s*\$end", _LINES | re.DOTALL)
_QCHEM_BOHR = re.compile(r"^\s*input_bohr\s*=?\s*(?:true|1)\b", _LINES)
_QCHEM_JOBS = re.compile(r"^@@@", re.MULTILINE)
_NWCHEM = re.compile(r"^\s*geometry\b(?!\s*=)(?P<rest>[^\n]*)\n(?P<rows>.*?)^\s*end\s*$", _LINES | re.DOTALL)
_NWCHEM_TASK = re.compile(r"^\s*task\b", _LINES)
_NWCHEM_CHARGE = re.compile(r"^\s*charge\s+([+-]?\d+)(?:\.0*)?\s*$", _LINES)
_NWCHEM_SPIN = re.compile(rf"^\s*(?:mult\s+(\d+)|({'|'.join(LEVELS)})|nopen\s+(\d+))\s*(?:;|$)", _LINES)
_NWCHEM_UNIT = re.compile(r"\bunits\s+(\w+)", re.IGNORECASE)
_NOT_CARTESIAN = re.compile(r"^\s*(zmat\w*|zcoord|system|load|symmetry(?!\s+(?:group\s+)?c1\b).*)", _LINES)
_LENGTHS = {"an": 1.0, "angstrom": 1.0, "angstroms": 1.0, "au": units.bohr, "atomic": units.bohr, "bohr": units.bohr,
            "nm": 10.0, "nanometer": 10.0, "pm": 0.01, "picometer": 0.01}  # fmt: skip
_ELECTRONS = re.compile(r"\s*([+-]?\d+)\s+(\d+)\s*")
_FRAGMENT = re.compile(r"([A-Za-z]{1,2})\(\d+\)")
_MASS = re.compile(r"\b(?:M\s*=|mass)\s*(\d+\.?\d*)", re.IGNORECASE)


class _Molecule(NamedTuple):
    """What one job says of its molecule."""

    program: str
    charge: int
    multiplicity: int | None
    rows: list[tuple[int, str]]
    """Lines of atoms with their numbers in the file."""
    length: float = 1.0
    """Its unit in Å."""
    notes: tuple[str, ...] = ()


def inputs_of_program(path: Path) -> Several | None:
    """The molecules of an input of ORCA, Q-Chem or NWChem, one of each job that has coordinates; None where it is none.

    Raises:
        ValueError: If the coordinates stand elsewhere or are no Cartesian ones, or charge and multiplicity lack.
    """
    text = path.read_text(errors="replace").replace("\r\n", "\n")
    for read in (_of_qchem, _of_nwchem, _of_orca):
        if molecules := list(read(text, path)):
            return Several(path, "molecules", len(molecules), lambda number: _content(molecules[number], path))
    return None


def _of_orca(text: str, path: Path) -> Iterator[_Molecule]:
    if found := _ORCA_FILE.search(text):
        raise ValueError(f"{path} names the file {found[2]}, in which its coordinates stand; give that file")
    plain = re.sub(r"#[^#\n]*#?", lambda match: " " * len(match[0]), text)
    for begin, job in _parts(plain, _ORCA_JOBS):
        found, block = _ORCA.search(job), _ORCA_BLOCK.search(job)
        other = found if found and found["kind"].lower() != "xyz" else block if found is None else None
        if other:
            raise ValueError(
                f"{path}: coordinates must be '* xyz CHARGE MULTIPLICITY', Cartesian ones, got "
                f"{other[0].strip().splitlines()[0]!r}"
            )
        if found is None:
            continue
        rows = [(line, _FRAGMENT.sub(r"\1", row)) for line, row in _rows(plain, begin + found.start("rows"), found)]
        in_bohr = _ORCA_BOHR.search(job) is not None
        yield _with_both("input of ORCA", found["rest"], rows, path, in_bohr)


def _of_qchem(text: str, path: Path) -> Iterator[_Molecule]:
    for begin, job in _parts(text, _QCHEM_JOBS):
        found = _QCHEM.search(job)
        if found is None:
            continue
        if found["rest"].strip().lower() == "read" and begin:
            continue  # the molecule of the job before
        rows = _rows(text, begin + found.start("rows"), found)
        marks = [place for place, (_, row) in enumerate(rows) if row.strip() == "--"]
        kept = [row for place, row in enumerate(rows) if place not in marks and place - 1 not in marks]
        yield _with_both("input of Q-Chem", found["rest"], kept, path, _QCHEM_BOHR.search(job) is not None)


def _of_nwchem(text: str, path: Path) -> Iterator[_Molecule]:
    plain = re.sub(r"#[^\n]*", lambda match: " " * len(match[0]), text)
    for found in _NWCHEM.finditer(plain):
        if other := _NOT_CARTESIAN.search(found["rows"]):
            raise ValueError(
                f"{path}: geometry must be all atoms in Cartesian coordinates, got {other[1].strip()!r}; write them so"
            )
        unit = _NWCHEM_UNIT.search(found["rest"])
        length = _LENGTHS.get(unit[1].lower()) if unit else 1.0
        if unit and length is None:
            raise ValueError(f"{path}: units must be one of {', '.join(_LENGTHS)}, got {unit[1]!r}")
        task = _NWCHEM_TASK.search(plain, found.end())
        before = plain[: task.start() if task else len(plain)].replace(found["rows"], "")
        charges, spins = _NWCHEM_CHARGE.findall(before), _NWCHEM_SPIN.findall(before)
        multiplicity = None
        if spins:
            number, word, unpaired = spins[-1]
            multiplicity = int(number or 0) or LEVELS.get(word.lower()) or int(unpaired or 0) + 1
        rows = _rows(plain, found.start("rows"), found)
        about = (f"coordinates are in {unit[1]}",) if unit and length != 1.0 else ()
        charge = int(charges[-1]) if charges else 0
        yield _Molecule("input of NWChem", charge, multiplicity, rows, length or 1.0, about)


def _parts(text: str, between: re.Pattern[str]) -> Iterator[tuple[int, str]]:
    """Jobs of a file with the places where they begin."""
    marks = [match.start() for match in between.finditer(text)]
    for begin, end in zip([0, *marks], [*marks, len(text)], strict=True):
        yield begin, text[begin:end]


def _rows(text: str, begin: int, found: re.Match[str]) -> list[tuple[int, str]]:
    """Lines that are not empty, with their numbers in the file."""
    first = 1 + text.count("\n", 0, begin)
    return [(first + number, row) for number, row in enumerate(found["rows"].splitlines()) if row.strip()]


def _with_both(program: str, numbers: str, rows: Sequence[tuple[int, str]], path: Path, in_bohr: bool) -> _Molecule:
    electrons = _ELECTRONS.fullmatch(numbers)
    if electrons is None or not rows:
        raise ValueError(f"{path}: charge, multiplicity and atoms must follow each other, got {numbers.strip()!r}")
    length, notes = (units.bohr, ("the input says that lengths are in bohr",)) if in_bohr else (1.0, ())
    return _Molecule(program, int(electrons[1]), int(electrons[2]), list(rows), length, notes)


def _content(molecule: _Molecule, path: Path) -> Content:
    rows = [" ".join(row.replace(",", " ").split()[:4]) for _, row in molecule.rows]
    try:
        atoms = frame_of_text("\n".join([str(len(rows)), "", *rows]))
    except ValueError as error:
        lines = [line for line, _ in molecule.rows]
        placed = re.sub(r"^frame, line (\d+)", lambda at: f"{path}, line {lines[int(at[1]) - 3]}", str(error))
        raise ValueError(placed) from None
    atoms.positions *= molecule.length
    _take_masses(atoms, [row for _, row in molecule.rows])
    atoms.info["charge"] = molecule.charge
    if molecule.multiplicity is not None:
        atoms.info["multiplicity"] = molecule.multiplicity
    return Content(atoms, molecule.program, molecule.notes)


def _take_masses(atoms: ase.Atoms, rows: Sequence[str]) -> None:
    """``M = 2.014`` of ORCA, ``mass 2.014`` of NWChem."""
    stated = {number: float(match[1]) for number, row in enumerate(rows) if (match := _MASS.search(row))}
    if stated:
        masses = atoms.get_masses()
        masses[list(stated)] = list(stated.values())
        atoms.set_masses(masses)
