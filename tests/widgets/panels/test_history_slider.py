"""The slider of the past obeys whoever moves it, and answers nobody who does not."""

import pytest
from so3lab_widgets.panels.history_slider import HistorySlider
from so3lab_widgets.panels.panel import close_all


@pytest.fixture
def asked():
    return []


@pytest.fixture
def history(asked):
    made = HistorySlider(*(lambda share, what=what: asked.append((what, share)) for what in ("look", "again", "anew")))
    made.reset(running=False)
    yield made
    close_all(made)


def test_whoever_moves_it_looks_at_that_share_of_the_past(history, asked):
    history.slider.value = 0.25
    history.again_button.click()
    history.anew_button.click()
    assert asked == [("look", 0.25), ("again", 0.25), ("anew", 0.25)]


def test_where_python_has_moved_it_nobody_looks(history, asked):
    history.show_position(30, 61, 0.24)
    assert (history.slider.value, history.words.value) == (0.5, "frame 30 of 60, 0.240 ps")
    history.reset(running=False)
    assert history.slider.value == 1.0
    assert asked == []


def test_it_does_not_jump_under_the_hand_that_moves_it(history):
    history.slider.value = 0.5061  # between two frames
    history.show_position(round(0.5061 * 60), 61, 0.24)
    assert history.slider.value == 0.5061


def test_while_it_runs_the_present_is_shown(history, asked):
    history.reset(running=True)
    assert history.slider.disabled
    assert history.again_button.disabled
    history.slider.value = 0.3  # a page that lags
    assert asked == []


def test_a_single_frame_is_a_past_too(history):
    history.show_position(0, 1, 0.0)
    assert history.words.value == "frame 0 of 0, 0.000 ps"
