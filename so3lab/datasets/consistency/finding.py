"""What a check of labels has to say."""

from typing import NamedTuple


class Finding(NamedTuple):
    """A sentence with frames, the rule, the values and the likely reason."""

    sentence: str
    refused: bool = False
    """Whether the labels cannot be right, so that nobody should train on them."""
    open: bool = False
    """Whether nothing is known to be wrong, but something could not be told."""
