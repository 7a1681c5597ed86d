"""Restart states of files: the names that arrays have today, whatever they were called when a file was written."""

from collections.abc import Mapping

import numpy as np

OLD_NAMES = {
    "flaws": "pair_list_flags",
    "fate": "stop_flags",
    "ended": "last_good_step",
    "bath": "thermostat_state",
    "heat": "bath_energy",
    "room": "capacity",
}
"""Names that so3lab wrote before they were changed, and those of today."""
ADDED_LATER = ("fixed_cells",)
"""What restart states of older files do not hold."""


def with_present_names(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A restart state by the names of today."""
    return {OLD_NAMES.get(name, name): values for name, values in state.items()}
