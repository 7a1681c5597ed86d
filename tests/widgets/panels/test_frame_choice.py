"""Chosen frames are what the fields say, told once for each choice."""

import pytest
from so3lab_widgets.panels.frame_choice import FrameChoice
from so3lab_widgets.panels.panel import close_all


@pytest.fixture
def told():
    return []


@pytest.fixture
def choice(told):
    made = FrameChoice(lambda: told.append(made.chosen), lambda closer: told.append(closer))
    made.reset(1000)
    told.clear()
    yield made
    close_all(made)


@pytest.mark.parametrize(
    ("choose", "words"),
    [
        ((0, 1000, 1), "1,000 frames chosen"),
        ((100, 140, 10), "4 frames chosen"),
        ((7, 8, 1), "1 frame chosen"),
        ((500, 400, 1), "no frame is chosen"),
    ],
)
def test_a_choice_is_told_once_and_counted(choice, told, choose, words):
    choice.choose(*choose)
    assert told == [slice(*choose)]
    assert choice.count.value == words
    assert len(range(1000)[choice.chosen]) == int("".join(filter(str.isdigit, words)) or 0)


def test_fields_that_are_typed_into_choose_as_well(choice, told):
    choice.last.value = 9
    choice.first.value = 5
    assert told == [slice(0, 10, 1), slice(5, 10, 1)]
    choice.zoom_in.click()
    choice.zoom_out.click()
    assert told[2:] == [True, False]


def test_another_run_is_chosen_as_a_whole(choice, told):
    choice.choose(10, 20)
    choice.reset(7)
    assert choice.chosen == slice(0, 7, 1)
    assert len(told) == 2
    choice.last.value = 99
    assert choice.last.value == 6, "there are no more"
