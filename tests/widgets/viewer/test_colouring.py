"""Colours that a model must be asked for come when it has answered, for whoever still wants them."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest
from ase import units
from ase.build import molecule
from so3lab_widgets.running import sender
from so3lab_widgets.viewer.colouring import Colouring, asked_hz
from waiting import wait_for

PAIRS, WEIGHTS = np.array([[0, 1]]), np.array([1.0])


class View:
    """What a colouring uses of a viewer."""

    def __init__(self, colour: str):
        self.colour, self.recoloured, self.links, self.atoms = colour, [], [], molecule("H2O")

    def recolour(self, values) -> None:
        self.recoloured.append(values)

    def link(self, pairs, weights, label="", definition="") -> None:
        self.links.append(len(pairs))


@pytest.fixture
def trouble():
    return []


@pytest.fixture
def make(trouble):
    made = []

    def one(values=lambda atoms: np.arange(3.0), links=lambda atoms: (PAIRS, WEIGHTS)) -> Colouring:
        made.append(Colouring({"charge": values}, links, trouble.append))
        return made[-1]

    yield one
    for colouring in made:
        colouring.close()


def water():
    return molecule("H2O")


def test_cheap_numbers_come_with_every_frame(make):
    chunk = SimpleNamespace(forces=np.array([[[3.0, 0.0, 4.0]]]), velocities=np.array([[[0.0, 1.0, 0.0]]]))
    colouring = make()
    assert colouring.names == ["force", "speed", "charge"]
    assert colouring.of_chunk(View("force"), chunk) == {"force": np.array([5.0])}
    np.testing.assert_allclose(colouring.of_chunk(View("speed"), chunk)["speed"], [units.fs])
    assert colouring.of_chunk(View("charge"), chunk) == {}, "nobody has asked the model yet"


def test_an_answer_colours_a_molecule_at_rest_at_once_and_a_moving_one_with_its_next_frame(make):
    colouring, resting, moving = make(), View("charge"), View("charge")
    colouring.ask([(resting, water)], resting=True)
    wait_for(lambda: resting.recoloured, "the answer")
    np.testing.assert_array_equal(resting.recoloured[0]["charge"], [0.0, 1.0, 2.0])
    colouring.ask([(moving, water)])
    wait_for(lambda: "charge" in colouring.of_chunk(moving, None), "the answer")
    assert moving.recoloured == []


def test_links_are_there_while_their_colour_is_chosen(make):
    colouring, view = make(), View("attention")
    colouring.ask([(view, water)])
    wait_for(lambda: view.links == [1], "links")
    view.colour = "element"
    colouring.ask([(view, water)])
    wait_for(lambda: view.links == [1, 0], "no links")


def test_links_of_a_molecule_that_is_shown_no_more_are_not_drawn(make):
    colouring, view = make(), View("attention")
    view.atoms = molecule("CH4")
    colouring.ask([(view, water)], resting=True)
    wait_for(lambda: colouring._sender.sent == 1, "the answer")
    assert view.links == []


def test_a_model_is_not_asked_for_what_nobody_has_chosen(make):
    asked = []
    colouring = make(values=lambda atoms: asked.append(atoms) or np.zeros(3))
    for colour in ("element", "force", "speed"):
        colouring.ask([(View(colour), lambda: asked.append("a structure"))])
    view = View("charge")
    colouring.ask([(view, water)], resting=True)
    wait_for(lambda: view.recoloured, "the answer that was wanted")
    assert len(asked) == 1


def test_what_a_model_cannot_say_is_said_and_the_next_answer_may_come(make, trouble):
    answers = iter([ValueError("no charges\n for this model"), np.ones(3)])

    def values(atoms):
        if isinstance(answer := next(answers), Exception):
            raise answer
        return answer

    colouring, view = make(values), View("charge")
    colouring.ask([(view, water)], resting=True)
    wait_for(lambda: trouble == ["no charges for this model"], "the sentence")
    colouring.ask([(view, water)], resting=True)
    wait_for(lambda: view.recoloured, "the next answer")


def test_a_model_whose_answers_take_long_is_asked_less_often(make):
    assert asked_hz(0.001) == asked_hz(0.02) == 10.0
    assert asked_hz(0.04) == pytest.approx(5.0)
    assert asked_hz(30.0) == 2.0
    colouring, view = make(), View("charge")
    colouring.ask([(view, water)], resting=True)
    wait_for(lambda: colouring._sender.sent == 1, "the answer")
    wait_for(lambda: colouring._sender.rate_hz <= asked_hz(colouring._quickest_s), "its rate")


def test_an_answer_after_the_end_is_for_nobody(make, monkeypatch):
    monkeypatch.setattr(sender, "SILENCE_S", 0.05)  # for so long its thread is waited for
    begun, gate = threading.Event(), threading.Event()

    def values(atoms):
        begun.set()
        gate.wait(60)
        return np.zeros(3)

    colouring, view = make(values), View("charge")
    colouring.ask([(view, water)], resting=True)
    assert begun.wait(60)
    colouring.close()
    gate.set()
    wait_for(lambda: not any(thread.name == "so3lab colours" for thread in threading.enumerate()), "no thread")
    assert view.recoloured == []
