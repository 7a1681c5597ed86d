"""How PDB files are read: models, alternate locations, cells and placeholders, deuterium, missing elements, charges.

Columns are those of the PDB format 3.3. ASE's reader keeps every alternate location, forgets the cell at each model,
and takes a placeholder for a cell, so this reads the records itself.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import ase
import numpy as np
from ase.data import atomic_numbers
from ase.geometry import cellpar_to_cell

from so3lab.structures.understood import Content, Several
from so3lab.structures.xyz import ISOTOPES

PLACEHOLDER = 2.0
"""Å; a cell with a shorter edge is none, but the unit cube that programs write where they must write something."""
RESIDUES = frozenset((
    "ALA", "ARG", "ASN", "ASP", "CYS", "GLN", "GLU", "GLY", "HIS", "ILE", "LEU", "LYS", "MET", "PHE", "PRO", "SER",
    "THR", "TRP", "TYR", "VAL", "ACE", "NME", "NMA", "NH2", "HOH", "WAT", "SOL", "TIP", "TIP3", "DOD", "DA", "DC",
    "DG", "DT", "A", "C", "G", "U", "ASH", "GLH", "HID", "HIE", "HIP", "HSD", "HSE", "HSP", "CYX", "LYN",
))  # fmt: skip
"""Residues in which a name begins with its one-letter element, whatever its second letter."""
_IONS = {"SOD": "Na", "POT": "K", "CLA": "Cl", "CAL": "Ca", "CES": "Cs", "LIT": "Li", "RUB": "Rb", "BAR": "Ba"}
"""Names of CHARMM."""
_RESIDUES_OF_IONS = frozenset(("ION", "IONS"))
"""Residues of GROMACS whose atoms are ions by their names."""
_PAIRS = frozenset(("CL", "BR", "SI", "SE", "ZN", "MG", "LI", "FE", "MN", "AL"))
"""Two letters that no force field uses for another element."""


_VIRTUAL = re.compile(r"(EP|LP)[A-Z]?\d*[A-Z]?|MW\d*")
"""Names of virtual sites where no element is stated: TIP4P, TIP5P, lone pairs."""
_OF_VIRTUAL = frozenset(("EP", "LP", "M", "MW", "X", "XX", "VS"))
"""What stands in their place of an element."""
_NEAR_DRUDE = 0.5
"""Å; Drude particles, whose names are D and that of their atom, are nearer to it."""


class _Row(NamedTuple):
    """One ATOM or HETATM record."""

    line: int
    name: str
    alternate: str
    residue: tuple[str, str, str]  # name, chain, number with insertion code
    position: tuple[float, float, float]
    occupancy: float
    symbol: str
    mass: float | None
    charge: int | None


def models_of_pdb(path: Path) -> Several:
    """The models of a PDB file.

    Args:
        path: The file. ``CRYST1`` belongs to all of its models.

    Returns:
        Each as atoms with names and residues of the file, in its cell if it has one; of alternate locations the most
        occupied.

    Raises:
        ValueError: If a record cannot be understood; the sentence names line and token.
    """
    lines = path.read_bytes().decode("utf-8-sig", errors="replace").splitlines()
    models: list[list[_Row]] = [[]]
    for number, line in enumerate(lines, start=1):
        record = line[:6].strip()
        if record == "MODEL" and models[-1]:
            models.append([])
        elif record in ("ATOM", "HETATM"):
            models[-1].append(_row(line, f"{path}, line {number}", number))
    models = [model for model in models if model]
    if not models:
        raise ValueError(f"{path} holds no atoms: no line begins with ATOM or HETATM")
    return Several(path, "models", len(models), lambda number: _model(models[number], lines, path))


def _model(model: Sequence[_Row], lines: Sequence[str], path: Path) -> Content:
    real, virtual = _without_virtual_sites(model)
    if not real:
        raise ValueError(f"{path} holds no atoms, but virtual sites alone")
    rows, alternates = _one_location(real)
    cell, about_cell = _cell(lines, path)
    notes = [*virtual, *alternates, *about_cell, *_guessed(lines, rows), *_in_part(rows), *_without_hydrogens(rows)]
    return Content(_atoms(rows, cell), "PDB", notes)


def _row(line: str, where: str, number: int) -> _Row:
    coordinates = line[30:38], line[38:46], line[46:54]
    try:
        x, y, z = (float(word) for word in coordinates)
    except ValueError:
        wrong = next(word for word in coordinates if not _is_number(word))
        raise ValueError(
            f"{where}: a coordinate in columns 31 to 54 must be a number in Å, got {wrong.strip()!r}"
        ) from None
    if not np.isfinite([x, y, z]).all():
        raise ValueError(f"{where}: coordinates must be finite numbers, got {' '.join(coordinates)!r}")
    name, residue = line[12:16], line[17:20].strip()
    stated, charge = _element_columns(line)
    symbol, mass = _element(stated, name, residue, where)
    occupancy = float(line[54:60]) if _is_number(line[54:60]) else 1.0
    return _Row(
        number, name.strip(), line[16:17].strip(), (residue, line[21:22], line[22:27].strip()), (x, y, z), occupancy,
        symbol, mass, _charge(charge, where),
    )  # fmt: skip


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _element_columns(line: str) -> tuple[str, str]:
    """Element of columns 77 and 78 and charge of 79 and 80; an element that stands two columns too far counts too."""
    element, charge = line[76:78].strip(), line[78:80].strip()
    if not element and charge.capitalize() in atomic_numbers:
        return charge, ""
    return element, charge


def _element(stated: str, name: str, residue: str, where: str) -> tuple[str, float | None]:
    """Symbol and, of an isotope, mass: from what the columns state, or from the name of the atom; an empty symbol for a
    virtual site."""
    if stated in ISOTOPES:
        return ISOTOPES[stated]
    if stated.upper() in _OF_VIRTUAL:
        return "", None
    if stated.capitalize() in atomic_numbers and stated != "X":
        return stated.capitalize(), None
    if _VIRTUAL.fullmatch(name.strip().upper()) and not stated:
        return "", None
    if stated and not stated.isdigit():
        raise ValueError(
            f"{where}: columns 77 and 78 must hold an element, got {stated!r} for the atom {name.strip()!r}"
        )
    told = element_of_two_names(name, residue)
    if told:
        return told, None
    letters = "".join(character for character in name if character.isalpha())
    two = name[:2].strip().capitalize()
    hydrogen = two in ("He", "Ho", "Hf", "Hs") or (two == "Hg" and name.strip().upper() != "HG")  # HG21, HO4
    if len(two) == 2 and two in atomic_numbers and residue not in RESIDUES and not (name[0].isdigit() or hydrogen):
        return two, None
    one = letters[:1].upper()
    if one == "D":
        return ISOTOPES["D"]
    if one not in atomic_numbers or one == "X":
        raise ValueError(
            f"{where}: columns 77 and 78 must hold an element; they are empty, and the name {name.strip()!r} tells none"
        )
    return one, None


def element_of_two_names(name: str, residue: str) -> str:
    """Symbol of an ion, a single atom, or an element that two letters tell; empty where one letter has to.

    Args:
        name: Of the atom, such as ``CLA``.
        residue: Its residue, such as ``CLA``.
    """
    letters, of_residue = (re.sub(r"[^A-Za-z]", "", word).upper() for word in (name, residue))
    if of_residue in _RESIDUES_OF_IONS:
        of_residue = letters
    if letters == of_residue and letters in _IONS:
        return _IONS[letters]
    if letters == of_residue and letters.capitalize() in atomic_numbers:
        return letters.capitalize()
    return letters[:2].capitalize() if residue not in RESIDUES and letters[:2] in _PAIRS else ""


def _charge(word: str, where: str) -> int | None:
    """The formal charge of an atom, such as ``2-``; None where nothing stands."""
    if not word.strip("0") or word in ("0+", "+0", "0-", "-0"):
        return None
    sign, digits = ("-" if "-" in word else "+"), word.strip("+-")
    if word in ("+", "-"):
        return int(word + "1")
    if not digits.isdigit() or len(word) != 2:
        raise ValueError(f"{where}: columns 79 and 80 must hold a formal charge such as 2- or 1+, got {word!r}")
    return int(sign + digits)


def _without_virtual_sites(rows: Sequence[_Row]) -> tuple[list[_Row], list[str]]:
    """Atoms alone: virtual sites are none, nor Drude particles, which lie at the atom whose name follows their D."""
    places = {(row.residue, row.name): np.array(row.position) for row in rows}
    left_out: list[_Row] = []
    real: list[_Row] = []
    for row in rows:
        core = places.get((row.residue, row.name[1:])) if row.name.startswith("D") else None
        drude = core is not None and bool(np.linalg.norm(core - row.position) < _NEAR_DRUDE)
        (left_out if drude or not row.symbol else real).append(row)
    if not left_out:
        return real, []
    names = ", ".join(sorted({f"{row.name} of {row.residue[0]}" for row in left_out}))
    return real, [f"{len(left_out)} virtual sites or Drude particles, which are no atoms, are left out: {names}"]


def _one_location(rows: Sequence[_Row]) -> tuple[list[_Row], list[str]]:
    """Of each residue's alternate locations the one with the highest occupancy, or the first."""
    weights: dict[tuple, dict[str, float]] = defaultdict(dict)
    counts: dict[tuple, dict[str, int]] = defaultdict(dict)
    for row in rows:
        if row.alternate:
            place = row.residue[1:]
            weights[place][row.alternate] = weights[place].get(row.alternate, 0.0) + row.occupancy
            counts[place][row.alternate] = counts[place].get(row.alternate, 0) + 1
    if not weights:
        return list(rows), []
    chosen = {
        place: max(of_place, key=lambda letter: of_place[letter] / counts[place][letter])
        for place, of_place in weights.items()
    }
    names = {(row.residue[1:], _protium(row)) for row in rows if row.alternate == chosen.get(row.residue[1:])}
    residues = {row.residue for row in rows if row.alternate == chosen.get(row.residue[1:])}
    kept: list[_Row] = []
    dropped: list[_Row] = []
    seen = set()
    for row in rows:
        place = row.residue[1:]
        best = not row.alternate or row.alternate == chosen[place]
        fits = row.residue in residues  # some places are shared by two kinds of residue
        alone = (
            fits and (place, _protium(row)) not in names and (place, _protium(row)) not in seen
        )  # no counterpart at that location
        (kept if best or alone else dropped).append(row)
        if best or alone:
            seen.add((place, _protium(row)))
    letters = ", ".join(sorted({chosen[row.residue[1:]] for row in dropped}))
    listed = ", ".join(f"{row.name} of {row.residue[0]} {row.residue[2]} at {row.alternate}" for row in dropped[:4])
    more = f" and {len(dropped) - 4} more" if len(dropped) > 4 else ""
    if not dropped:
        return kept, []
    return kept, [f"of alternate locations the most occupied are kept ({letters}); left out: {listed}{more}"]


def _protium(row: _Row) -> str:
    """The name of an atom, of deuterium that of the hydrogen in its place: D1 and H1 may share one."""
    return f"H{row.name[1:]}" if row.symbol == "H" and row.name.startswith("D") else row.name


def _cell(lines: Iterable[str], path: Path) -> tuple[np.ndarray | None, list[str]]:
    record = next(((n, line) for n, line in enumerate(lines, start=1) if line.startswith("CRYST1")), None)
    if record is None:
        return None, []
    number, line = record
    words = [line[6:15], line[15:24], line[24:33], line[33:40], line[40:47], line[47:54]]
    if not all(_is_number(word) for word in words):
        wrong = next(word for word in words if not _is_number(word))
        raise ValueError(
            f"{path}, line {number}: CRYST1 must hold three lengths and three angles, got {wrong.strip()!r}"
        )
    parameters = [float(word) for word in words]
    if min(parameters[:3]) < PLACEHOLDER:
        edges = " x ".join(f"{length:g}" for length in parameters[:3])
        return None, [f"CRYST1 of {edges} Å is a placeholder by the convention of the PDB: a molecule without a cell"]
    group = line[55:66].strip()
    notes = []
    if group.replace(" ", "") not in ("", "P1"):
        notes.append(
            f"the space group {group!r} is left out: the cell repeats the atoms of the file alone; write all copies of "
            "the unit cell into the file for the crystal, or use --no-cell for the molecule"
        )
    return cellpar_to_cell(parameters), notes


def _guessed(lines: Sequence[str], rows: Sequence[_Row]) -> list[str]:
    guessed = [row for row in rows if not (stated := _element_columns(lines[row.line - 1])[0]) or stated.isdigit()]
    if not guessed:
        return []
    named = ", ".join(dict.fromkeys(f"{row.name} as {row.symbol}" for row in guessed))
    short = named if len(named) < 80 else named[:80].rpartition(",")[0] + ", ..."
    return [f"columns 77 and 78 name no element for {len(guessed)} atoms, so names were read as elements: {short}"]


def _in_part(rows: Sequence[_Row]) -> list[str]:
    """Atoms that are there in part, without another location; columns that say the same of all say nothing."""
    part = [row for row in rows if not row.alternate and 0.0 < row.occupancy < 0.999]
    if not part or len({row.occupancy for row in rows}) == 1:
        return []
    first = part[0]
    return [
        f"{len(part)} atoms are occupied in part and taken for whole ones, such as {first.name} of "
        f"{first.residue[0]} {first.residue[2]} with {first.occupancy:g}"
    ]


def _without_hydrogens(rows: Sequence[_Row]) -> list[str]:
    """Residues of biomolecules and waters that have no hydrogen at all, as crystal structures leave them."""
    with_hydrogen = {row.residue for row in rows if row.symbol == "H"}
    bare = sorted({row.residue for row in rows if row.residue[0] in RESIDUES} - with_hydrogen)
    if not bare:
        return []
    name, chain, number = bare[0]
    return [
        f"{len(bare)} residues have no hydrogens, such as {name} {chain}{number}: what is computed is not the molecule "
        "that is meant; add hydrogens first, for example with PDBFixer or pdb2pqr"
    ]


def _atoms(rows: Sequence[_Row], cell: np.ndarray | None) -> ase.Atoms:
    atoms = ase.Atoms([row.symbol for row in rows], [row.position for row in rows], cell=cell, pbc=cell is not None)
    if any(row.mass is not None for row in rows):
        atoms.set_masses(
            [old if row.mass is None else row.mass for row, old in zip(rows, atoms.get_masses(), strict=True)]
        )
    if any(row.charge is not None for row in rows):
        atoms.arrays["formal_charges"] = np.array([row.charge or 0 for row in rows])
    atoms.arrays["atomtypes"] = np.array([row.name for row in rows])
    atoms.arrays["residuenames"] = np.array([row.residue[0] for row in rows])
    numbers = [re.sub(r"[^-\d]", "", row.residue[2]) for row in rows]  # without insertion codes
    atoms.arrays["residuenumbers"] = np.array([int(one) if one.strip("-") else 0 for one in numbers])
    return atoms
