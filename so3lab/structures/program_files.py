"""Charge and multiplicity in inputs and outputs of quantum chemistry, which ASE reads the coordinates of alone.

Names are those of the manuals: ``tot_charge`` and ``tot_magnetization`` of Quantum ESPRESSO's pw.x, ``CHARGE`` and
``SPIN`` of CASTEP, ``CHARGE`` and ``MULTIPLICITY`` of CP2K's section DFT, ``$eht`` of Turbomole. VASP says neither, but
``NELECT``, which with the valence of each kind of atoms gives the charge, as "number of electrons" of pw.x does.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

_CHARGE = r"([+-]?\d+\.?\d*)"
_EXPONENTIAL = r"([+-]?\d*\.?\d+[eE][+-]?\d+)"
_OUTPUTS = {
    "charge": (
        re.compile(r"Charge\s*=\s*(-?\d+)\s+Multiplicity\s*=\s*\d+"),  # Gaussian
        re.compile(r"Total Charge\s+Charge\s+\.{4}\s+(-?\d+)"),  # ORCA
        re.compile(rf"^ +(?:Charge {{5,}}:|charge {{6,}}=) +{_CHARGE}", re.MULTILINE),  # NWChem's DFT and SCF
        re.compile(rf"CHARGE OF MOLECULE\s*=\s*{_CHARGE}"),  # GAMESS
        re.compile(rf"Charged system requested\s*:\s*Charge\s*=\s*{_EXPONENTIAL}"),  # FHI-aims
        re.compile(rf"\bCharge\s*=\s*{_EXPONENTIAL}\s*: (?:Charged|Neutral) system"),
        re.compile(rf"net\s+charge of system\s*:\s*{_CHARGE}"),  # CASTEP
    ),
    "multiplicity": (
        re.compile(r"Charge\s*=\s*-?\d+\s+Multiplicity\s*=\s*(\d+)"),
        re.compile(r"Multiplicity\s+Mult\s+\.{4}\s+(\d+)"),
        re.compile(r"^ +Spin multiplicity *: +(\d+)", re.MULTILINE),
        re.compile(r"SPIN MULTIPLICITY\s*=\s*(\d+)"),
    ),
}
_VASP_ELECTRONS = re.compile(r"NELECT(?:\s*=|\">)\s*(\d+\.?\d*)")
_VASP_VALENCES = re.compile(r"Ionic Valenz\s*\n\s*ZVAL\s*=([ \d.]+)")
_VASP_COUNTS = re.compile(r"ions per type\s*=([ \d]+)")
_VASP_KINDS = re.compile(r"<rc><c>\s*(\d+)\s*</c><c>[^<]*</c><c>[^<]*</c><c>\s*(\d+\.?\d*)\s*</c><c>")
_PW_ELECTRONS = re.compile(r"^ *number of electrons *= *(\d+\.?\d*)", re.MULTILINE)
_PW_KINDS = re.compile(
    r"^ *atomic species +valence +mass +pseudopotential *\n((?: +\S+ +\d+\.\d+ +\d+\.\d+ .*\n)+)", re.MULTILINE
)
_PW_ATOMS = re.compile(r"^ +(\d+) +(\S+) +tau\( *\d+\) *=", re.MULTILINE)
_END_OF_JOB = {
    "gaussian-out": re.compile(r"^ Normal termination of Gaussian.*\n", re.MULTILINE),
    "orca-output": re.compile(r"^.*\b(?:JOB NUMBER|COMPOUND JOB) +\d+.*\n", re.MULTILINE),
    "nwchem-out": re.compile(r"^ +NWChem Input Module *\n", re.MULTILINE),
}
"""Lines between jobs of one output, by ASE's name of the format."""
_NWCHEM_GEOMETRY = re.compile(
    r'^[ \t]+Geometry "[^\n]*\n(?:[^\n]*\n){3,9}?^ *No\. +Tag[^\n]*\n[^\n]*\n(?:^(?: +\S+){6} *\n)+', re.MULTILINE
)
"""A geometry as it is printed, with its table of atoms."""
_ORCA_END = "ORCA TERMINATED NORMALLY"
_SAME_CHARGE = 1e-3
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
        path: An output of Gaussian, ORCA, NWChem, GAMESS, FHI-aims, CASTEP, VASP (``OUTCAR``, ``vasprun.xml``) or
            pw.x, an input of Quantum ESPRESSO, CASTEP (``.cell``), CP2K or Turbomole, Avogadro's Chemical JSON; of
            others nothing is known.
    """
    if not path.is_file():
        return {}
    with path.open("rb") as file:
        content = file.read(_MOST_BYTES)
    if b"\0" in content[:1000]:
        return {}  # no text
    text = content.decode("utf-8", errors="replace").replace("\r\n", "\n")
    if path.suffix.lower() == ".cell":
        return _of_castep(path, text)
    if path.suffix.lower() == ".cjson":
        return _of_chemical_json(text)
    found = _of_vasp(text) or _of_output(text) or _of_pw(text)
    return found if found or path.suffix.lower() in (".log", ".out") else _of_input(text)


def jobs_of_output(path: Path, format: str) -> list[str]:
    """The parts of an output of several jobs that state different charges or multiplicities; none where they agree.

    Args:
        path: The output.
        format: ASE's name of its format.
    """
    if format not in _END_OF_JOB:
        return []
    text = path.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n")
    pieces = _END_OF_JOB[format].split(text)
    if format == "nwchem-out":
        pieces = list(_with_geometries(pieces))
    pieces = [piece for piece in pieces if _of_output(piece)]
    if all(_of_output(piece) == _of_output(pieces[0]) for piece in pieces):
        return []
    if _ORCA_END in text:  # which stands once, behind the last job
        pieces = [piece if _ORCA_END in piece else f"{piece}\n{_ORCA_END}\n" for piece in pieces]
    return pieces


def _with_geometries(pieces: list[str]) -> Iterator[str]:
    """Tasks of NWChem, each with the geometry before it where it does not print its own."""
    latest = ""
    for piece in pieces:
        found = _NWCHEM_GEOMETRY.findall(piece)
        yield piece if found else f"\n{latest}\n{piece}"
        latest = found[-1] if found else latest


def _of_output(text: str) -> dict[str, float]:
    found = {}
    for key, patterns in _OUTPUTS.items():
        match = next((match for pattern in patterns if (match := pattern.search(text))), None)
        if match:
            found[key] = float(match[1])
    return found


def _of_vasp(text: str) -> dict[str, float]:
    """Electrons of the neutral atoms' valence that lack."""
    electrons = _VASP_ELECTRONS.search(text)
    if electrons is None:
        return {}
    if kinds := _VASP_KINDS.findall(text):
        counts, valences = ([float(kind[column]) for kind in kinds] for column in (0, 1))
    else:
        lists = [pattern.search(text) for pattern in (_VASP_COUNTS, _VASP_VALENCES)]
        counts, valences = ([float(word) for word in found[1].split()] if found else [] for found in lists)
    if not counts or len(counts) != len(valences):
        return {}
    charge = float(np.dot(counts, valences)) - float(electrons[1])
    return {"charge": charge if abs(charge) > _SAME_CHARGE else 0.0}


def _of_pw(text: str) -> dict[str, float]:
    """Of an output of Quantum ESPRESSO: the valence of all atoms of the first structure less its electrons."""
    electrons, kinds = _PW_ELECTRONS.search(text), _PW_KINDS.search(text)
    if electrons is None or kinds is None:
        return {}
    valences = {row.split()[0]: float(row.split()[1]) for row in kinds[1].splitlines()}
    labels = dict(_PW_ATOMS.findall(text)).values()  # each atom is listed once or twice
    if not labels or not set(labels) <= set(valences):
        return {}
    charge = sum(valences[label] for label in labels) - float(electrons[1])
    return {"charge": charge if abs(charge) > _SAME_CHARGE else 0.0}


def _of_chemical_json(text: str) -> dict[str, float]:
    """What Avogadro says of the molecule as a whole."""
    try:
        properties = json.loads(text).get("properties", {})
    except (ValueError, AttributeError):
        return {}
    names = {"charge": "totalCharge", "multiplicity": "totalSpinMultiplicity"}
    return {key: float(properties[name]) for key, name in names.items() if name in properties}


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
