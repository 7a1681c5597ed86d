"""Charge and multiplicity in outputs of quantum chemistry, which ASE reads the coordinates of alone."""

import re
from pathlib import Path

_GAUSSIAN_OUTPUT = re.compile(r"Charge\s*=\s*(-?\d+)\s+Multiplicity\s*=\s*(\d+)")
_ORCA_CHARGE = re.compile(r"Total Charge\s+Charge\s+\.\.\.\.\s+(-?\d+)")
_ORCA_MULTIPLICITY = re.compile(r"Multiplicity\s+Mult\s+\.\.\.\.\s+(\d+)")
_MOST_BYTES = 5_000_000


def stated_in_program_files(path: Path) -> dict[str, int]:
    """Charge and multiplicity that a program's file states, under the names of :mod:`so3lab.structures.electrons`.

    Args:
        path: The file: an output (``.log``, ``.out``) of Gaussian or ORCA; of others nothing is known.
    """
    kind = path.suffix.lower()
    if kind not in (".log", ".out"):
        return {}
    with path.open(errors="replace") as file:
        text = file.read(_MOST_BYTES)
    if match := _GAUSSIAN_OUTPUT.search(text):
        return {"charge": int(match[1]), "multiplicity": int(match[2])}
    charge, multiplicity = _ORCA_CHARGE.search(text), _ORCA_MULTIPLICITY.search(text)
    return {"charge": int(charge[1]), "multiplicity": int(multiplicity[1])} if charge and multiplicity else {}
