"""Charge and multiplicity in inputs and outputs of quantum chemistry, which ASE reads the coordinates of alone.

Names are those of the manuals: ``tot_charge`` and ``tot_magnetization`` of Quantum ESPRESSO's pw.x, ``CHARGE`` and
``SPIN`` of CASTEP, ``CHARGE`` and
``MULTIPLICITY`` of CP2K's section DFT, ``$eht`` of Turbomole.
"""

import re
from pathlib import Path

_GAUSSIAN_OUTPUT = re.compile(r"Charge\s*=\s*(-?\d+)\s+Multiplicity\s*=\s*(\d+)")
_ORCA_CHARGE = re.compile(r"Total Charge\s+Charge\s+\.\.\.\.\s+(-?\d+)")
_ORCA_MULTIPLICITY = re.compile(r"Multiplicity\s+Mult\s+\.\.\.\.\s+(\d+)")
_CHARGE = r"([+-]?\d+\.?\d*)"
_ESPRESSO = re.compile(rf"^[^!\n]*\btot_charge\s*=\s*{_CHARGE}", re.IGNORECASE | re.MULTILINE)
_ESPRESSO_MOMENT = re.compile(r"^[^!\n]*\btot_magnetization\s*=\s*(\d+\.?\d*)", re.IGNORECASE | re.MULTILINE)
_CASTEP_SPIN = re.compile(r"^\s*SPIN\s*[:=\s]\s*(\d+\.?\d*)", re.IGNORECASE | re.MULTILINE)
_CASTEP = re.compile(rf"^\s*CHARGE\s*[:=\s]\s*{_CHARGE}", re.IGNORECASE | re.MULTILINE)
_OF_CP2K = re.compile(r"^\s*&DFT\b(.*?)^\s*&END\s+DFT\b", re.IGNORECASE | re.MULTILINE | re.DOTALL)
_CP2K_CHARGE = re.compile(rf"^\s*CHARGE\s+{_CHARGE}", re.IGNORECASE | re.MULTILINE)
_CP2K_MULTIPLICITY = re.compile(r"^\s*MULTIP(?:LICITY)?\s+(\d+)", re.IGNORECASE | re.MULTILINE)
_TURBOMOLE = re.compile(r"^\$eht\b[^$]*", re.MULTILINE)
_MOST_BYTES = 5_000_000


def stated_in_program_files(path: Path) -> dict[str, float]:
    """Charge and multiplicity that a program's file states, under the names of :mod:`so3lab.structures.electrons`.

    Args:
        path: An output (``.log``, ``.out``) of Gaussian or ORCA, an input of Quantum ESPRESSO, CASTEP (``.cell``), CP2K
            or Turbomole; of others nothing is known.
    """
    if not path.is_file():
        return {}
    with path.open(errors="replace") as file:
        text = file.read(_MOST_BYTES)
    if path.suffix.lower() in (".log", ".out"):
        return _of_output(text)
    if path.suffix.lower() == ".cell":
        return _of_castep(path, text)
    return _of_input(text)


def _of_output(text: str) -> dict[str, float]:
    if match := _GAUSSIAN_OUTPUT.search(text):
        return {"charge": int(match[1]), "multiplicity": int(match[2])}
    charge, multiplicity = _ORCA_CHARGE.search(text), _ORCA_MULTIPLICITY.search(text)
    return {"charge": int(charge[1]), "multiplicity": int(multiplicity[1])} if charge and multiplicity else {}


def _of_castep(path: Path, text: str) -> dict[str, float]:
    """Charge and spin (in CASTEP's 1/2 ħ, unpaired electrons) of a cell, or of the parameters that lie beside it."""
    beside = path.with_suffix(".param")
    if beside.is_file():
        text += "\n" + beside.read_text(errors="replace")[:_MOST_BYTES]
    found = {"charge": _CASTEP.search(text), "unpaired_electrons": _CASTEP_SPIN.search(text)}
    return {key: float(match[1]) for key, match in found.items() if match}


def _of_input(text: str) -> dict[str, float]:
    if section := _TURBOMOLE.search(text):
        found = {key: re.search(rf"\b{key}\s*=\s*([+-]?\d+)", section[0]) for key in ("charge", "unpaired")}
    elif section := _OF_CP2K.search(text):
        found = {"charge": _CP2K_CHARGE.search(section[1]), "multiplicity": _CP2K_MULTIPLICITY.search(section[1])}
    else:
        found = {"charge": _ESPRESSO.search(text), "unpaired_electrons": _ESPRESSO_MOMENT.search(text)}
    return {key: float(match[1]) for key, match in found.items() if match}
