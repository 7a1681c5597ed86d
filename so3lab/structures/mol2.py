"""How MOL2 files are read: SYBYL, GAFF and AMBER types, partial charges and what they add up to, cells, dummies.

Records are those of the Tripos Mol2 file format. Charges of its atoms are partial ones whatever their kind, so that the
total charge is their sum; where a file has none, attributes of atoms, else bonds and types tell formal charges.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ase
import numpy as np
from ase.data import atomic_numbers
from ase.geometry import cellpar_to_cell

from so3lab.structures.comment_electrons import unread_in_title
from so3lab.structures.pdb import PLACEHOLDER
from so3lab.structures.sdf import in_space
from so3lab.structures.smiles import atoms_of
from so3lab.structures.understood import Content, Several

_MOLECULE, _ATOM, _BOND = "@<TRIPOS>MOLECULE", "@<TRIPOS>ATOM", "@<TRIPOS>BOND"
_CELL, _ATTRIBUTES = "@<TRIPOS>CRYSIN", "@<TRIPOS>UNITY_ATOM_ATTR"
_NEIGHBOURS = {"C.3": 4, "C.2": 3, "C.ar": 3, "C.cat": 3, "C.1": 2}
"""How many a carbon of such a type has."""
_PLACEHOLDERS = frozenset(("du", "lp", "any", "hal", "het", "hev", "x", "ep"))
_SYBYL = re.compile(r"([A-Z][a-z]?)(\.\w+)?")
_ONE_LETTER = frozenset("HCNOSPFI")
"""Elements of types of AMBER and GAFF, which begin with them, but for Cl and Br."""
_AMBIGUOUS = frozenset(("CA", "CO", "CU", "CD", "CR", "FE", "HG", "HE", "HO", "IN", "IR", "NA", "NI", "NE", "OS", "PD",
                        "PT", "PB", "SE", "SI", "SN", "SR"))  # fmt: skip
"""Capitals that are a metal for some and a type of AMBER for others; the name of the atom decides."""


class _Row(NamedTuple):
    """One line of an ATOM record."""

    line: int
    name: str
    position: tuple[float, float, float]
    kind: str
    symbol: str
    residue: str
    charge: float | None


class _Section(NamedTuple):
    """Lines of one record of one molecule, without comments, with their numbers in the file."""

    record: str
    lines: list[tuple[int, str]]


def molecules_of_mol2(path: Path, seed: int = 0) -> Several:
    """The molecules of a MOL2 file.

    Args:
        path: The file.
        seed: Of the embedding of a drawing.

    Returns:
        Each as atoms with names and residues; partial charges are ``initial_charges``. A record ``CRYSIN`` is its cell.

    Raises:
        ValueError: If a record cannot be understood, or an atom is a dummy; the sentence names line and token.
    """
    text = path.read_bytes().decode("utf-8-sig", errors="replace")
    molecules = _molecules(text.splitlines())
    if not molecules:
        raise ValueError(f"{path} holds no molecule: no line is {_MOLECULE}")
    return Several(path, "molecules", len(molecules), lambda number: _content(molecules[number], path, seed))


def _content(sections: Sequence[_Section], path: Path, seed: int) -> Content:
    rows = [row for section in sections if section.record == _ATOM for row in _rows(section, path)]
    _check_count(sections, len(rows), path)
    cell, about_cell = _cell(sections, path)
    atoms, about_atoms = _atoms(rows, _rdkit_molecule(sections, rows), path, seed)
    if (formal := _formal_charge(sections, path)) is not None:
        atoms.info["charge"] = formal
    if cell is not None:
        atoms.cell, atoms.pbc = cell, True
    title = next((line for _, line in sections[0].lines), "")
    return Content(atoms, "MOL2", [*about_atoms, *about_cell, *unread_in_title(atoms, title)])


def _molecules(lines: Sequence[str]) -> list[list[_Section]]:
    """Records of each molecule; a line that ends with a backslash goes on in the next."""
    molecules: list[list[_Section]] = []
    kept, started = "", 0
    for number, raw in enumerate(lines, start=1):
        started = number if not kept else started
        line = kept + raw
        if line.rstrip().endswith("\\"):
            kept = line.rstrip()[:-1] + " "
            continue
        kept = ""
        if line.startswith("@<TRIPOS>"):
            if line.strip() == _MOLECULE:
                molecules.append([])
            if molecules:
                molecules[-1].append(_Section(line.strip(), []))
        elif molecules and not line.lstrip().startswith("#"):
            molecules[-1][-1].lines.append((started, line))
    return molecules


def _rows(section: _Section, path: Path) -> list[_Row]:
    return [_row(line.split(), f"{path}, line {number}", number) for number, line in section.lines if line.strip()]


def _row(words: Sequence[str], where: str, number: int) -> _Row:
    if len(words) < 6:
        raise ValueError(f"{where}: an atom must be id, name, x, y, z and type, got {' '.join(words)!r}")
    x, y, z = (_number(word, where, "a coordinate") for word in words[2:5])
    charge = _number(words[8], where, "a charge") if len(words) > 8 else None
    symbol = _element(words[5], words[1], where)
    return _Row(number, words[1], (x, y, z), words[5], symbol, words[7] if len(words) > 7 else "", charge)


def _number(word: str, where: str, what: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise ValueError(f"{where}: {what} must be a finite number, got {word!r}")
    return value


def _element(kind: str, name: str, where: str) -> str:
    """Element of a type of SYBYL (``C.ar``), GAFF (``ca``) or AMBER (``CT``)."""
    if kind.partition(".")[0].lower() in _PLACEHOLDERS:
        raise ValueError(
            f"{where}: dummies, lone pairs and wildcards have no place in a structure, got the type {kind!r} of the "
            f"atom {name!r}; remove it or give it an element"
        )
    sybyl = _SYBYL.fullmatch(kind)
    if sybyl and sybyl[1] in atomic_numbers:
        return sybyl[1]
    letters = re.sub(r"[^A-Za-z].*", "", kind)
    if letters.upper() in ("CL", "BR"):
        return letters.capitalize()
    if letters.isupper() and letters in _AMBIGUOUS:
        named = re.sub(r"[^A-Za-z].*", "", name)
        if named.upper() == letters:
            raise ValueError(
                f"{where}: the type {kind!r} of the atom {name!r} is {letters.capitalize()} to some programs and a "
                f"kind of {letters[0]} to others; write {letters.capitalize()}, or a type of SYBYL such as "
                f"{letters[0]}.3"
            )
    elif letters.isupper() and letters.capitalize() in atomic_numbers and letters[0] not in _ONE_LETTER:
        return letters.capitalize()
    if letters[:1].upper() in _ONE_LETTER:
        return letters[0].upper()
    raise ValueError(f"{where}: the type must name an element, as C.3 and Na do, got {kind!r} for the atom {name!r}")


def _check_count(sections: Sequence[_Section], found: int, path: Path) -> None:
    header = sections[0].lines
    counts = header[1] if len(header) > 1 else (header[0][0] if header else 1, "")
    promised = (counts[1].split() or [""])[0]
    if not promised.isdigit():
        raise ValueError(
            f"{path}, line {counts[0]}: the number of atoms must stand in the second line of {_MOLECULE}, got "
            f"{counts[1].strip()!r}"
        )
    if int(promised) != found:
        raise ValueError(
            f"{path}, line {counts[0]}: the molecule must have {promised} atoms, but {found} follow; is the file "
            "complete?"
        )


def _cell(sections: Sequence[_Section], path: Path) -> tuple[np.ndarray | None, list[str]]:
    """The cell of ``CRYSIN``, three lengths, three angles, space group and setting; and what is to say of it."""
    lines = [line for section in sections if section.record == _CELL for line in section.lines if line[1].strip()]
    if not lines:
        return None, []
    number, line = lines[0]
    words = line.split()
    if len(words) < 6:
        raise ValueError(
            f"{path}, line {number}: CRYSIN must hold three lengths and three angles, got {line.strip()!r}"
        )
    parameters = [_number(word, f"{path}, line {number}", "CRYSIN") for word in words[:6]]
    if min(parameters[:3]) < PLACEHOLDER:
        return None, ["a CRYSIN record with an edge below 2 Å is a placeholder: a molecule without a cell"]
    if len(words) > 6 and words[6] not in ("0", "1"):
        return cellpar_to_cell(parameters), [
            f"the space group number {words[6]} is left out: the cell repeats the atoms of the file alone; write all "
            "copies of the unit cell into the file for the crystal, or use --no-cell for the molecule"
        ]
    return cellpar_to_cell(parameters), []


def _rdkit_molecule(sections: Sequence[_Section], rows: Sequence[_Row]) -> Any:
    """The molecule with its bonds, as RDKit reads types of SYBYL; None where it cannot."""
    from rdkit import Chem, rdBase

    used = [section for section in sections if section.record in (_MOLECULE, _ATOM, _BOND)]
    block = "\n".join("\n".join([section.record, *(line for _, line in section.lines)]) for section in used)
    with rdBase.BlockLogs():
        try:
            molecule = Chem.MolFromMol2Block(block + "\n", sanitize=False, removeHs=False)
        except RuntimeError:  # an invariant of RDKit that a record violates
            return None
    symbols = [atom.GetSymbol() for atom in molecule.GetAtoms()] if molecule is not None else []
    if symbols != [row.symbol for row in rows] or not molecule.GetNumBonds():
        return None
    if _lacks_hydrogens(molecule, rows):
        for atom in molecule.GetAtoms():
            atom.SetNoImplicit(False)
    return molecule


def _lacks_hydrogens(molecule: Any, rows: Sequence[_Row]) -> bool:
    """Whether carbons have fewer neighbours than their types ask for, and no hydrogen: one with some is a radical."""
    lacking = [
        atom
        for atom, row in zip(molecule.GetAtoms(), rows, strict=True)
        if atom.GetDegree() < _NEIGHBOURS.get(row.kind, 0)
    ]
    bare = [atom for atom in lacking if all(other.GetAtomicNum() != 1 for other in atom.GetNeighbors())]
    return bool(lacking) and len(bare) == len(lacking)


def _formal_charge(sections: Sequence[_Section], path: Path) -> int | None:
    """The sum of ``charge`` among the attributes of atoms, where the file has them."""
    lines = [line for section in sections if section.record == _ATTRIBUTES for line in section.lines]
    charges = [(number, words[1]) for number, line in lines if (words := line.split())[:1] == ["charge"] and words[1:]]
    for number, word in charges:
        if not re.fullmatch(r"[+-]?\d+", word):
            raise ValueError(
                f"{path}, line {number}: the formal charge of an atom must be a whole number, got {word!r}"
            )
    return sum(int(word) for _, word in charges) if charges else None


def _atoms(rows: Sequence[_Row], molecule: Any, path: Path, seed: int) -> tuple[ase.Atoms, list[str]]:
    """Atoms with their charges; hydrogens that are left out are added, drawings embedded."""
    notes: list[str] = []
    charges = np.array([row.charge or 0.0 for row in rows])
    atoms = ase.Atoms([row.symbol for row in rows], [row.position for row in rows])
    if molecule is not None:
        complete, notes = in_space(molecule, "", path, seed)
        found = atoms_of(complete, complete.GetConformer().GetPositions())
        formal = found.info["charge"]
        atoms = ase.Atoms(found.numbers, found.positions)
        charges = np.concatenate([charges, np.zeros(len(atoms) - len(rows))])
        if not charges.any() and formal:
            notes.append(f"the file has no charges; its bonds and types say a total charge of {formal:+d} e")
            atoms.info["charge"] = formal
    if charges.any():
        atoms.set_initial_charges(charges)
    added = len(atoms) - len(rows)
    atoms.arrays["atomtypes"] = np.array([row.name for row in rows] + ["H"] * added)
    atoms.arrays["residuenames"] = np.array([row.residue for row in rows] + [""] * added)
    return atoms, notes
