"""Numbers of things in words."""

import pytest

from so3lab.counting import counted


@pytest.mark.parametrize(
    ("number", "noun", "words"),
    [
        (1, "minimum", "1 minimum"),
        (0, "minimum", "0 minima"),
        (2, "minimum", "2 minima"),
        (1, "transition state", "1 transition state"),
        (3, "search", "3 searches"),
        (12345, "frame", "12,345 frames"),
    ],
)
def test_one_is_one_and_all_other_numbers_are_several(number, noun, words):
    assert counted(number, noun) == words
