"""Which number does an entry of a file hold, and if it holds none, why not?"""

import re
from typing import Any

import numpy as np

from so3lab.datasets.file_units import ENERGY_UNITS, unit_name

_FORTRAN = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))[dD]([+-]?\d+)")
_WITH_UNIT = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][+-]?\d+)?)\s*([^\d\s].*)")


def number(value: Any, what: str) -> float:
    """One finite number, Fortran's ``-4.2D+03`` included.

    Args:
        value: Of a file: a number, a text, or an array with one of them.
        what: File, frame and key, for the message.

    Raises:
        ValueError: If it is no number, none that is finite, or several; the sentence says the likely reason.
    """
    entries = np.asarray(value)
    if entries.size != 1:
        raise ValueError(f"{what}: must be one number, got {entries.size} of shape {entries.shape}")
    entry = entries.reshape(-1)[0]
    if isinstance(entry, bytes):
        entry = entry.decode("utf-8", errors="replace")
    try:
        found = float("nan") if isinstance(entry, bool | np.bool_) else float(_in_pythons_words(entry))
    except (TypeError, ValueError):
        found = None
    if found is None or isinstance(entry, bool | np.bool_):
        raise ValueError(f"{what}: must be a number, got {str(entry)!r}{_reason(str(entry))}")
    if not np.isfinite(found):
        raise ValueError(f"{what}: must be a finite number, got {str(entry)!r}{_reason(str(entry))}")
    return found


def numbers_of(values: Any, what: str, axes: tuple[str, ...]) -> np.ndarray:
    """An array of finite numbers of any shape, texts among them read as :func:`number` reads them.

    Args:
        values: Numbers, or texts of numbers.
        what: File and key, for the message.
        axes: What the first axes count, such as ``("frame", "atom")``.

    Raises:
        ValueError: If an entry is no finite number; the sentence names it.
    """
    array = np.asarray(values)
    if array.dtype.kind in "OUSb":
        entries = [number(entry, _at(what, axes, array.shape, i)) for i, entry in enumerate(array.reshape(-1))]
        return np.array(entries).reshape(array.shape)
    array = array.astype(np.float64)
    finite = np.isfinite(array)
    if not finite.all():
        first = int(np.flatnonzero(~finite.reshape(-1))[0])
        number(array.reshape(-1)[first], _at(what, axes, array.shape, first))
    return array


def _at(what: str, axes: tuple[str, ...], shape: tuple[int, ...], entry: int) -> str:
    """Where the entry of an array stands, in words."""
    where = zip(axes, np.unravel_index(entry, shape) if shape else (), strict=False)
    return ", ".join([what, *(f"{axis} {int(i)}" for axis, i in where)])


def _in_pythons_words(entry: Any) -> Any:
    if not isinstance(entry, str):
        return entry
    text = entry.strip().replace("\N{MINUS SIGN}", "-")
    match = _FORTRAN.fullmatch(text)
    return f"{match[1]}e{match[2]}" if match else text


def _reason(text: str) -> str:
    """Why it may be no number, and what to do."""
    stripped = text.strip()
    if "*" in stripped:
        return "; Fortran prints stars where a number does not fit into its columns: write this frame again"
    if stripped.lower().lstrip("+-") in ("nan", "inf", "infinity", "none", "null", "n/a", "na", ""):
        return "; its reference calculation probably failed: compute it again, or remove this frame"
    match = _WITH_UNIT.fullmatch(stripped)
    if match and unit_name(match[2], ENERGY_UNITS):
        return f"; write the number alone, and say the unit once, as energy_unit={unit_name(match[2], ENERGY_UNITS)!r}"
    if match:
        return "; write the number alone"
    return "; if another entry holds the number, name that one with keys=, else correct or remove this frame"
