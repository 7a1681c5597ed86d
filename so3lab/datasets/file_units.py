"""Which units a data file is in: names of units, fields that state them, and factors to eV and Å."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from so3lab import units

ENERGY_UNITS: dict[str, float] = {
    "eV": 1.0,
    "meV": 1e-3,
    "kcal/mol": units.kcal_per_mol,
    "kJ/mol": units.kJ_per_mol,
    "hartree": units.hartree,
}
"""Value of each energy unit in eV."""

LENGTH_UNITS: dict[str, float] = {"angstrom": 1.0, "bohr": units.bohr, "nm": 10.0}
"""Value of each length unit in Å."""

_SPELLINGS = {
    "ev": "eV",
    "electronvolt": "eV",
    "mev": "meV",
    "kcal/mol": "kcal/mol",
    "kcal": "kcal/mol",
    "kcalmol": "kcal/mol",
    "kcal_mol": "kcal/mol",
    "kcal mol-1": "kcal/mol",
    "kj/mol": "kJ/mol",
    "kj_mol": "kJ/mol",
    "hartree": "hartree",
    "hartrees": "hartree",
    "ha": "hartree",
    "eh": "hartree",
    "angstrom": "angstrom",
    "angstroms": "angstrom",
    "ang": "angstrom",
    "å": "angstrom",
    "ångström": "angstrom",
    "ångstrom": "angstrom",
    "a": "angstrom",
    "bohr": "bohr",
    "a0": "bohr",
    "nm": "nm",
    "nanometer": "nm",
}
_PER_LENGTH = re.compile(r"[\s*·]+([^\s*·/]+?)\s*\^?(?:\*\*)?\{?[-\N{MINUS SIGN}]1\}?$")
"""The end of a force unit that is written as a power: ``eV Å^-1``."""
_PER_MOLE = re.compile(r"\s*(?:/\s*|[\s*·]+)mol(?:e)?(?:\s*\^?(?:\*\*)?\{?[-\N{MINUS SIGN}]1\}?)?$")
_ENERGY_FIELDS = (
    "energy_unit",
    "energy_units",
    "e_unit",
    "unit_energy",
    "E",
    "energy",
    "energies",
    "unit",
    "units",
)
_LENGTH_FIELDS = (
    "length_unit", "length_units", "r_unit", "distance_unit", "position_unit", "coordinate_unit",
    "_distance_unit", "R", "coords", "positions", "unit", "units",
)  # fmt: skip
_FORCE_FIELDS = ("force_unit", "force_units", "forces_unit", "f_unit", "F", "forces")


@dataclass(frozen=True)
class FileUnits:
    """Factors that turn the numbers of a file into eV, Å and eV/Å, and where they are known from."""

    energy: float
    length: float
    force: float
    record: dict[str, str]
    """For the dataset's meta: the unit names and who stated them."""


def text(value: Any) -> str | None:
    """A field of a file as text: str, bytes, or an array with one of them inside; None for others."""
    if isinstance(value, np.ndarray):
        if value.size != 1:
            return None
        value = value.reshape(-1)[0]
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="replace")
    return str(value).strip() if isinstance(value, str) else None


def stated_fields(fields: Mapping[str, Any]) -> dict[str, str]:
    """The fields of a file that may state a unit, as text; looks into a JSON ``meta`` as well."""
    found: dict[str, str] = {}
    for key, value in fields.items():
        content = text(value)
        if content is None:
            continue
        if content.startswith("{"):
            try:
                inner = json.loads(content)
            except ValueError:
                continue
            units_inside = inner if key in ("unit", "units") else inner.get("units")
            found |= {str(k): str(v) for k, v in inner.items() if "unit" in str(k) and isinstance(v, str)}
            if isinstance(units_inside, dict):
                found |= {str(k): str(v) for k, v in units_inside.items()}
        elif "unit" in key.lower():
            found[key] = content
    return found


def file_units(
    stated: Mapping[str, str],
    energy_unit: str | None,
    length_unit: str | None,
    what: str,
    documented: str = "",
) -> FileUnits:
    """Decide on the units of a file from the caller's arguments and what the file states.

    Args:
        stated: Fields of the file that name units, from `stated_fields`.
        energy_unit: The caller's word for energies, or None.
        length_unit: The caller's word for lengths, or None.
        what: The file, for messages.
        documented: Who documents eV and Å when nobody else says so, such as "ASE"; empty for
            formats that have no such convention.

    Raises:
        ValueError: If nobody states the energy unit, a name is unknown, or caller and file disagree.
    """
    energy, energy_source = _agree("energy_unit", energy_unit, stated, _ENERGY_FIELDS, ENERGY_UNITS, what)
    length, length_source = _agree("length_unit", length_unit, stated, _LENGTH_FIELDS, LENGTH_UNITS, what)
    if energy is None and documented:
        energy, energy_source = "eV", documented
    if energy is None:
        raise ValueError(
            f"{what} does not state its energy unit; pass energy_unit='kcal/mol' (MD17, rMD17 and MD22 "
            f"as published), 'eV' or another of {', '.join(ENERGY_UNITS)}"
        )
    if length is None:
        # Every format here is in Å unless it says otherwise; wrong bond lengths are found on loading.
        length, length_source = "angstrom", documented or "usual for this format; bond lengths checked"
    force_factor = ENERGY_UNITS[energy] / LENGTH_UNITS[length]
    force = f"{energy}/{length}"
    for field in _matching(stated, _FORCE_FIELDS):
        top, _, bottom = _PER_LENGTH.sub(r"/\1", stated[field].strip()).rpartition("/")
        e, x = unit_name(top, ENERGY_UNITS), unit_name(bottom, LENGTH_UNITS)
        if e is None or x is None:
            raise ValueError(
                f"{what} states {field}={stated[field]!r}, which is no known force unit such as eV/angstrom"
            )
        force, force_factor = f"{e}/{x}", ENERGY_UNITS[e] / LENGTH_UNITS[x]
        break
    record = {
        "energy_unit_read": energy,
        "length_unit_read": length,
        "force_unit_read": force,
        "energy_unit_known_from": energy_source,
        "length_unit_known_from": length_source,
    }
    return FileUnits(ENERGY_UNITS[energy], LENGTH_UNITS[length], force_factor, record)


def unit_name(name: str, known: Mapping[str, float]) -> str | None:
    """Our name of a unit, such as ``"hartree"`` for ``"Ha"``; None when it is not one of ``known``."""
    plain = _PER_MOLE.sub("/mol", name.strip().strip("()").lower())
    spelled = _SPELLINGS.get(plain)
    return spelled if spelled in known else None


def _matching(stated: Mapping[str, str], fields: Iterable[str]) -> list[str]:
    """Stated keys that are one of ``fields``, regardless of case for names longer than a letter."""
    exact = [field for field in fields if field in stated]
    lower = {field for field in fields if len(field) > 1}
    return exact + [key for key in stated if key not in exact and key.lower() in lower]


def _agree(
    argument: str,
    given: str | None,
    stated: Mapping[str, str],
    fields: tuple[str, ...],
    known: Mapping[str, float],
    what: str,
) -> tuple[str | None, str]:
    """The unit and who says so; (None, "") when nobody does."""
    found: tuple[str, str] | None = None
    for field in _matching(stated, fields):
        words = [stated[field], *stated[field].replace(";", ",").split(",")]
        names = [name for word in words if (name := unit_name(word, known)) is not None]
        if names:
            found = names[0], f"field {field!r} of the file"
            break
        if field.lower() not in ("unit", "units"):  # those may speak of the other quantity
            raise ValueError(
                f"{what} states {field}={stated[field]!r}, which is none of {', '.join(known)}; "
                f"correct the field in the file"
            )
    if given is None:
        return found or (None, "")
    name = unit_name(given, known)
    if name is None:
        raise ValueError(f"{argument} must be one of {', '.join(known)}, got {given!r}")
    if found is not None and found[0] != name:
        raise ValueError(
            f"{argument}={given!r} was given, but {found[1]} says {found[0]!r} ({what}); "
            f"leave the argument out, or correct the file"
        )
    return name, f"argument {argument}"
