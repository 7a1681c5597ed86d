"""What a trajectory says: pure functions of arrays that give numbers and tables.

Units are ASE's (eV, Å, amu, Å per ASE time unit); times are in fs, and columns name theirs.
"""

from so3lab.observables.alignment import rmsd, rmsf, superpose
from so3lab.observables.backbone import BackboneTorsions, backbone_torsions, ramachandran
from so3lab.observables.blocking import Estimate, block_average, mean_and_error
from so3lab.observables.bonding import STABILITY_TOLERANCE, bond_lengths, bonds, stability
from so3lab.observables.diffusion import diffusion_coefficient, mean_squared_displacement
from so3lab.observables.hydrogen_bonding import hydrogen_bond_counts, hydrogen_bond_occupancy, hydrogen_bonds
from so3lab.observables.infrared import infrared_spectrum
from so3lab.observables.internal import dihedral_degrees, internal_coordinates
from so3lab.observables.pairs import (
    BINS_OF_H,
    RANGE_OF_H,
    histogram_error,
    pair_distance_histogram,
    radial_distribution,
)
from so3lab.observables.periodic import minimum_image, unwrap
from so3lab.observables.power import nyquist_per_cm, power_spectrum
from so3lab.observables.shape import end_to_end_distance, radius_of_gyration
from so3lab.observables.spectra import velocity_autocorrelation, vibrational_spectrum
from so3lab.observables.thermodynamics import energy_drift, kinetic_temperature, pressure
from so3lab.observables.vibrations import NormalModes, finite_difference_hessian, normal_modes

__all__ = [
    "BINS_OF_H", "RANGE_OF_H", "STABILITY_TOLERANCE", "BackboneTorsions", "Estimate", "NormalModes",
    "backbone_torsions", "block_average", "bond_lengths", "bonds", "diffusion_coefficient", "dihedral_degrees",
    "end_to_end_distance", "energy_drift", "finite_difference_hessian", "histogram_error", "hydrogen_bond_counts",
    "hydrogen_bond_occupancy", "hydrogen_bonds", "infrared_spectrum", "internal_coordinates", "kinetic_temperature",
    "mean_and_error", "mean_squared_displacement", "minimum_image", "normal_modes", "nyquist_per_cm",
    "pair_distance_histogram", "power_spectrum", "pressure", "radial_distribution", "radius_of_gyration",
    "ramachandran", "rmsd", "rmsf", "stability", "superpose", "unwrap", "velocity_autocorrelation",
    "vibrational_spectrum",
]  # fmt: skip
