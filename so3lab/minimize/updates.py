"""What does a Hessian learn from steps: damped BFGS as a sum of pairs of vectors, the last so many of them."""

import numpy as np
from jaxtyping import Float

MOST, KEPT = 40, 20
"""Steps remembered at most, and those that are kept when there are more."""
DAMPING = 0.1
"""Share of the predicted curvature below which an observed one is raised (Powell)."""


class HessianUpdates:
    """``H = diag(k) + Σ u uᵀ - Σ d dᵀ``, with a u and a d for every step.

    Args:
        size: Number of coordinates.
    """

    def __init__(self, size: int):
        self._up, self._down = np.zeros((MOST, size)), np.zeros((MOST, size))
        self._steps: list[tuple[np.ndarray, np.ndarray]] = []
        self._count = 0

    @property
    def vectors(self) -> tuple[Float[np.ndarray, "steps size"], Float[np.ndarray, "steps size"]]:
        """All u and all d."""
        return self._up[: self._count], self._down[: self._count]

    def forget(self) -> None:
        """Begin anew."""
        self._steps, self._count = [], 0

    def learn(
        self,
        step: Float[np.ndarray, " size"],
        change: Float[np.ndarray, " size"],
        constants: Float[np.ndarray, " size"],
    ) -> None:
        """From a step and the change of the gradient along it.

        Args:
            step: Change of the coordinates.
            change: Of the gradient.
            constants: k, the diagonal; the same at every call.
        """
        self._steps.append((step, change))
        if self._count < MOST:
            self._add(step, change, constants)
            return
        self._steps, self._count = self._steps[-KEPT:], 0
        for before in self._steps:
            self._add(*before, constants)

    def _add(self, step: np.ndarray, change: np.ndarray, constants: np.ndarray) -> None:
        up, down = self.vectors
        expected = constants * step + up.T @ (up @ step) - down.T @ (down @ step)
        curvature, observed = step @ expected, step @ change
        if not curvature > 1e-14:
            return
        if observed < DAMPING * curvature:
            share = (1.0 - DAMPING) * curvature / (curvature - observed)
            change = share * change + (1.0 - share) * expected
            observed = step @ change
        self._up[self._count] = change / np.sqrt(observed)
        self._down[self._count] = expected / np.sqrt(curvature)
        self._count += 1
