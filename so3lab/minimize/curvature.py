"""Is it a minimum: the energy's own second derivatives there, along all directions in which a structure may move."""

from typing import NamedTuple

import ase
import numpy as np
from jaxtyping import Float

from so3lab.engine.energy_model import EnergyModel
from so3lab.engine.hessians import hessian
from so3lab.minimize.freedom import Freedom

FLAT = 1e-4
"""eV/Å² up to which a curvature counts as nil."""
KICK = 0.15
"""Å that the atom which moves most is moved along a direction of negative curvature, to leave a saddle."""
LONGEST = 0.3
"""Å that an atom is moved at most towards the minimum that the Hessian predicts."""


class Curvature(NamedTuple):
    """Curvatures at a point, and what they say of the way to the minimum."""

    values: Float[np.ndarray, " directions"]  # eV/Å², the most negative first; whole motions left out
    directions: Float[np.ndarray, "directions cartesian"]  # of length 1
    slopes: Float[np.ndarray, " directions"]  # eV/Å, the gradient along each

    @property
    def is_minimum(self) -> bool:
        """Whether no curvature is negative."""
        return not len(self.values) or bool(self.values[0] > -FLAT)

    @property
    def gain(self) -> float:
        """eV by which the energy falls until the minimum of the parabola, along all that curves upwards."""
        up = self.values > FLAT
        return float(0.5 * np.sum(self.slopes[up] ** 2 / self.values[up]))

    def downhill(self) -> Float[np.ndarray, "atoms 3"]:
        """Å to go: Newton's step where the energy curves upwards, and a kick where it curves downwards."""
        up, down = self.values > FLAT, self.values < -FLAT
        step = -(self.slopes[up] / self.values[up]) @ self.directions[up]
        step = step.reshape(-1, 3)
        step *= min(1.0, LONGEST / max(np.linalg.norm(step, axis=1).max(initial=0.0), 1e-12))
        for slope, flat in zip(self.slopes[down], self.directions[down], strict=True):
            direction = flat.reshape(-1, 3)
            sign = -1.0 if slope > 0 else 1.0
            step += sign * KICK / np.linalg.norm(direction, axis=1).max() * direction
        return step


def curvature(
    model: EnergyModel, atoms: ase.Atoms, gradient: Float[np.ndarray, "atoms 3"], freedom: Freedom
) -> Curvature:
    """Curvatures of a structure along all that may move.

    Args:
        model: Differentiable twice, as :func:`so3lab.engine.hessians.hessian` needs it.
        atoms: The structure.
        gradient: eV/Å.
        freedom: What may move. The curvature that held coordinates have by being held is left out.
    """
    basis = freedom.directions(atoms.positions)
    values, vectors = np.linalg.eigh(basis @ hessian(model, atoms) @ basis.T)
    directions = vectors.T @ basis
    return Curvature(values, directions, directions @ gradient.ravel())
