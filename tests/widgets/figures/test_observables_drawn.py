"""Whatever can be observed along a trajectory, one function draws."""

import ase
import numpy as np
import pandas as pd
import pytest
from ase.build import molecule
from ase.data.s22 import create_s22_system
from so3lab_widgets import figures

from so3lab import observables

ETHANOL = molecule("CH3CH2OH")
TIME_FS = 2.0 * np.arange(400)
_RANDOM = np.random.default_rng(0)
_PHASES = _RANDOM.uniform(0, 2 * np.pi, (9, 3))
FRAMES = ETHANOL.positions + 0.05 * np.sin(0.2 * TIME_FS[:, None, None] + _PHASES)
VELOCITIES = 0.01 * np.cos(0.2 * TIME_FS[:, None, None] + _PHASES)
BOX = ase.Atoms("Ar50", cell=[10.0] * 3, pbc=True)
GAS = np.cumsum(_RANDOM.normal(0, 0.1, (400, 50, 3)), axis=0) + _RANDOM.uniform(0, 10, (50, 3))
DIMER = create_s22_system("Water_dimer")
BONDED = observables.hydrogen_bonds(np.repeat(DIMER.positions[None], 4, axis=0), DIMER)


def pressure() -> object:
    table = observables.pressure(np.linspace(1.0, 2.0, 400), np.zeros((400, 3, 3)), 1000.0)
    return figures.time_series(table.assign(time_fs=TIME_FS), "pressure_GPa")


def stability() -> object:
    lengths = observables.bond_lengths(FRAMES, observables.bonds(ETHANOL))
    largest = np.abs(lengths - lengths.mean(axis=0)).max(axis=1)
    table = {"replica": 0, "temperature_K": 300.0, "time_ps": 1e-3 * TIME_FS, "largest_deviation_A": largest}
    return figures.largest_deviation(pd.DataFrame(table))


DRAWN = {
    "kinetic_temperature": lambda: figures.time_series(
        observables.kinetic_temperature(VELOCITIES, ETHANOL.get_masses(), 21, TIME_FS), "temperature_K"
    ),
    "energy_drift": lambda: figures.total_energy(pd.DataFrame({"time_fs": TIME_FS, "total_energy": 1e-6 * TIME_FS})),
    "pressure": pressure,
    "radial_distribution": lambda: figures.radial_distribution(observables.radial_distribution(GAS, BOX)),
    "pair_distance_histogram": lambda: figures.pair_distance_histogram(observables.pair_distance_histogram(FRAMES)),
    "velocity_autocorrelation": lambda: figures.velocity_autocorrelation(
        observables.velocity_autocorrelation(VELOCITIES, TIME_FS)
    ),
    "vibrational_spectrum": lambda: figures.vibrational_spectrum(
        observables.vibrational_spectrum(VELOCITIES, TIME_FS, ETHANOL.get_masses(), resolution_per_cm=100.0), [100.0]
    ),
    "infrared_spectrum": lambda: figures.infrared_spectrum(
        observables.infrared_spectrum(FRAMES[:, 0], TIME_FS, 300.0, resolution_per_cm=100.0)
    ),
    "rmsd": lambda: figures.rmsd(observables.rmsd(FRAMES, FRAMES[0], TIME_FS)),
    "rmsf": lambda: figures.rmsf(observables.rmsf(FRAMES, ETHANOL.get_chemical_symbols())),
    "radius_of_gyration": lambda: figures.time_series(
        observables.radius_of_gyration(FRAMES, ETHANOL.get_masses(), TIME_FS), "radius_of_gyration_A"
    ),
    "end_to_end_distance": lambda: figures.time_series(
        observables.end_to_end_distance(FRAMES, 0, 2, TIME_FS), "end_to_end_distance_A"
    ),
    "internal_coordinates": lambda: figures.internal_coordinates(
        observables.internal_coordinates(FRAMES, {"C-C": (0, 1), "C-C-O": (0, 1, 2), "H-O-C-C": (3, 2, 0, 1)}, TIME_FS)
    ),
    "ramachandran": lambda: figures.ramachandran(
        observables.ramachandran(_RANDOM.normal(-80, 20, 500), _RANDOM.normal(120, 20, 500), 300.0)
    ),
    "hydrogen_bonds": lambda: figures.hydrogen_bonds(observables.hydrogen_bond_counts(BONDED, np.arange(4.0))),
    "hydrogen_bond_occupancy": lambda: figures.hydrogen_bond_occupancy(
        observables.hydrogen_bond_occupancy(BONDED, DIMER, 4)
    ),
    "mean_squared_displacement": lambda: figures.mean_squared_displacement(
        observables.mean_squared_displacement(GAS, TIME_FS),
        observables.diffusion_coefficient(GAS, TIME_FS),
    ),
    "block_average": lambda: figures.block_average(observables.block_average(FRAMES[:, 0, 0]), "Å"),
    "stability": stability,
}
_BESIDE = {
    # constants, types, and functions whose results are drawn as part of one above or are no curve
    "BINS_OF_H", "RANGE_OF_H", "STABILITY_TOLERANCE", "BackboneTorsions", "Estimate", "Followed", "Molecules",
    "NormalModes", "Overlaid",
    "backbone_torsions", "bond_lengths", "bonds", "diffusion_coefficient", "dihedral_degrees",
    "finite_difference_hessian", "followed", "histogram_error", "hydrogen_bond_counts", "mean_and_error",
    "minimum_image", "normal_modes", "nyquist_per_cm", "overlaid", "power_spectrum",
    "slope_and_error", "superpose", "unwrap",
}  # fmt: skip


def test_no_observable_is_forgotten():
    assert set(observables.__all__) == set(DRAWN) | _BESIDE


@pytest.mark.parametrize("name", DRAWN)
def test_one_function_draws_it_with_units_on_its_axes(name):
    figure = DRAWN[name]()
    drawn = [trace for trace in figure.data if trace.type in ("scatter", "bar", "heatmap", "histogram")]
    assert drawn
    sizes = [np.size(trace.z if trace.type == "heatmap" else trace.x) for trace in drawn]
    assert max(sizes) > 0
    axes = [figure.layout[key].title.text for key in figure.layout if key.startswith(("xaxis", "yaxis"))]
    assert any(text for text in axes)


def test_distances_alone_are_one_curve_and_missing_ones_are_not_drawn():
    table = pd.DataFrame({"r": [1.0, 2.0], "reference": np.nan, "simulated": [0.4, 0.6]})
    assert [trace.name for trace in figures.pair_distance_histogram(table).data] == ["simulated"]
    with pytest.raises(ValueError, match="no column 'reference'"):
        figures.pair_distance_histogram(table.drop(columns="reference"))
