"""What a check of labels has to say."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Finding(NamedTuple):
    """A sentence with frames, the rule, the values and the likely reason."""

    sentence: str
    refused: bool = False
    """Whether the labels cannot be right, so that nobody should train on them."""
    open: bool = False
    """Whether nothing is known to be wrong, but something could not be told."""


def frames_named(frames: Sequence[int] | np.ndarray) -> str:
    """The first few of some frames in words: ``frames 3, 8, 9 and 40 more``."""
    shown = [str(int(frame)) for frame in frames[:3]]
    more = len(frames) - len(shown)
    if len(frames) == 1:
        return f"frame {shown[0]}"
    return f"frames {', '.join(shown)} and {more} more" if more else f"frames {', '.join(shown[:-1])} and {shown[-1]}"
