"""One step of molecular dynamics as a pure function of a state and of knobs.

Knobs (time step, temperature, friction, pressure, restraints) are arguments of a step, never constants of the
compiled program, so that they can be turned while a simulation runs.
"""

from collections.abc import Callable

from so3lab.dynamics.integrators.barostat import npt, npt_flexible, pressure_tensors
from so3lab.dynamics.integrators.newton import langevin, velocity_verlet
from so3lab.dynamics.integrators.rescaling import CHAIN, csvr, nose_hoover
from so3lab.dynamics.integrators.start import (
    degrees_of_freedom,
    is_linear,
    thermal_velocities,
    without_overall_motion,
)
from so3lab.dynamics.integrators.state import (
    ForceFunction,
    Forces,
    Integrator,
    MDState,
    Particles,
    Ramp,
    StepParameters,
    Temperature,
    key_data,
    kinetic_energies,
    particles_of,
)

INTEGRATORS: dict[str, Callable[[ForceFunction, Particles], Integrator]] = {
    "nve": velocity_verlet,
    "langevin": langevin,
    "nose-hoover": nose_hoover,
    "csvr": csvr,
    "npt": npt,
    "npt-flexible": npt_flexible,
}
THERMOSTAT_VARIABLES = {"nose-hoover": CHAIN}
"""Variables of the thermostat, for ensembles that have any."""

__all__ = [
    "INTEGRATORS",
    "THERMOSTAT_VARIABLES",
    "ForceFunction",
    "Forces",
    "Integrator",
    "MDState",
    "Particles",
    "Ramp",
    "StepParameters",
    "Temperature",
    "csvr",
    "degrees_of_freedom",
    "is_linear",
    "key_data",
    "kinetic_energies",
    "langevin",
    "nose_hoover",
    "npt",
    "npt_flexible",
    "particles_of",
    "pressure_tensors",
    "thermal_velocities",
    "velocity_verlet",
    "without_overall_motion",
]
