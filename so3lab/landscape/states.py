"""What is a transition state?"""

from dataclasses import dataclass
from typing import Literal

import ase
import numpy as np
from jaxtyping import Float

from so3lab.landscape.vibrations import Vibrations

Origin = Literal["mode", "random", "path"]
Outcome = Literal["new", "known", "reacted", "no saddle"]


@dataclass(frozen=True)
class TransitionState:
    """A saddle of the energy with one direction downwards, and the minima on its two sides."""

    number: int
    """In a landscape by energy, from 0; in a database in the order in which they were found."""
    atoms: ase.Atoms
    """With energy and forces in its calculator."""
    energy: float
    """eV."""
    minima: tuple[int, int]
    """Numbers of the minima that it joins, the lower one first; twice the same where the rearrangement leads to a copy
    of the minimum, with atoms exchanged or as a mirror image."""
    vibrations: Vibrations
    """Its harmonic modes; the first is the imaginary one."""
    mode: Float[np.ndarray, "atoms 3"]
    """The direction downwards, of length 1, without mass-weighting."""
    curvature: float
    """eV/Å² along the mode, negative."""
    origin: Origin = "mode"
    """Where its search began: along a mode of a minimum, beside it at random, or on a path between two."""
    visits: int = 1
    """How many searches ended here."""

    @property
    def imaginary_frequency_cm(self) -> float:
        """Size of the imaginary wavenumber, cm⁻¹."""
        return -float(self.vibrations.wavenumbers_cm[0])

    @property
    def degenerate(self) -> bool:
        """Whether both sides are the same minimum."""
        return self.minima[0] == self.minima[1]


@dataclass(frozen=True)
class Finding:
    """What became of one search for a saddle."""

    number: int
    """Of the search in its landscape, from 0."""
    origin: Origin
    outcome: Outcome
    saddle: int | None = None
    """Number of the saddle that is new or known, in the order in which they were found."""
    energy: float = np.nan
    """eV, of the saddle."""
    minima: tuple[int, int] | None = None
    """That a new one joins, in the order in which they are known."""
    why: str = ""

    @property
    def sentence(self) -> str:
        """The outcome in words."""
        if self.outcome == "new":
            assert self.minima is not None
            first, second = self.minima
            joined = f"minima {first} and {second}" if first != second else f"copies of minimum {first}"
            return f"new transition state {self.saddle} at {self.energy:.6f} eV between {joined}"
        if self.outcome == "known":
            return f"same as transition state {self.saddle}"
        return f"{self.outcome}: {self.why}" if self.why else self.outcome
