"""What is a transition state?"""

from dataclasses import dataclass
from typing import Literal

import ase
import numpy as np
from jaxtyping import Float

from so3lab.landscape.vibrations import Vibrations

Origin = Literal["mode", "random", "path"]


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
