"""Sliders and rows write into the control record what they show, say the Python of it, and leave nothing behind."""

import pytest
from running_panel import open_widgets
from so3lab_widgets.panels.message_line import MessageLine
from so3lab_widgets.panels.panel import close_all
from so3lab_widgets.panels.steering_box import SteeringBox

import so3lab
from so3lab.dynamics.control import Control
from so3lab.dynamics.ensembles import ENSEMBLES
from so3lab.engine.biases import Pull, Restraint, SphericalWall


class Steered:
    """A box over a control record, without a simulation."""

    def __init__(self, ensemble: str = "langevin"):
        self.control, self.lines, self.picked = Control(), [], []
        self.message = MessageLine()
        self.box = SteeringBox(
            self.control,
            ensemble,
            picked=lambda: self.picked,
            measure=lambda atoms: {2: 1.5, 3: 109.5, 4: -60.0}[len(atoms)],
            symbols="CCOHHHHHH",
            message=self.message,
            on_change=self.lines.append,
        )


@pytest.fixture
def steered():
    made = Steered()
    yield made
    close_all(made.box, made.message)


@pytest.mark.parametrize("ensemble", ENSEMBLES)
def test_there_is_a_slider_for_each_knob_of_the_ensemble_and_its_line_does_the_same(ensemble):
    steered = Steered(ensemble)
    assert steered.box.sliders.keys() <= set(ENSEMBLES[ensemble].parameters)
    for name, slider in steered.box.sliders.items():
        slider.value = 1.5 * slider.value + 0.1
        assert getattr(steered.control, name) == pytest.approx(slider.value)
        other = Control()
        exec(steered.lines[-1].removeprefix("panel."), {"control": other})
        assert getattr(other, name) == pytest.approx(slider.value, rel=1e-5)
    close_all(steered.box, steered.message)


@pytest.mark.parametrize("picked", [[0, 1], [0, 1, 2], [0, 1, 2, 3]])
def test_what_is_held_is_held_where_it_is_and_its_row_takes_it_away(steered, picked):
    widgets = open_widgets()
    steered.picked = picked
    steered.box.hold_button.click()
    (held,) = steered.control.biases
    assert isinstance(held, Restraint)
    assert (held.atoms, held.centre) == (tuple(picked), {2: 1.5, 3: 109.5, 4: -60.0}[len(picked)])
    space = {"so3lab": so3lab, "control": Control()}
    exec(steered.lines[-1].removeprefix("panel."), space)
    assert space["control"].biases == (held,)
    (row,) = steered.box.rows.children
    row.children[0].children[1].click()
    assert steered.control.biases == ()
    assert open_widgets() == widgets


def test_more_than_can_act_at_a_time_is_refused_in_a_sentence(steered):
    for picked in ([0, 1], [1, 2], [2, 3]):
        steered.picked = picked
        steered.box.pull_button.click()
    assert steered.message.sentence == "there are 2 of this kind already; remove one first"
    assert steered.control.biases == (Pull((0, 1), 0.5), Pull((1, 2), 0.5))
    steered.picked = [0, 1, 2]
    steered.box.hold_button.click()
    assert steered.message.sentence == "", "another kind has a place of its own"


def test_what_python_has_set_is_followed_and_kept(steered):
    steered.picked = [0, 1]
    steered.box.pull_button.click()
    wall = SphericalWall(5.0, 1.0)
    steered.control.biases = [*steered.control.biases, wall]
    steered.control.temperature_K = 5000.0
    steered.box.follow()
    assert steered.box.sliders["temperature_K"].value == 5000.0, "beyond where the slider ended"
    assert steered.box.others.value == "1 more set in Python"
    steered.picked = [2, 3]
    steered.box.pull_button.click()
    assert wall in steered.control.biases
    assert len(steered.control.biases) == 3
