"""What was clicked becomes a script: nothing twice, nothing too early."""

import pytest
from so3lab_widgets.panels.code_line import CodeLine


@pytest.fixture
def line():
    made = CodeLine()
    yield made
    made.close()


def body(line: CodeLine) -> list[str]:
    head, blank, *rest = line.script().splitlines()
    assert (head, blank) == ("import so3lab", "")
    return rest


def test_a_slider_on_its_way_is_one_line(line):
    for value in (310, 320, 330):
        line.show_code(f"panel.control.temperature_K = {value}")
    line.show_code("panel.control.friction_per_ps = 5")
    line.show_code("panel.control.temperature_K = 340")
    assert line.code == "panel.control.temperature_K = 340"
    assert body(line) == [
        "panel.control.temperature_K = 330",
        "panel.control.friction_per_ps = 5",
        "panel.control.temperature_K = 340",
    ]


def test_calls_are_all_kept(line):
    for _ in range(2):
        line.show_code("panel.step()")
    assert body(line) == ["panel.step()", "panel.step()"]


def test_a_script_waits_for_the_step_at_which_something_was_done_once(line):
    line.show_code("panel = so3lab.widgets.DynamicsPanel()", 0)
    line.show_code("panel.start()", 0)
    line.show_code("panel.control.temperature_K = 400", 80)
    line.show_code("panel.viewers[0].picked = [0, 1]", 80)
    line.show_code("panel.pause()", 96)
    assert body(line) == [
        "panel = so3lab.widgets.DynamicsPanel()",
        "panel.start()",
        "panel.wait(80)",
        "panel.control.temperature_K = 400",
        "panel.viewers[0].picked = [0, 1]",
        "panel.wait(96)",
        "panel.pause()",
    ]
