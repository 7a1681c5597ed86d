"""What a model has said of the frame that is looked at, kept for everybody who asks for it one after the other."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ase import Atoms

from so3lab.attention import Inside
from so3lab.potential.potential import Potential


class _Answer(NamedTuple):
    potential: Potential
    frames: Sequence[Atoms]
    frame: int
    inside: Inside


class Answers:
    """Asks a model, unless its newest answer is to the same question.

    Args:
        look: Asks.
    """

    def __init__(self, look: Callable[[Potential, Atoms], Inside]):
        self._look = look
        self._newest: _Answer | None = None

    def of(self, potential: Potential, frames: Sequence[Atoms], frame: int) -> Inside:
        """What this model says of this frame."""
        known = self._newest
        if known and known.potential is potential and known.frames is frames and known.frame == frame:
            return known.inside
        found = self._look(potential, frames[frame])
        self._newest = _Answer(potential, frames, frame, found)
        return found

    def besides(self, potential: Potential, frames: Sequence[Atoms], frame: int) -> Inside:
        """The same, for something to compare with; it is not kept."""
        return self._look(potential, frames[frame])
