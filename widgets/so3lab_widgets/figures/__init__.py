"""How a table becomes a picture: pure functions from DataFrame to Plotly figure.

Tables carry eV, eV/Å, Å and K unless a column name says otherwise (``time_fs``, ``..._meV``).
"""

from so3lab_widgets.figures.accuracy import force_error_by_element, learning_curves, parity
from so3lab_widgets.figures.inside import (
    attention_matrix,
    electrostatics_modes,
    energy_terms,
    partial_charges,
)
from so3lab_widgets.figures.motion import pair_distance_histogram, time_series, total_energy

__all__ = [
    "attention_matrix", "electrostatics_modes", "energy_terms", "force_error_by_element", "learning_curves",
    "pair_distance_histogram", "parity", "partial_charges", "time_series", "total_energy",
]  # fmt: skip
