"""The table of ensembles agrees with the integrators, with the knobs, and with what type checkers know."""

from typing import get_args

from so3lab.dynamics.control import Control
from so3lab.dynamics.ensembles import CONSTANT_PRESSURE, ENSEMBLES, EXCHANGING, Ensemble, ensembles_with
from so3lab.dynamics.integrators import INTEGRATORS, THERMOSTAT_VARIABLES


def test_every_ensemble_has_its_integrator_and_its_name():
    assert set(ENSEMBLES) == set(INTEGRATORS) == set(get_args(Ensemble))
    assert set(THERMOSTAT_VARIABLES) <= set(ENSEMBLES)


def test_parameters_are_knobs_and_every_knob_has_its_ensembles():
    knobs = set(vars(Control())) - {"biases", "ramp"}
    named = {name for facts in ENSEMBLES.values() for name in facts.parameters}
    assert named == knobs
    assert ensembles_with("friction_per_ps") == ("langevin",)
    assert set(ensembles_with("pressure_GPa")) == set(CONSTANT_PRESSURE) == {"npt", "npt-flexible"}
    assert set(EXCHANGING) == set(ensembles_with("temperature_K")) - set(CONSTANT_PRESSURE)
