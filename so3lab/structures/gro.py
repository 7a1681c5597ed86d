"""How GROMACS's .gro files are read: elements from names of atoms and residues, virtual sites left out, boxes of none.

The format is that of the GROMACS reference manual, "gro": fixed columns, lengths in nm, velocities in nm/ps, and box
vectors v1(x) v2(y) v3(z) v1(y) v1(z) v2(x) v2(z) v3(x) v3(y). ASE's reader takes chloride for carbon and virtual sites
for tungsten, so this reads the lines itself.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import ase
import ase.units
import numpy as np

from so3lab.structures.comment_electrons import unread_in_title
from so3lab.structures.pdb import element_of_two_names
from so3lab.structures.understood import Content, Several

_NM = 10.0  # Å
_NM_PER_PS = _NM / (1000.0 * ase.units.fs)
_VIRTUAL = re.compile(r"(MW|LP|EP|EPW|MCH3|MNH3|OM|IW)\d*")
"""Names of massless sites: TIP4P, TIP5P, lone pairs, mass centres of methyl groups."""
_BEADS = re.compile(r"W[FP]?|BB|NC3|NH3|PO4|GL[12]|[CD][1-6][AB]|ROH|SC\d")
"""Names of Martini's beads: water, backbones, side chains, heads and tails of lipids."""
_ONLY_BEADS = frozenset(("W", "WF", "BB", "NC3", "PO4", "GL1"))
"""Those that no atom is called."""
_COMMON = frozenset("HCNOSPFIBK")
_BOX_ORDER = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1))


class _Row(NamedTuple):
    """One atom."""

    name: str
    residue: str
    symbol: str  # empty for virtual sites
    position: list[float]
    velocity: list[float] | None


def frames_of_gro(path: Path) -> Several:
    """The frames of a .gro file.

    Raises:
        ValueError: If a line cannot be understood; the sentence names line and token.
    """
    lines = path.read_bytes().decode("utf-8-sig", errors="replace").splitlines()
    starts = _starts(lines, path)
    if not starts:
        raise ValueError(f"{path} holds no atoms: its second line must be their number")
    return Several(path, "frames", len(starts), lambda number: _frame(lines, starts[number], path))


def _frame(lines: Sequence[str], start: int, path: Path) -> Content:
    notes = []
    end = start + 2 + int(lines[start + 1])
    _check_not_beads(lines[start + 2 : end], path)
    rows = [_row(lines[number], f"{path}, line {number + 1}") for number in range(start + 2, end)]
    cell = _cell(lines[end], f"{path}, line {end + 1}")
    virtual = [row for row in rows if not row.symbol]
    if virtual:
        names = ", ".join(sorted({f"{row.name} of {row.residue}" for row in virtual}))
        notes.append(f"{len(virtual)} virtual sites, which are no atoms, are left out: {names}")
    real = [row for row in rows if row.symbol]
    if not real:
        raise ValueError(f"{path} holds no atoms")
    if not cell.any():
        notes.append("a box of zeros is none: a molecule without a cell")
    atoms = _atoms(real, cell)
    return Content(atoms, "GRO", [*notes, _read_names(real), *unread_in_title(atoms, lines[start])])


def _check_not_beads(lines: Sequence[str], path: Path) -> None:
    """Refuse coarse grains, of which each is several atoms."""
    names = {(line[5:10].strip(), line[10:15].strip()) for line in lines}
    beads = sorted({name for residue, name in names if _BEADS.fullmatch(name)})
    if not any(name in _ONLY_BEADS and (name != "W" or residue == "W") for residue, name in names):
        return
    raise ValueError(
        f"{path} holds coarse grains ({', '.join(beads[:4])}), as Martini has them, and each is several atoms; give a "
        "structure of all atoms, made from it with cg2at or backward"
    )


def _starts(lines: Sequence[str], path: Path) -> list[int]:
    """Where frames begin; the last must be complete."""
    starts, at = [], 0
    while at + 1 < len(lines):
        count = lines[at + 1].strip()
        if not count.isdigit():
            if not any(line.strip() for line in lines[at:]):
                break
            raise ValueError(f"{path}, line {at + 2}: the number of atoms must stand here, got {count!r}")
        if at + 2 + int(count) >= len(lines):
            raise ValueError(
                f"{path}, line {at + 2}: {count} atoms and a box must follow, but the file ends before; is it complete?"
            )
        starts += [at] if int(count) else []
        at += 3 + int(count)
    return starts


def _row(line: str, where: str) -> _Row:
    residue, name, numbers = line[5:10].strip(), line[10:15].strip(), line[20:].rstrip()
    points = [place for place, letter in enumerate(numbers) if letter == "."]
    width = points[1] - points[0] if len(points) > 2 else 8  # of all numbers, however many digits they have
    words = [numbers[begin : begin + width] for begin in range(0, width * (6 if len(points) >= 6 else 3), width)]
    try:
        found = [float(word) for word in words]
    except ValueError:
        found = [np.nan]
    if not np.isfinite(found).all():
        raise ValueError(f"{where}: three finite coordinates in nm must begin in column 21, got {numbers.strip()!r}")
    return _Row(name, residue, _element(name, residue, where), found[:3], found[3:] or None)


def _element(name: str, residue: str, where: str) -> str:
    """Symbol of an atom by its name and residue; empty for a virtual site."""
    letters = re.sub(r"[^A-Za-z]", "", name).upper()
    if _VIRTUAL.fullmatch(name.upper()):
        return ""
    told = element_of_two_names(name, residue)
    if told:
        return told
    if letters[:1] in _COMMON:
        return letters[0]
    raise ValueError(
        f"{where}: the name {name!r} of residue {residue!r} tells no element; .gro files hold names alone, so write a "
        "PDB file with elements in columns 77 and 78"
    )


def _cell(line: str, where: str) -> np.ndarray:
    """Rows are vectors in Å; zeros for a box of none."""
    try:
        numbers = [float(word) for word in line.split()]
    except ValueError:
        numbers = []
    if len(numbers) not in (3, 9) or not np.isfinite(numbers).all():
        raise ValueError(f"{where}: the box must be three or nine numbers in nm, got {line.strip()!r}")
    cell = np.zeros((3, 3))
    for place, number in zip(_BOX_ORDER, numbers, strict=False):
        cell[place] = number * _NM
    return cell


def _read_names(rows: Sequence[_Row]) -> str:
    named = ", ".join(dict.fromkeys(f"{row.name} as {row.symbol}" for row in rows))
    short = named if len(named) < 80 else named[:80].rpartition(",")[0] + ", ..."
    return f"the format has no elements, so names were read as such: {short}"


def _atoms(rows: Sequence[_Row], cell: np.ndarray) -> ase.Atoms:
    atoms = ase.Atoms([row.symbol for row in rows], _NM * np.array([row.position for row in rows]))
    if cell.any():
        atoms.cell, atoms.pbc = cell, True
    velocities = [row.velocity for row in rows]
    if all(velocity is not None for velocity in velocities):
        atoms.set_velocities(_NM_PER_PS * np.array(velocities, float))
    atoms.arrays["atomtypes"] = np.array([row.name for row in rows])
    atoms.arrays["residuenames"] = np.array([row.residue for row in rows])
    return atoms
