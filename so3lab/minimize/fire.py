"""The last resort: molecular dynamics that stops wherever it runs uphill, with steps no longer than a clamp.

Slow, and hardly to be misled: it needs neither a Hessian nor energies that are smooth.

Source: E. Bitzek et al., Phys. Rev. Lett. 97, 170201 (2006), with its constants.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

FIRST_STEP, LONGEST_TIME = 0.05, 0.3
"""Steps of time, in units in which all masses are 1."""
PATIENCE, FASTER, SLOWER, MIXING, MIXING_DECAY = 5, 1.1, 0.5, 0.1, 0.99
CLAMP = 0.1
"""Å that an atom moves at most in a step."""
SOFT = 1.0
"""eV/Å², by which the energy still to be gained is guessed from the forces."""

Rows = Int[np.ndarray, " rows"]
Points = Float[np.ndarray, "rows atoms 3"]


class Fire:
    """Steps of structures of any kind; each has a row.

    Args:
        atoms: Of the largest structure; rows of smaller ones end with atoms that feel no force.
        rows: For so many structures at once.
    """

    def __init__(self, atoms: int, rows: int):
        self._positions, self._velocities, self._gradients = np.zeros((3, rows, atoms, 3))
        self._time, self._mixing = np.full(rows, FIRST_STEP), np.full(rows, MIXING)
        self._downhill = np.zeros(rows, int)
        self.failed = np.zeros(rows, bool)
        """Rows for which this method does not work: none ever."""

    def begin(self, rows: Rows) -> None:
        """Forget what was in rows: where they are told of next is where structures begin, at rest."""
        self._velocities[rows] = 0.0
        self._time[rows], self._mixing[rows], self._downhill[rows] = FIRST_STEP, MIXING, 0

    def tell(self, rows: Rows, positions: Points, energies: np.ndarray, gradients: Points) -> Bool[np.ndarray, " rows"]:
        """Learn of the points proposed, Å, eV and eV/Å; all with finite energies are accepted."""
        sound = np.isfinite(energies) & np.isfinite(gradients).all(axis=(1, 2))
        some = rows[sound]
        self._positions[some], self._gradients[some] = positions[sound], gradients[sound]
        self._velocities[rows[~sound]], self._time[rows[~sound]] = 0.0, FIRST_STEP / 10
        return sound

    def propose(self, rows: Rows) -> Points:
        """Where to look next, Å."""
        forces, speeds = -self._gradients[rows], self._velocities[rows]
        power = np.einsum("rax,rax->r", forces, speeds)
        uphill = power < 0
        self._downhill[rows] = np.where(uphill, 0, self._downhill[rows] + 1)
        faster = self._downhill[rows] > PATIENCE
        time = np.where(faster, np.minimum(self._time[rows] * FASTER, LONGEST_TIME), self._time[rows])
        self._time[rows] = time = np.where(uphill, time * SLOWER, time)
        mixing = np.where(uphill, MIXING, np.where(faster, self._mixing[rows] * MIXING_DECAY, self._mixing[rows]))
        self._mixing[rows] = mixing
        speeds = np.where(uphill[:, None, None], 0.0, speeds) + time[:, None, None] * forces
        ratio = np.sqrt((speeds**2).sum((1, 2)) / np.maximum((forces**2).sum((1, 2)), 1e-30))
        speeds = (1.0 - mixing[:, None, None]) * speeds + (mixing * ratio)[:, None, None] * forces
        steps = time[:, None, None] * speeds
        longest = np.linalg.norm(steps, axis=2).max(axis=1)
        shorter = np.minimum(1.0, CLAMP / np.maximum(longest, 1e-12))[:, None, None]
        self._velocities[rows] = speeds * shorter
        return self._positions[rows] + steps * shorter

    def gains(self, rows: Rows) -> Float[np.ndarray, " rows"]:
        """A guess, in eV, of what is still to be gained: it knows no Hessian, and takes every mode to be soft."""
        return 0.5 * (self._gradients[rows] ** 2).sum((1, 2)) / SOFT
