"""Charge and multiplicity in inputs and outputs of quantum chemistry, which ASE reads the coordinates of alone."""

import re
from pathlib import Path
from typing import Any

import ase

_GAUSSIAN_OUTPUT = re.compile(r"Charge\s*=\s*(-?\d+)\s+Multiplicity\s*=\s*(\d+)")
_ORCA_CHARGE = re.compile(r"Total Charge\s+Charge\s+\.\.\.\.\s+(-?\d+)")
_ORCA_MULTIPLICITY = re.compile(r"Multiplicity\s+Mult\s+\.\.\.\.\s+(\d+)")
_MOST_BYTES = 5_000_000


def stated_in_program_files(path: Path, atoms: ase.Atoms) -> dict[str, Any]:
    """Charge and multiplicity that a program's file states, under the names of :mod:`so3lab.structures.electrons`.

    Args:
        path: The file: an input of Gaussian or another program that ASE reads with its settings, an output of Gaussian
            or ORCA.
        atoms: What ASE made of it; the settings of its calculator are looked into.
    """
    settings = dict(getattr(atoms.calc, "parameters", None) or {})
    found = {name: settings[key] for name, key in (("charge", "charge"), ("multiplicity", "mult")) if key in settings}
    if found or path.suffix.lower() not in (".log", ".out"):
        return found
    with path.open(errors="replace") as file:
        text = file.read(_MOST_BYTES)
    if match := _GAUSSIAN_OUTPUT.search(text):
        return {"charge": int(match[1]), "multiplicity": int(match[2])}
    charge, multiplicity = _ORCA_CHARGE.search(text), _ORCA_MULTIPLICITY.search(text)
    return {"charge": int(charge[1]), "multiplicity": int(multiplicity[1])} if charge and multiplicity else {}
