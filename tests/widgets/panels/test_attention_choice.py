"""Which attention is looked at: what a network has is offered, what it lacks is refused, and viewers follow."""

import pytest
from ase.build import molecule
from so3lab_widgets.panels.attention_choice import AttentionChoice
from so3lab_widgets.viewer.viewer import Viewer

from so3lab.attention import Channel
from so3lab.network.settings import ModelSettings

SETTINGS = ModelSettings(num_features=16, num_layers=2, num_heads=2, degrees=(1, 3), cutoff=4.0)


@pytest.fixture
def told():
    return []


@pytest.fixture
def choice(told):
    made = AttentionChoice(lambda: told.append("asked"), told.append)
    made.offer(SETTINGS)
    yield made
    made.close()


def test_everything_is_summed_at_first_and_menus_hold_what_the_network_has(choice, told):
    assert choice.channel == Channel()
    assert [value for _, value in choice.layer.options] == [0, 1, 2]
    assert [words for words, _ in choice.head.options][3:] == ["head 1", "head 2", "degree 1", "degree 3"]
    choice.layer.value = 2
    choice.head.value = ("euclidean", 3)
    assert choice.channel == Channel(2, "euclidean", 3)
    assert told == [
        "panel.attention.channel = (2, None, None)", "asked", "panel.attention.channel = (2, 'euclidean', 3)", "asked",
    ]  # fmt: skip


def test_the_line_of_python_does_what_the_menus_do(choice, told):
    choice.channel = (1, "features", 2)
    assert (choice.layer.value, choice.head.value) == (1, ("features", 2))
    assert told == ["panel.attention.channel = (1, 'features', 2)", "asked"]
    choice.channel = (2, "features", 2)
    assert told[2:] == ["panel.attention.channel = (2, 'features', 2)", "asked"]
    with pytest.raises(ValueError, match="2 layers, 2 heads and degrees 1, 3, got"):
        choice.channel = (1, "features", 3)
    assert choice.channel == Channel(2, "features", 2)


def test_another_network_keeps_the_choice_where_it_has_that(choice):
    choice.channel = (2, "features", 2)
    choice.offer(ModelSettings(num_features=16, num_layers=3, num_heads=4, degrees=(1, 2), cutoff=4.0))
    assert choice.channel == Channel(2, "features", 2)
    choice.offer(ModelSettings(num_features=16, num_layers=1, num_heads=4, degrees=(1, 2), cutoff=4.0))
    assert choice.channel == Channel()


def test_viewers_have_its_threshold(choice, told):
    viewer = Viewer(molecule("H2O"))
    choice.threshold.value = 20.0
    choice.draw_in(viewer)
    assert viewer.link_threshold == pytest.approx(0.2)
    choice.of_picked.value = True
    assert viewer.links_of_picked
    assert told[-1] == "panel.attention.of_picked.value = True"
    viewer.close()


def test_nothing_can_be_chosen_before_there_is_a_model():
    empty = AttentionChoice(lambda: None)
    with pytest.raises(ValueError, match="no model yet"):
        empty.channel = (1, "features", 1)
    empty.close()
