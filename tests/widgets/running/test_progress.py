"""A bar passes on what it is given, grows, tells the remaining time, and ends full."""

import time

import pytest
from so3lab_widgets.running import progress as module
from so3lab_widgets.running.progress import duration, progress


@pytest.fixture
def shown(monkeypatch):
    """What cells display."""
    found = []
    monkeypatch.setattr(module, "display", found.append)
    return found


def test_items_come_through_while_the_bar_grows(shown, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    passed, values, lines = [], [], []
    for item in progress([1, 2, 3, 4], lambda item: item / 4, lambda item: f"item {item}"):
        passed.append(item)
        bar, line = shown[0].children
        values.append(bar.value)
        lines.append(line.value)
        now[0] += 10.0
    assert passed == [1, 2, 3, 4]
    assert values == [0.0, 0.25, 0.5, 0.75]
    assert lines[0] == "preparing"
    assert lines[2:] == ["item 2 · 20 s left", "item 3 · 10 s left"]
    bar, line = shown[0].children
    assert (bar.value, line.value) == (1.0, "item 4 · done")


def test_a_loop_that_breaks_leaves_the_bar_where_it_is(shown):
    for _ in progress(range(10), lambda item: item / 10):
        break
    assert shown[0].children[0].value == 0.0


@pytest.mark.parametrize(("seconds", "words"), [(45, "45 s"), (170, "3 min"), (7800, "2 h 10 min")])
def test_durations_are_said_as_people_say_them(seconds, words):
    assert duration(seconds) == words
