"""How many degrees of freedom carry heat: those of the start, and more once pulls turn a molecule."""

from collections.abc import Sequence

import ase
import numpy as np

from so3lab.dynamics.ensembles import ENSEMBLES, Ensemble
from so3lab.dynamics.integrators import degrees_of_freedom, is_linear, without_overall_motion
from so3lab.engine.biases import Bias, Pull


class DegreesOfFreedom:
    """Of structures, one number each.

    Args:
        structures: As they start.
        held: Which atoms of each stay where they are.
        velocities: Of each, at the start.
        ensemble: What moves them.
    """

    def __init__(
        self,
        structures: Sequence[ase.Atoms],
        held: Sequence[np.ndarray],
        velocities: Sequence[np.ndarray],
        ensemble: Ensemble,
    ):
        self._structures, self._ensemble = structures, ensemble
        self._any_held = [bool(mask.any()) for mask in held]
        self._start = [_at_rest(*of_one, ensemble) for of_one in zip(structures, held, velocities, strict=True)]
        self._directions: list[np.ndarray] = []  # independent ones, of all pulls on single atoms so far
        self.counted = np.array(self._start)

    def add_pulls(self, biases: Sequence[Bias]) -> bool:
        """Count the rotation that pulls on single atoms set free, for good; whether the numbers changed."""
        before = len(self._directions)
        for bias in biases:
            if isinstance(bias, Pull) and len(bias.atoms) == 1:
                several = np.stack([*self._directions, np.asarray(bias.force, np.float64)])
                if np.linalg.matrix_rank(several) > len(self._directions):
                    self._directions.append(several[-1])
        if len(self._directions) == before:
            return False
        of_all = zip(self._structures, self._start, self._any_held, strict=True)
        self.counted = np.array(
            [_when_pulled(atoms, start, self._ensemble, held, self._directions) for atoms, start, held in of_all]
        )
        return True


def _at_rest(atoms: ase.Atoms, held: np.ndarray, velocities: np.ndarray, ensemble: Ensemble) -> float:
    """Degrees of freedom; at constant energy, overall motion counts if the start has it."""
    periodic, masses = bool(atoms.pbc.any()), atoms.get_masses()
    if ensemble == "nve" and not held.any() and len(atoms) > 1:
        inner = without_overall_motion(atoms.positions, velocities, masses, periodic)
        if np.abs(inner - velocities).max() > 1e-6 * max(np.abs(velocities).max(), 1e-12):
            return 3.0 * len(atoms)
    return float(degrees_of_freedom(len(atoms), ensemble, periodic, is_linear(atoms.positions), int(held.sum())))


def _when_pulled(
    atoms: ase.Atoms, freedom: float, ensemble: Ensemble, held: bool, directions: list[np.ndarray]
) -> float:
    """Degrees of freedom once pulls along independent directions have turned a free molecule, which spins from then on.

    A pull has no torque about its own direction: one direction sets two rotations free, several set three. Constant
    energy that counts overall motion already, Langevin noise, cells and held atoms know no such limit.
    """
    kept = ENSEMBLES[ensemble].thermostat == "noise" or bool(atoms.pbc.any()) or held or len(atoms) == 1
    if kept or not directions or freedom == 3.0 * len(atoms):
        return freedom
    return freedom + (3.0 if len(directions) > 1 and not is_linear(atoms.positions) else 2.0)
