"""How MOL and SDF files are read: formal charges, radicals, isotopes, drawings on paper, hydrogens left out."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ase
import numpy as np

from so3lab.structures.comment_electrons import unread_in_title
from so3lab.structures.electrons import BY_BONDS, is_charge_key, is_spin_key, sounds_like_electrons, stated_charge
from so3lab.structures.smiles import atoms_of, embedded
from so3lab.structures.understood import Content, Several

_SEPARATOR = "$$$$"
_OF_ATOMS = re.compile("partial|atomic|charges$", re.IGNORECASE)
"""In names of lists for the atoms, of which the first line is a count."""
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d*)?")


def molecules_of_sdf(path: Path, seed: int = 0) -> Several:
    """The molecules of a MOL or SDF file.

    Args:
        path: The file, with molecules of version V2000 or V3000.
        seed: Of the embedding of a drawing.

    Returns:
        Each as atoms with the formal charges (``M  CHG``, or the column of the atom block where there is none) as an
        array ``formal_charges``, and ``info["spin"]``, the unpaired electrons of ``M  RAD``. Where bonds do not add up
        and no charge is there, ``info["unpaired_by_bonds"]`` is 0, so that odd numbers of electrons are refused.

    Raises:
        ValueError: If the file holds none; of each, if it cannot be understood, holds query atoms, is a drawing that
            cannot be embedded, or lacks hydrogens whose number a total charge without formal ones leaves open.
    """
    text = path.read_bytes().decode("utf-8-sig", errors="replace").replace("\r\n", "\n")
    entries = [entry for entry in text.split(_SEPARATOR) if entry.strip()]
    if not entries:
        raise ValueError(f"{path} holds no molecule")
    return Several(path, "molecules", len(entries), lambda number: _molecule(entries, number, path, seed))


def _molecule(entries: Sequence[str], number: int, path: Path, seed: int) -> Content:
    from rdkit import Chem, rdBase

    entry = entries[number] if number == 0 else entries[number].removeprefix("\n")
    first_line = 1 + "".join(entries[:number]).count("\n") + (number > 0)
    with rdBase.BlockLogs():
        molecule = Chem.MolFromMolBlock(entry, sanitize=False, removeHs=False, strictParsing=False)
        if molecule is None or not molecule.GetNumAtoms():
            raise ValueError(f"{path}: {_what_is_wrong(entry, first_line)}")
        _check_atoms(molecule, path, first_line)
        _take_old_radicals(molecule, entry)
        in_file = molecule.GetNumAtoms()
        problems = Chem.DetectChemistryProblems(molecule)
        molecule, notes = in_space(molecule, entry, path, seed)
    atoms = atoms_of(molecule, molecule.GetConformer().GetPositions())
    charges = [atom.GetFormalCharge() for atom in molecule.GetAtoms()]
    del atoms.info["charge"]
    if any(charges):
        atoms.arrays["formal_charges"] = np.array(charges)
    atoms.info["spin"] -= 2 * _singlets(entry)
    if not atoms.info["spin"] and not _singlets(entry):
        del atoms.info["spin"]  # bonds without a radical say nothing of it
    _take_data(atoms, entry)
    if problems and not stated_charge(atoms).source and "spin" not in atoms.info:
        atoms.info[BY_BONDS] = 0
    if len(atoms) > in_file and not any(charges) and (total := stated_charge(atoms)).value:
        raise ValueError(
            f"{path} must give its atoms formal charges (M  CHG): its bonds lack hydrogens, {len(atoms) - in_file} of "
            f"a neutral molecule, but {total.source} is {total.value:+g}"
        )
    notes = [*notes, *unread_in_title(atoms, entry.partition("\n")[0])]
    return Content(atoms, "SDF" if path.suffix.lower() == ".sdf" else "MOL", notes)


def _what_is_wrong(entry: str, first_line: int) -> str:
    """RDKit says only that it cannot; the line of counts is what is wrong most often."""
    lines = entry.split("\n")
    if len(lines) < 4 or not ("V2000" in lines[3] or "V3000" in lines[3] or lines[3][:3].strip().isdigit()):
        found = lines[3].strip() if len(lines) > 3 else ""
        return f"line {first_line + 3} must begin with the numbers of atoms and bonds (V2000 or V3000), got {found!r}"
    if lines[3][:3].strip().isdigit() and len(lines) < 4 + int(lines[3][:3]):
        return f"line {first_line + 3} promises {int(lines[3][:3])} atoms, but the file ends before; is it complete?"
    rows = range(4, 4 + int(lines[3][:3])) if lines[3][:3].strip().isdigit() else range(0)
    for row in rows:
        for word in lines[row].split()[:3]:
            try:
                float(word)
            except ValueError:
                return f"line {first_line + row}: a coordinate must be a number, got {word!r}"
    return f"RDKit cannot read the molecule that begins at line {first_line}"


def _check_atoms(molecule: Any, path: Path, first_line: int) -> None:
    for atom in molecule.GetAtoms():
        if not atom.GetAtomicNum() or atom.HasQuery():
            line = first_line + 4 + atom.GetIdx()
            raise ValueError(
                f"{path}, line {line}: every atom must be an element, and atom {atom.GetIdx()} is a placeholder or a "
                f"query ({atom.GetSymbol()!r}); replace it"
            )


def in_space(molecule: Any, entry: str, path: Path, seed: int) -> tuple[Any, list[str]]:
    """RDKit's molecule in three dimensions with all hydrogens, and what was done for it.

    Args:
        molecule: With a conformer, not sanitized yet.
        entry: Its lines in the file, of which the second may say whether it is a drawing.
        path: The file, for refusals.
        seed: Of the embedding of a drawing.

    Raises:
        ValueError: If it is a drawing that cannot be embedded.
    """
    from rdkit import Chem

    if molecule.GetNumAtoms() > 1 and not molecule.GetNumBonds():
        return molecule, ["the file has no bonds, so that it cannot be asked for hydrogens or charges"]
    problems = Chem.DetectChemistryProblems(molecule)
    drawn = _is_drawing(molecule, entry)
    if problems:
        if drawn:
            raise ValueError(
                f"{path} is a drawing in two dimensions, and cannot be embedded in three: {problems[0].Message()}"
            )
        return molecule, [f"the bonds do not add up, so a formal charge may be missing: {problems[0].Message()}"]
    Chem.SanitizeMol(molecule)
    missing = sum(atom.GetTotalNumHs() for atom in molecule.GetAtoms())
    complete = Chem.AddHs(molecule, addCoords=not drawn)
    added = f"hydrogens that the file leaves out were added: {missing}"
    if not drawn:
        return complete, [added] if missing else []
    Chem.AssignChiralTypesFromBondDirs(complete)
    Chem.AssignStereochemistry(complete, cleanIt=True, force=True)
    places = embedded(complete, str(path), seed)
    conformer = Chem.Conformer(complete.GetNumAtoms())
    for atom, place in enumerate(places - places.mean(axis=0)):
        conformer.SetAtomPosition(atom, place.tolist())
    complete.RemoveAllConformers()
    complete.AddConformer(conformer)
    notes = ["a drawing in two dimensions, which was embedded in three"]
    return complete, [*notes, added] if missing else notes


def _is_drawing(molecule: Any, entry: str) -> bool:
    """Whether coordinates are those of paper, or none at all: the file says so, all are the same, or all lie in a plane
    although an atom is tetrahedral or has hydrogens that are left out."""
    dimensions = entry.split("\n")[1][20:22] if entry.count("\n") else ""
    if dimensions == "2D":
        return True
    spread = np.ptp(molecule.GetConformer().GetPositions(), axis=0)
    if molecule.GetNumAtoms() > 1 and not spread.any():
        return True
    if dimensions == "3D" or spread[2] > 1e-4:
        return False
    from rdkit import Chem

    copy = Chem.Mol(molecule)
    copy.UpdatePropertyCache(strict=False)
    return any(
        atom.GetDegree() + atom.GetTotalNumHs() == 4 or (atom.GetTotalNumHs() and atom.GetAtomicNum() > 1)
        for atom in copy.GetAtoms()
    )


def _take_old_radicals(molecule: Any, entry: str) -> None:
    """Doublet radicals of the atom block's column of charges, which counts where no line of properties does."""
    lines = entry.split("\n")
    if "V3000" in entry or any(line.startswith(("M  CHG", "M  RAD")) for line in lines):
        return
    for atom, row in zip(molecule.GetAtoms(), lines[4:], strict=False):
        if row[36:39].strip() == "4":
            atom.SetNumRadicalElectrons(1)


def _singlets(entry: str) -> int:
    """Atoms whose two electrons are paired, as in singlet carbenes; RDKit counts them as unpaired all the same."""
    of_lists = [line.split()[4::2] for line in entry.split("\n") if line.startswith("M  RAD")]
    old = sum(word == "1" for words in of_lists for word in words)
    return old + len(re.findall(r"(?m)^M  V30 .*\bRAD=1\b", entry))


def _take_data(atoms: ase.Atoms, entry: str) -> None:
    """A total charge and a spin among the data behind a molecule, such as PubChem's, with their names; and a number
    that sounds like one, so that it is said to be left out."""
    for name, value in _data(entry).items():
        unknown = sounds_like_electrons(name) and not _OF_ATOMS.search(name) and _NUMBER.fullmatch(value)
        if value and (is_charge_key(name) or is_spin_key(name) or unknown):
            atoms.info[name] = value


def _data(entry: str) -> Mapping[str, str]:
    lines = entry.split("\n")
    found = {}
    for number, line in enumerate(lines[:-1]):
        if line.startswith(">") and "<" in line:
            found[line.partition("<")[2].partition(">")[0]] = lines[number + 1].strip()
    return found
