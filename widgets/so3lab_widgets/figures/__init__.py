"""How a table becomes a picture: pure functions from DataFrame to Plotly figure.

Tables carry eV, eV/Å, Å and K unless a column name says otherwise (``time_fs``, ``..._meV``).
"""

from so3lab_widgets.figures.accuracy import force_error_by_element, force_error_by_frame, learning_curves, parity
from so3lab_widgets.figures.data_set import data_distributions
from so3lab_widgets.figures.inside import (
    attention_matrix,
    electrostatics_modes,
    energy_terms,
    partial_charges,
    torsion_reach,
)
from so3lab_widgets.figures.landscape import (
    conformation_map,
    disconnectivity,
    energy_ladder,
    populations,
    saturation_curve,
)
from so3lab_widgets.figures.motion import pair_distance_histogram, time_series, total_energy
from so3lab_widgets.figures.path import path_profile
from so3lab_widgets.figures.signals import (
    block_average,
    infrared_spectrum,
    mean_squared_displacement,
    velocity_autocorrelation,
    vibrational_spectrum,
)
from so3lab_widgets.figures.stability import force_error_histogram, largest_deviation, survival
from so3lab_widgets.figures.structure import (
    hydrogen_bond_occupancy,
    hydrogen_bonds,
    internal_coordinates,
    radial_distribution,
    ramachandran,
    rmsd,
    rmsf,
)
from so3lab_widgets.figures.training import compared_runs, training_curves

__all__ = [
    "attention_matrix", "block_average", "compared_runs", "conformation_map", "data_distributions", "disconnectivity",
    "electrostatics_modes", "energy_ladder", "energy_terms", "force_error_by_element", "force_error_by_frame",
    "force_error_histogram", "hydrogen_bond_occupancy", "hydrogen_bonds", "infrared_spectrum", "internal_coordinates",
    "largest_deviation", "learning_curves", "mean_squared_displacement", "pair_distance_histogram", "parity",
    "partial_charges", "path_profile", "populations", "radial_distribution", "ramachandran", "rmsd", "rmsf",
    "saturation_curve", "survival", "time_series", "torsion_reach", "total_energy", "training_curves",
    "velocity_autocorrelation", "vibrational_spectrum",
]  # fmt: skip
