"""What is a path between two minima?"""

from dataclasses import dataclass

import ase
import numpy as np
import pandas as pd
from jaxtyping import Float


@dataclass(frozen=True)
class Band:
    """A path between two minima."""

    number: int
    """Of the pair that it joins, from 0."""
    images: list[ase.Atoms]
    """Both ends included, aligned, with energies and forces."""
    energies: Float[np.ndarray, " images"]
    """eV."""
    converged: bool
    max_force: float
    """eV/Å, the largest that is left on an image: across the path, and of its springs."""
    steps: int
    highest: int
    """The image that climbed; 0 or the last one where the path only falls or only rises."""
    tangent: Float[np.ndarray, "atoms 3"]
    """Direction of the path at the highest image, of length 1."""
    minima: tuple[int, ...] = ()
    """Images between the ends that are minima, where the path was divided into legs."""

    @property
    def barrier(self) -> float:
        """eV from the first end to the highest image."""
        return float(self.energies[self.highest] - self.energies[0])

    def profile(self) -> pd.DataFrame:
        """``image``, ``distance_A`` from the first end along the path (norm over all atoms), and ``energy_eV``."""
        steps = np.diff([one.positions for one in self.images], axis=0)
        gone = np.concatenate([[0.0], np.cumsum(np.linalg.norm(steps, axis=(1, 2)))])
        return pd.DataFrame({"image": range(len(self.images)), "distance_A": gone, "energy_eV": self.energies})
