"""How does the energy curve, roughly and soon: second derivatives by differences of the engine's forces.

Single precision leaves some 0.005 eV/Å² of error in them, enough to show a search its way; it takes a fifth of the time
of exact ones (:mod:`so3lab.engine.hessians`), which the end of a search still needs.
"""

import ase
import numpy as np
from jaxtyping import Float

from so3lab.engine.energy_model import EnergyModel
from so3lab.minimize.evaluators import EngineEvaluator

DISPLACEMENT = 0.007
"""Å by which each coordinate is moved both ways."""
_ATOMS_AT_ONCE = 6000


class DifferenceHessians:
    """Hessians of structures of the same atoms; one program is compiled for all of them.

    Args:
        model: Energies and forces.
        atoms: What the structures are made of, without a cell.
    """

    def __init__(self, model: EnergyModel, atoms: ase.Atoms):
        wanted = 6 * len(atoms)
        self._rows = min(wanted, 2 * max(1, _ATOMS_AT_ONCE // (2 * len(atoms))))
        self._evaluator = EngineEvaluator(model, [atoms] * self._rows)

    def __call__(self, positions: Float[np.ndarray, "atoms 3"]) -> Float[np.ndarray, "coordinates coordinates"]:
        """Second derivatives, eV/Å², made symmetric.

        Args:
            positions: Å.
        """
        size = positions.size
        moved = np.repeat(positions.reshape(1, 1, size), 2, axis=0) + np.zeros((2, size, size))
        moved[0] += DISPLACEMENT * np.eye(size)
        moved[1] -= DISPLACEMENT * np.eye(size)
        pairs = moved.transpose(1, 0, 2).reshape(2 * size, -1, 3)
        gradients = np.concatenate(
            [self._gradients(pairs[start : start + self._rows]) for start in range(0, len(pairs), self._rows)]
        ).reshape(size, 2, size)
        matrix = (gradients[:, 0] - gradients[:, 1]) / (2.0 * DISPLACEMENT)
        symmetric: np.ndarray = 0.5 * (matrix + matrix.T)
        return symmetric

    def _gradients(self, places: Float[np.ndarray, "some atoms 3"]) -> Float[np.ndarray, "some atoms 3"]:
        """Of as many structures as there are slots, or fewer."""
        missing = self._rows - len(places)
        return self._evaluator(np.concatenate([places, places[:1].repeat(missing, axis=0)]))[1][: len(places)]
