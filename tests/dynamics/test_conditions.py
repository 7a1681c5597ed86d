"""Frames are counted together only where nothing was changed between them that their distribution depends on."""

import numpy as np
import pandas as pd
import pytest

from so3lab.dynamics import Control, Pull
from so3lab.dynamics.conditions import SETTLING_PS, Conditions

FRAME_FS = 10.0
SETTLING = int(1000 * SETTLING_PS / FRAME_FS)


def table(targets) -> pd.DataFrame:
    """Frames of given target temperatures, ten steps apart, each 3 K too warm."""
    targets = np.asarray(targets, float)
    frames = np.arange(len(targets))
    return pd.DataFrame(
        {"step": 10 * frames, "time_fs": FRAME_FS * frames, "temperature": targets + 3.0, "target_temperature": targets}
    )


def test_the_start_is_left_out_until_it_has_settled():
    conditions = Conditions(Control(300.0))
    early = conditions.countable(table([300.0] * 50), thermostat=True)
    assert early.frames.start >= 50
    assert early.time_ps == 0.0
    later = conditions.countable(table([300.0] * 400), thermostat=True)
    assert later.frames == slice(SETTLING, 400)
    assert later.time_ps == pytest.approx(0.001 * FRAME_FS * (399 - SETTLING))
    assert later.temperature_K == 300.0


def test_frames_of_another_temperature_are_not_counted():
    control = Control(300.0)
    conditions = Conditions(control)
    control.temperature_K = 600.0
    conditions.look(control, 2000)
    found = conditions.countable(table([300.0] * 201 + [600.0] * 300), thermostat=True)
    assert found.frames.start >= 200 + SETTLING
    assert found.temperature_K == 600.0


def test_a_temperature_that_always_changes_leaves_nothing_to_count():
    conditions = Conditions(Control(300.0))
    assert conditions.countable(table(np.linspace(300, 600, 500)), thermostat=True).frames.start >= 500


def test_without_a_thermostat_the_temperature_is_the_one_that_there_is():
    found = Conditions(Control(300.0)).countable(table([300.0] * 400), thermostat=False)
    assert found.temperature_K == pytest.approx(303.0)


def test_biased_frames_have_no_temperature_and_are_not_counted_afterwards():
    control = Control(300.0)
    conditions = Conditions(control)
    control.biases = [Pull((0, 1), 0.5)]
    conditions.look(control, 1000)
    biased = conditions.countable(table([300.0] * 400), thermostat=True)
    assert conditions.biased
    assert biased.temperature_K is None
    assert biased.frames.start >= 100 + SETTLING
    control.biases = []
    conditions.look(control, 3990)
    assert not conditions.biased
    assert conditions.countable(table([300.0] * 400), thermostat=True).frames.start >= 400


@pytest.mark.parametrize(("happens", "step"), [("another future", 1500), ("somebody resets", 2500)])
def test_another_future_and_a_reset_begin_anew(happens, step):
    conditions = Conditions(Control(300.0))
    if happens == "another future":
        conditions.go_back(step)
        found = conditions.countable(table([300.0] * 400), thermostat=True)
        assert found.frames.start == step // 10 + SETTLING
    else:
        found = conditions.countable(table([300.0] * 400), thermostat=True, from_step=step)
        assert found.frames.start == step // 10 + 1
