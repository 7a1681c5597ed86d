"""How XYZ files are read, plain and extended, as programs and people really write them.

ASE understands them when they keep to the letter. What does not is mended first, line by line: deuterium, atomic
numbers and labels in place of elements, Fortran's exponents, a byte order mark, Latin letters, a missing comment line.
What cannot be mended is refused with its line and token.
"""

import codecs
import io
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import ase
import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from ase.io import extxyz

from so3lab.structures.comments import take_other_names
from so3lab.structures.understood import Content, Several
from so3lab.structures.xyz_columns import columns_of, in_pythons_words, number_in, why_no_number

ISOTOPES = {"D": ("H", 2.014), "T": ("H", 3.016), "2H": ("H", 2.014), "3H": ("H", 3.016), "13C": ("C", 13.003),
            "14C": ("C", 14.003), "15N": ("N", 15.0), "17O": ("O", 16.999), "18O": ("O", 17.999)}  # fmt: skip
"""Names of isotopes as element and mass in amu."""
_OF_QM9 = "gdb "
"""What the second line of QM9's files begins with."""
_ANY_PROPERTIES = re.compile(r"(?<!\S)properties(?==)", re.IGNORECASE)
"""ASE knows the name with its capital alone."""
_MASS = re.compile(r"([A-Za-z]{1,2})@(\d+\.?\d*)")
_LABEL = re.compile(r"([A-Za-z]{1,2})[\d_'*+-]\w*")
_PLACEHOLDERS = frozenset(("x", "xx", "bq", "gh", "du", "q", "lp", "tv"))


class _Frame(NamedTuple):
    """Lines of one frame and where they stand in the file, counted from 1."""

    comment: str
    rows: list[str]
    first_line: int


def frames_of_xyz(path: Path) -> Several:
    """The frames of an XYZ file.

    Raises:
        ValueError: If the file cannot be understood; the sentence names line and token.
    """
    text, notes = _text(path)
    frames = list(_frames(text.splitlines(), path))
    if not frames:
        raise ValueError(f"{path} holds no atoms")
    return Several(path, "frames", len(frames), lambda number: _content(frames[number], path, notes))


def _content(frame: _Frame, path: Path, notes: list[str]) -> Content:
    atoms, more = _atoms(frame, path)
    extended = "Properties=" in frame.comment or "Lattice=" in frame.comment
    return Content(atoms, "extended XYZ" if extended else "XYZ", (*notes, *more))


def frame_of_text(text: str) -> ase.Atoms:
    """One frame of an XYZ file by its lines alone, as :func:`frames_of_xyz` reads them.

    Raises:
        ValueError: As :func:`frames_of_xyz`; lines are counted from the frame's own.
    """
    where = Path("frame")
    return _atoms(next(_frames(text.splitlines(), where)), where)[0]


def _text(path: Path) -> tuple[str, list[str]]:
    content = path.read_bytes()
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16"), ["letters are read as UTF-16"]
    try:
        return content.decode("utf-8-sig"), []
    except UnicodeDecodeError:
        if b"\0" in content[:1000]:
            raise ValueError(f"{path} is no text, so it is no XYZ file") from None
        return content.decode("latin-1"), ["letters are read as Latin-1"]


def _frames(lines: list[str], path: Path) -> Iterator[_Frame]:
    """Frames one after another; blank lines between them are passed over."""
    at, in_qm9 = 0, False
    while at < len(lines):
        if not lines[at].strip():
            at += 1
            continue
        count = _count(lines[at])
        if count is None and in_qm9 and not (_is_row(lines[at]) and lines[at].lstrip()[0].isalpha()):
            at += 1  # frequencies and names, as this data set writes them behind the atoms
            continue
        if count is None and at == 0 and all(_is_row(line) for line in lines if line.strip()):
            yield _Frame("", [line for line in lines if line.strip()], 1)  # coordinates and nothing else
            return
        if count is None:
            raise ValueError(
                f"{path}, line {at + 1}: a frame must begin with its number of atoms, got {lines[at].strip()[:60]!r}"
                f"{_why_no_count(lines, at)}"
            )
        begin = at + 1 if _comment_is_missing(lines, at, count) else at + 2
        rows = lines[begin : begin + count]
        full = sum(1 for row in rows if row.strip())
        if full < count:
            raise ValueError(
                f"{path}, line {at + 1}: the frame must have {count} atoms, but only {full} lines of atoms follow; is "
                "the file complete?"
            )
        yield _Frame("" if begin == at + 1 else _ANY_PROPERTIES.sub("Properties", lines[at + 1]), rows, begin + 1)
        at, in_qm9 = begin + count, lines[begin - 1].startswith(_OF_QM9)


def _count(line: str) -> int | None:
    words = line.split()
    try:
        return int(words[0]) if len(words) == 1 and int(words[0]) > 0 else None
    except ValueError:
        return None


def _why_no_count(lines: list[str], at: int) -> str:
    """What is there where a number of atoms should be."""
    if _is_row(lines[at]):
        return "; are there more atoms than the frame above says?" if at else ""
    numbered = at == 0 and len(lines) > 1 and re.match(r"\s*1\s+[A-Za-z]\S*(\s+-?\d+\.\d+){3}\s+\d+", lines[1])
    return "; this is Tinker's form: convert it, for example with Open Babel (-itxyz)" if numbered else ""


def _comment_is_missing(lines: list[str], at: int, count: int) -> bool:
    """Whether atoms follow the count at once: a row where the comment should be, and one row too few without it."""
    if at + 1 >= len(lines) or not _is_row(lines[at + 1]):
        return False
    behind = lines[at + 1 + count] if at + 1 + count < len(lines) else ""
    return not behind.strip() or _count(behind) is not None


def _is_row(line: str) -> bool:
    words = line.split()
    return (
        len(words) >= 4 and all(number_in(word) is not None for word in words[1:4]) and _element(words[0]) is not None
    )


def _element(word: str) -> tuple[str, float | None] | None:
    """Symbol, and mass of an isotope; None for what is no element."""
    if word in ISOTOPES:
        return ISOTOPES[word]
    if word.capitalize() in atomic_numbers and word.lower() not in _PLACEHOLDERS:
        return word.capitalize(), None
    if word.isdigit() and 0 < int(word) < len(chemical_symbols):
        return chemical_symbols[int(word)], None
    marked = _MASS.fullmatch(word)
    if marked and marked[1].capitalize() in atomic_numbers:
        return marked[1].capitalize(), float(marked[2])
    label = _LABEL.fullmatch(word)
    if label and label[1].lower() not in _PLACEHOLDERS and label[1].capitalize() in atomic_numbers:
        return label[1].capitalize(), None
    return None


def _atoms(frame: _Frame, path: Path) -> tuple[ase.Atoms, list[str]]:
    """One frame, mended where that is needed."""
    _check_not_types(frame, path)
    extended = "Properties=" in frame.comment
    species, reals = _columns(frame, path)
    masses: dict[int, float] = {}
    rows, widest = [], 0
    for number, row in enumerate(frame.rows):
        words = row.split()
        where = f"{path}, line {frame.first_line + number}"
        if len(words) < 4:
            raise ValueError(f"{where}: an atom must be an element and three coordinates, got {row.strip()!r}")
        widest = max(widest, len(words))
        for column in reals:
            words[column] = _checked_number(words, column, where)
        if species is not None:
            words[species], mass = _checked_element(words[species], where)
            if mass is not None:
                masses[number] = mass
        rows.append(" ".join(words))
    notes = [] if extended or widest <= 4 else [_about_columns(widest)]
    if frame.comment.startswith(_OF_QM9):
        notes = ["of QM9's form elements and coordinates are read; charges, properties and frequencies are left out"]
    atoms = _with_ase(frame, rows, path)
    if species is not None and ":Z:" in frame.comment:
        _check_same_elements([row.split()[species] for row in rows], atoms, frame, path)
    try:
        notes += take_other_names(atoms, frame.comment)
    except ValueError as error:
        raise ValueError(f"{path}, line {frame.first_line - 1}: {error}") from None
    if masses:
        all_masses = atoms.get_masses()
        all_masses[list(masses)] = list(masses.values())
        atoms.set_masses(all_masses)
    return atoms, notes


def _check_not_types(frame: _Frame, path: Path) -> None:
    """Refuse LAMMPS's types, which ``dump xyz`` writes where an element should stand unless it is told the elements."""
    if frame.comment.strip().startswith("Atoms. Timestep:") and all(
        row.split(maxsplit=1)[0].isdigit() for row in frame.rows if row.strip()
    ):
        raise ValueError(
            f"{path}, line {frame.first_line}: LAMMPS writes types such as {frame.rows[0].split()[0]} and no elements; "
            "write the file with 'dump_modify ID element C H O', elements in the order of types"
        )


def _columns(frame: _Frame, path: Path) -> tuple[int | None, range]:
    """Where elements and coordinates stand; elements may be given as ``Z`` alone."""
    if "Properties=" not in frame.comment:
        return 0, range(1, 4)
    try:
        begins = {columns.name: columns.begin for columns in columns_of(frame.comment)}
    except ValueError as error:
        raise ValueError(f"{path}, line {frame.first_line - 1}: {error}") from None
    return begins.get("species"), range(begins["pos"], begins["pos"] + 3)


def _check_same_elements(symbols: list[str], atoms: ase.Atoms, frame: _Frame, path: Path) -> None:
    """Refuse a column of atomic numbers, which ASE takes, that says other elements than the column of symbols."""
    for number, (symbol, other) in enumerate(zip(symbols, atoms.get_chemical_symbols(), strict=True)):
        if symbol != other:
            raise ValueError(
                f"{path}, line {frame.first_line + number}: the columns species and Z must name one element, got "
                f"{symbol} and {atoms.numbers[number]}, which is {other}; correct or remove one of them"
            )


def _checked_number(words: list[str], column: int, where: str) -> str:
    if column >= len(words):
        raise ValueError(f"{where}: three coordinates are needed, got {' '.join(words)!r}")
    word = words[column]
    number = number_in(word)
    if number is None or not np.isfinite(float(number)):
        hint = why_no_number(word) if number is None else ""
        raise ValueError(f"{where}: a coordinate must be a finite number in Å, got {word!r}{hint}")
    return number


def _checked_element(word: str, where: str) -> tuple[str, float | None]:
    found = _element(word)
    if found is None:
        foreign = next((letter for letter in word if ord(letter) > 127), None)
        if foreign is not None:
            raise ValueError(
                f"{where}: every atom must begin with an element or an atomic number, got {word!r}, in which "
                f"{foreign!r} is no Latin letter ({unicodedata.name(foreign, 'of no name').lower()})"
            )
        lowered = re.sub(r"[-_:(].*|\d", "", word).lower() if word[0] != "@" else "gh"
        hint = (
            "; placeholders and ghost atoms have no place in a structure, remove them"
            if lowered in _PLACEHOLDERS
            else ""
        )
        raise ValueError(f"{where}: every atom must begin with an element or an atomic number, got {word!r}{hint}")
    return found


def _about_columns(widest: int) -> str:
    which = "column 5 has no name" if widest == 5 else f"columns 5 to {widest} have no names"
    return (
        f"{which}, so what stands there is left out; a header such as Properties=species:S:1:pos:R:3:forces:R:3 in the "
        "second line would say what it is"
    )


def _with_ase(frame: _Frame, rows: list[str], path: Path) -> ase.Atoms:
    """ASE's reading of a frame that keeps to the letter."""
    text = "\n".join([str(len(rows)), frame.comment, *rows, ""])
    try:
        return next(iter(extxyz.read_xyz(io.StringIO(text), 0)))
    except Exception as error:  # it raises whatever it stumbles over
        columns = columns_of(frame.comment) if "Properties=" in frame.comment else []
        mended = in_pythons_words(rows, columns, frame.first_line, path) if columns else rows
        if mended != rows:
            return _with_ase(frame, mended, path)
        raise ValueError(
            f"{path}, line {frame.first_line - 1} and below: ASE's reader of extended XYZ says: "
            f"{error or type(error).__name__}"
        ) from error
