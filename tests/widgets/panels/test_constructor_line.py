"""The line that makes a panel again, run, has the same fields and knobs."""

from types import SimpleNamespace

import pytest
from ase.build import molecule
from so3lab_widgets.panels.constructor_line import constructor_line
from so3lab_widgets.panels.panel import close_all
from so3lab_widgets.panels.run_form import RunForm

from so3lab import dynamics
from so3lab.dynamics import Control, Pull, Restraint


def made_again(line: str, **given) -> tuple[tuple, dict]:
    """Arguments that a line gives to the panel."""
    module = SimpleNamespace(
        widgets=SimpleNamespace(DynamicsPanel=lambda *given, **options: (given, options)), dynamics=dynamics
    )
    space = {"so3lab": module, **given}
    exec(line, space)
    return space["panel"]


@pytest.mark.parametrize(
    "control",
    [
        Control(),
        Control(temperature_K=320.5, timestep_fs=0.25),
        Control(biases=[Restraint((0, 1, 2), 109.5, 1.0), Pull((0, 1), 0.5)], pressure_GPa=0.1),
    ],
)
def test_fields_and_knobs_are_those_of_the_panel(control):
    form = RunForm("ethanol", "smiles:CCO", "csvr", 3, charge=-1)
    line = constructor_line(form, control, seed=4, own_simulation=False)
    given, options = made_again(line)
    assert given == ("ethanol", "smiles:CCO")
    assert options.pop("control", Control()) == control
    assert options == {"ensemble": "csvr", "replicas": 3, "charge": -1, "seed": 4}
    close_all(form)


def test_objects_stand_by_the_names_of_their_arguments_and_what_is_usual_is_left_out():
    water = molecule("H2O")
    form = RunForm("ethanol", water, "langevin", 1)
    line = constructor_line(form, Control(), seed=0, own_simulation=True)
    given, options = made_again(line, structure=water, simulate=print)
    assert given == ("ethanol", water)
    assert options == {"ensemble": "langevin", "replicas": 1, "simulate": print}
    close_all(form)
