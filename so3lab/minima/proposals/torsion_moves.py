"""Basin hopping with turns of torsions: a few bonds of a minimum are turned at random, and the rest relaxes."""

import ase
import numpy as np
from jaxtyping import Float

from so3lab.minima.proposals.basin_hopping import BasinHopping
from so3lab.minima.proposals.clashes import clashes
from so3lab.minima.proposals.walkers import Walkers
from so3lab.minima.torsions import rotatable_dihedrals, turned
from so3lab.structures.symmetry import molecular_graph

MOST_TURNS = 3
TRIES = 30
"""Before a turn that clashes is given to the minimiser as it is."""


class TorsionMoves(BasinHopping):
    """Turns of one to three rotatable bonds, by any angle.

    Args:
        atoms: The molecule; its bonds say what turns.
        walkers: How many basins are hopped from at once.
        window: eV by which a walker may climb at the beginning.

    Raises:
        ValueError: If no bond of the molecule can be turned.
    """

    name = "torsions"

    def __init__(self, atoms: ase.Atoms, *, walkers: int = 16, window: float = 0.1):
        self._graph = molecular_graph(atoms)
        self.dihedrals = rotatable_dihedrals(atoms, self._graph)
        if not self.dihedrals:
            raise ValueError(
                f"atoms must have a bond to turn about, and {atoms.get_chemical_formula()} has none; search with "
                "hopping or dynamics"
            )
        super().__init__(Walkers(walkers, window))

    def moved(self, positions: Float[np.ndarray, "atoms 3"], rng: np.random.Generator) -> Float[np.ndarray, "atoms 3"]:
        """Turned, without a clash where that is found."""
        for _ in range(TRIES):
            found = self._turned(positions, rng)
            if not clashes(found, self._graph):
                break
        return found

    def _turned(self, positions: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        turns = int(rng.integers(1, min(MOST_TURNS, len(self.dihedrals)) + 1))
        for which in rng.choice(len(self.dihedrals), turns, replace=False):
            positions = turned(positions, self._graph, self.dihedrals[which], float(rng.uniform(-180.0, 180.0)))
        return positions
