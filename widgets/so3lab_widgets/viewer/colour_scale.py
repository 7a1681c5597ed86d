"""Which colour a number per atom gets, and what the legend says: scales that colour-blind people read."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from so3lab_widgets.theme import SIGNED_COLOURS

PLAIN_COLOURS = ("#3b528b", "#21918c", "#5ec962", "#d8e219")
"""Numbers that are never negative."""
UNITS: Mapping[str, str] = {
    "force": "eV/Å",
    "speed": "Å/fs",
    "atomic energy": "eV",
    "charge": "e",
    "attention": "no unit",
}
"""Of what atoms are coloured by, where they are known."""
DEFINITIONS: Mapping[str, str] = {
    "atomic energy": "without the constant energy of each element",
    "attention": "sizes |α| of weights with which others listen to an atom, summed over listeners, layers and heads",
    "charge": "partial charge",
    "force": "size of the force on each atom",
    "speed": "of each atom",
}
"""What these numbers are."""


class ColourScale:
    """Ranges of the numbers that were drawn so far; they only grow, so that colours mean the same over time."""

    def __init__(self) -> None:
        self._ranges: dict[str, tuple[float, float]] = {}
        self._units: dict[str, str] = dict(UNITS)
        self._definitions: dict[str, str] = dict(DEFINITIONS)

    def clear(self, units: Mapping[str, str] | None = None) -> None:
        """Forget all ranges: something else is shown, with other units where they are given."""
        self._ranges.clear()
        self._units = {**UNITS, **(units or {})}

    def describe(self, name: str, definition: str) -> None:
        """Say what numbers of a name are from now on; their range begins anew."""
        self._ranges.pop(name, None)
        self._definitions[name] = definition

    def take(self, name: str, values: np.ndarray) -> dict[str, Any]:
        """The legend after these numbers: label with unit, definition, range, and the colours from low to high."""
        low, high = self._ranges.get(name, (0.0, 0.0))
        finite = values[np.isfinite(values)]
        if len(finite):
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
        colours = list(PLAIN_COLOURS)
        if low < 0:
            low, high, colours = -max(-low, high), max(-low, high), list(SIGNED_COLOURS)
        self._ranges[name] = (low, high)
        unit = f" ({self._units[name]})" if self._units.get(name) else ""
        definition = self._definitions.get(name, "")
        return {"label": f"{name}{unit}", "definition": definition, "low": low, "high": high, "scale": colours}
