"""Limited-memory quasi-Newton steps in Cartesian coordinates, for clusters, cells and whatever has few bonds.

No line search: a step is taken whole, shortened where an atom would go too far or the last one was bad; every
evaluation is a step. Where forces are enormous, atoms lie upon each other: what is seen there teaches nothing.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from so3lab.minimize.memory import Memory
from so3lab.minimize.steps import LONGEST_STEP, MAY_RISE, trust_after

MEMORY = 10
STIFFNESS = 70.0
"""eV/Å² that every coordinate has before the first step."""
CLASH = 1e3
"""eV/Å beyond which a force is that of atoms upon each other."""

Rows = Int[np.ndarray, " rows"]
Points = Float[np.ndarray, "rows atoms 3"]


class CartesianLBFGS:
    """Steps of structures of any kind; each has a row.

    Args:
        atoms: Of the largest structure; rows of smaller ones end with atoms that feel no force.
        rows: For so many structures at once.
        longest: Å that an atom moves at most in a step.
    """

    def __init__(self, atoms: int, rows: int, longest: float = LONGEST_STEP):
        size = 3 * atoms
        self._longest = longest
        self._positions = np.zeros((rows, atoms, 3))
        self._energies = np.full(rows, np.inf)
        self._gradients = np.zeros((rows, size))
        self._newton = np.zeros((rows, size))
        self._trust = np.full(rows, longest)
        self._memory = Memory(size, rows, MEMORY)
        self.failed = np.zeros(rows, bool)
        """Rows for which this method does not work."""

    def begin(self, rows: Rows) -> None:
        """Forget what was in rows: where they are told of next is where structures begin."""
        self._memory.forget(rows)
        self._energies[rows], self._gradients[rows], self._newton[rows] = np.inf, 0.0, 0.0
        self._trust[rows], self.failed[rows] = self._longest, False

    def tell(self, rows: Rows, positions: Points, energies: np.ndarray, gradients: Points) -> Bool[np.ndarray, " rows"]:
        """Learn of the points proposed, Å, eV and eV/Å; return which of them are accepted, so that the structure is
        there now."""
        flat = gradients.reshape(len(rows), -1)
        lengths = np.linalg.norm(positions - self._positions[rows], axis=2).max(axis=1)
        gained = self._energies[rows] - energies
        accepted = energies <= self._energies[rows] + MAY_RISE
        self._trust[rows] = trust_after(self._trust[rows], lengths, gained, self._predicted(rows), accepted)
        self._trust[rows] = np.minimum(self._trust[rows], self._longest)
        calm = np.isfinite(energies) & (np.abs(flat).max(axis=1, initial=0.0) < CLASH)
        calm &= np.isfinite(self._energies[rows]) & (np.abs(self._gradients[rows]).max(axis=1, initial=0.0) < CLASH)
        some = rows[calm]
        steps = (positions[calm] - self._positions[some]).reshape(len(some), flat.shape[1])
        self._memory.learn(some, steps, flat[calm] - self._gradients[some])
        self._arrive(rows[accepted], positions[accepted], energies[accepted], flat[accepted])
        self._newton[rows[~accepted]] = self._direction(rows[~accepted])
        return accepted

    def propose(self, rows: Rows) -> Points:
        """Where to look next, Å."""
        steps = self._newton[rows].reshape(len(rows), -1, 3)
        longest = np.linalg.norm(steps, axis=2).max(axis=1)
        shorter = np.minimum(1.0, self._trust[rows] / np.maximum(longest, 1e-12))
        return self._positions[rows] + shorter[:, None, None] * steps

    def gains(self, rows: Rows) -> Float[np.ndarray, " rows"]:
        """eV by which the energy is predicted to fall until the minimum: half of gᵀ H⁻¹ g."""
        return -0.5 * np.einsum("rc,rc->r", self._gradients[rows], self._newton[rows])

    def _predicted(self, rows: Rows) -> Float[np.ndarray, " rows"]:
        longest = np.linalg.norm(self._newton[rows].reshape(len(rows), -1, 3), axis=2).max(axis=1)
        share = np.minimum(1.0, self._trust[rows] / np.maximum(longest, 1e-12))
        return share * (2.0 - share) * self.gains(rows)

    def _arrive(self, rows: Rows, positions: Points, energies, gradients: Float[np.ndarray, "rows cartesian"]) -> None:
        self._positions[rows], self._energies[rows], self._gradients[rows] = positions, energies, gradients
        self._newton[rows] = self._direction(rows)

    def _direction(self, rows: Rows) -> Float[np.ndarray, "rows cartesian"]:
        """Newton's steps of the Hessian that the last steps tell of."""
        scale = self._memory.scale(rows, 1.0 / STIFFNESS)[:, None]
        return self._memory.solve(rows, -self._gradients[rows], lambda vectors: scale * vectors)
