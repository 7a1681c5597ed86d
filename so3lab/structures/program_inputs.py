"""How inputs of ORCA and Q-Chem are read: charge, multiplicity and Cartesian coordinates in Å between two marks.

ORCA has ``* xyz CHARGE MULTIPLICITY`` and ends with ``*``, Q-Chem ``$molecule`` with both numbers in the next line and
``$end`` (their manuals). What stands in other files, and internal coordinates, are refused by name.
"""

import re
from pathlib import Path

from so3lab.structures.understood import Content
from so3lab.structures.xyz import frame_of_text

_ORCA = re.compile(r"^\s*\*\s*(?P<kind>\w+)(?P<rest>[^\n]*)\n(?P<rows>.*?)^\s*\*\s*$", re.MULTILINE | re.DOTALL)
_ORCA_FILE = re.compile(r"^\s*\*\s*(xyzfile|gzmtfile)\s+-?\d+\s+\d+\s+(\S+)", re.MULTILINE | re.IGNORECASE)
_QCHEM = re.compile(
    r"^\s*\$molecule\s*\n(?P<rest>[^\n]*)\n(?P<rows>.*?)^\s*\$end", re.MULTILINE | re.DOTALL | re.IGNORECASE
)
_BOHR = re.compile(r"^\s*!.*\bbohrs?\b", re.MULTILINE | re.IGNORECASE)
_ELECTRONS = re.compile(r"\s*([+-]?\d+)\s+(\d+)\s*")


def input_of_program(path: Path) -> Content | None:
    """The structure of an input of ORCA or Q-Chem; None where it is neither.

    Raises:
        ValueError: If the coordinates stand elsewhere, are no Cartesian ones in Å, or charge and multiplicity lack.
    """
    text = path.read_text(errors="replace")
    if found := _ORCA_FILE.search(text):
        raise ValueError(f"{path} names the file {found[2]}, in which its coordinates stand; give that file")
    if found := _QCHEM.search(text):
        return _content(path, "input of Q-Chem", found)
    found = _ORCA.search(text)
    if found is None:
        return None
    if found["kind"].lower() != "xyz" or _BOHR.search(text):
        raise ValueError(f"{path}: coordinates must be '* xyz', Cartesian ones in Å, got {found[0].splitlines()[0]!r}")
    return _content(path, "input of ORCA", found)


def _content(path: Path, format: str, found: re.Match[str]) -> Content:
    electrons = _ELECTRONS.fullmatch(found["rest"])
    rows = [line for line in found["rows"].splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if electrons is None or not rows:
        raise ValueError(
            f"{path}: charge, multiplicity and atoms must follow each other, got {found['rest'].strip()!r}"
        )
    try:
        atoms = frame_of_text("\n".join([str(len(rows)), "", *rows]))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    atoms.info.update(charge=int(electrons[1]), multiplicity=int(electrons[2]))
    return Content(atoms, format)
