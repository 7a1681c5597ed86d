"""Colours mean the same over time: ranges only grow, zero is pale, and what is no number says nothing."""

import numpy as np
import pytest
from so3lab_widgets.theme import SIGNED_COLOURS
from so3lab_widgets.viewer.colour_scale import PLAIN_COLOURS, ColourScale


@pytest.mark.parametrize("signed", [False, True])
def test_ranges_hold_all_that_was_drawn_and_never_shrink(signed):
    scale, rng, before = ColourScale(), np.random.default_rng(0), (0.0, 0.0)
    drawn = []
    for _ in range(20):
        values = rng.normal(size=9) * rng.uniform(0.1, 3.0)
        drawn.append(values if signed else np.abs(values))
        legend = scale.take("charge", drawn[-1])
        low, high = legend["low"], legend["high"]
        assert low <= np.concatenate(drawn).min()
        assert high >= np.concatenate(drawn).max()
        assert low <= before[0]
        assert high >= before[1]
        before = low, high
    assert legend["scale"] == list(SIGNED_COLOURS if signed else PLAIN_COLOURS)
    assert low == (-high if signed else 0.0), "the middle of a signed scale is zero"


def test_each_colour_has_a_range_of_its_own_until_all_is_forgotten():
    scale = ColourScale()
    scale.take("force", np.array([50.0]))
    assert scale.take("speed", np.array([0.1]))["high"] == 0.1
    assert scale.take("force", np.array([1.0]))["high"] == 50.0
    scale.clear()
    assert scale.take("force", np.array([1.0]))["high"] == 1.0


def test_what_numbers_are_can_be_said_and_begins_a_range():
    scale = ColourScale()
    assert "summed over listeners, layers and heads" in scale.take("attention", np.array([70.0]))["definition"]
    scale.describe("attention", "of layer 1, head 2")
    legend = scale.take("attention", np.array([-0.5, 0.2]))
    assert (legend["low"], legend["high"], legend["definition"]) == (-0.5, 0.5, "of layer 1, head 2")


def test_what_is_no_number_widens_nothing_and_labels_have_units():
    legend = ColourScale().take("force", np.array([np.nan, np.inf, 2.0]))
    assert (legend["low"], legend["high"], legend["label"]) == (0.0, 2.0, "force (eV/Å)")
    assert ColourScale().take("attention", np.array([np.nan]))["label"] == "attention (no unit)"
