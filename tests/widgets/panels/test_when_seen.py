"""Panels that are made once a page shows them."""

import ipywidgets as ipw
from so3lab_widgets.panels.when_seen import WhenSeen


def say_seen(eye: ipw.Widget) -> None:
    """What a page sends when it shows the widget."""
    eye._handle_msg({"content": {"data": {"method": "custom", "content": "seen"}}, "buffers": []})


def test_nothing_is_made_before_a_page_shows_it_and_one_thing_afterwards():
    made: list[ipw.Widget] = []

    def make() -> ipw.Widget:
        made.append(ipw.Label("here"))
        return made[-1]

    place = WhenSeen(make, "it is coming")
    assert place.message.sentence == "it is coming"
    assert not made
    eye = place.children[0]
    for _ in range(2):  # two pages, or one that is loaded anew
        say_seen(eye)
    assert place.children == (made[0],)
    assert len(made) == 1


def test_what_cannot_be_made_is_said_in_its_place():
    def make() -> ipw.Widget:
        raise ValueError("there is no model nowhere")

    place = WhenSeen(make, "it is coming")
    say_seen(place.children[0])
    assert place.message in place.children
    assert place.message.wrong
    assert place.message.sentence == "there is no model nowhere"
