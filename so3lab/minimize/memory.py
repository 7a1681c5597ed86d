"""What do the last steps tell of a Hessian: damped BFGS with limited memory, for many structures at once.

Sources: two loops, J. Nocedal and S. J. Wright, Numerical Optimization, algorithm 7.4; damping, M. J. D. Powell,
Lecture Notes in Mathematics 630, 144 (1978).
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

DAMPING = 0.1
"""Share of the expected curvature below which an observed one is raised."""

Rows = Int[np.ndarray, " rows"]
Vectors = Float[np.ndarray, "rows size"]


class Memory:
    """Steps and changes of gradients, the last so many of each row.

    Args:
        size: Number of coordinates.
        rows: Of structures.
        most: Steps remembered.
    """

    def __init__(self, size: int, rows: int, most: int):
        self._steps, self._changes = np.zeros((2, rows, most, size))
        self._weights = np.zeros((rows, most))  # 1 / (step · change)
        self._count = np.zeros(rows, int)  # of steps ever; the newest is at (count - 1) % most

    def forget(self, rows: Rows) -> None:
        """Begin anew."""
        self._count[rows] = 0

    def learn(self, rows: Rows, steps: Vectors, changes: Vectors, expected: Vectors | None = None) -> None:
        """From steps and the changes of the gradient along them.

        Args:
            rows: Whose.
            steps: Changes of the coordinates.
            changes: Of the gradients.
            expected: What the changes should have been by what was known, with which observed ones of too little
                curvature are mixed; None: such steps are left out.
        """
        observed = np.einsum("rs,rs->r", steps, changes)
        if expected is not None:
            curvature = np.einsum("rs,rs->r", steps, expected)
            low = observed < DAMPING * curvature
            share = np.where(low, (1.0 - DAMPING) * curvature / np.where(low, curvature - observed, 1.0), 1.0)
            changes = share[:, None] * changes + (1.0 - share)[:, None] * expected
            observed = np.einsum("rs,rs->r", steps, changes)
        lengths = np.linalg.norm(steps, axis=1) * np.linalg.norm(changes, axis=1)
        sound = observed > 1e-8 * lengths + 1e-16
        some = rows[sound]
        place = self._count[some] % self._weights.shape[1]
        self._steps[some, place], self._changes[some, place] = steps[sound], changes[sound]
        self._weights[some, place] = 1.0 / observed[sound]
        self._count[some] += 1

    def scale(self, rows: Rows, unknown: float) -> Float[np.ndarray, " rows"]:
        """Inverse curvature along the newest step, or ``unknown`` without any."""
        place = (self._count[rows] - 1) % self._weights.shape[1]
        changes = self._changes[rows, place]
        squares = self._weights[rows, place] * np.einsum("rs,rs->r", changes, changes)
        return np.where(self._count[rows] > 0, 1.0 / np.maximum(squares, 1e-30), unknown)

    def solve(self, rows: Rows, vectors: Vectors, inverse: Callable[[Vectors], Vectors]) -> Vectors:
        """The inverse Hessian times vectors.

        Args:
            rows: Whose.
            vectors: Such as gradients.
            inverse: What is known of the inverse Hessian without any step.
        """
        most = self._weights.shape[1]
        ages = range(1, min(int(self._count[rows].max(initial=0)), most) + 1)
        found, along = vectors.copy(), []
        for age in ages:
            steps, changes, weights = self._of(rows, age)
            along.append(weights * np.einsum("rs,rs->r", steps, found))
            found -= along[-1][:, None] * changes
        found = inverse(found)
        for age in reversed(ages):
            steps, changes, weights = self._of(rows, age)
            back = along[age - 1] - weights * np.einsum("rs,rs->r", changes, found)
            found += back[:, None] * steps
        return found

    def _of(self, rows: Rows, age: int) -> tuple[Vectors, Vectors, Float[np.ndarray, " rows"]]:
        """The step so many steps ago; of weight 0 where there was none."""
        place = (self._count[rows] - age) % self._weights.shape[1]
        weights = np.where(self._count[rows] >= age, self._weights[rows, place], 0.0)
        return self._steps[rows, place], self._changes[rows, place], weights
