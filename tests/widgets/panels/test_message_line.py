"""A line says one sentence at a time, and whether it is good news."""

import pytest
from so3lab_widgets.panels.message_line import MessageLine


@pytest.fixture
def line():
    made = MessageLine()
    yield made
    made.close()


def refuse():
    raise FileNotFoundError(2, "No such file or directory", "<nowhere>/run.h5")


def test_screen_readers_interrupt_for_trouble_only(line):
    line.say("writing run.csv …")
    assert 'role="status"' in line.value
    line.warn("the disk is full")
    assert 'role="alert"' in line.value
    assert "writing" not in line.value
    assert (line.sentence, line.wrong) == ("the disk is full", True)
    line.clear()
    assert (line.value, line.sentence, line.wrong) == ("", "", False)


def test_words_are_no_markup_and_errors_have_no_numbers(line):
    line.try_to(refuse)
    assert line.sentence == "No such file or directory: '<nowhere>/run.h5'"
    assert "&lt;nowhere&gt;" in line.value
    line.warn(ValueError("a sentence\n   over two lines"))
    assert line.sentence == "a sentence over two lines"
    line.warn(KeyboardInterrupt())
    assert line.sentence == "KeyboardInterrupt", "an error without words has a name"


def test_what_was_said_before_an_attempt_is_said_no_longer(line):
    line.warn("pull needs two atoms")
    line.try_to(lambda: line.say("done"))
    assert (line.sentence, line.wrong) == ("done", False)
    line.try_to(lambda: None)
    assert line.sentence == ""
