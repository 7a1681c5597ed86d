"""What do the last steps tell of a Hessian: damped BFGS with limited memory, for structures with rows of their own.

With the steps s and the changes y of the gradient in the order in which they came, the two loops of limited memory are
two triangular systems in the products s · y, beside products of whole matrices with vectors.

Sources: two loops, J. Nocedal and S. J. Wright, Numerical Optimization, algorithm 7.4; as triangular systems, after
R. H. Byrd, J. Nocedal and R. B. Schnabel, Math. Program. 63, 129 (1994), section 2; damping, M. J. D. Powell, Lecture
Notes in Mathematics 630, 144 (1978).
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int
from scipy.linalg import lapack

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
        self._steps, self._changes = np.zeros((2, rows, most, size))  # the oldest first
        self._products = np.zeros((rows, most, most))  # step · change, of steps no later than the change
        self._count = np.zeros(rows, int)  # of steps that are remembered

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
        for row, step, change in zip(rows[sound], steps[sound], changes[sound], strict=True):
            self._append(row, step, change)

    def _append(self, row: int, step: Float[np.ndarray, " size"], change: Float[np.ndarray, " size"]) -> None:
        if self._count[row] == self._steps.shape[1]:  # the oldest goes
            for kept in (self._steps[row], self._changes[row]):
                kept[:-1] = kept[1:]
            self._products[row, :-1, :-1] = self._products[row, 1:, 1:]
            self._count[row] -= 1
        place = self._count[row]
        self._steps[row, place], self._changes[row, place] = step, change
        self._products[row, : place + 1, place] = self._steps[row, : place + 1] @ change
        self._count[row] += 1

    def scale(self, rows: Rows, unknown: float) -> Float[np.ndarray, " rows"]:
        """Inverse curvature along the newest step, or ``unknown`` without any."""
        newest = np.maximum(self._count[rows] - 1, 0)
        changes = self._changes[rows, newest]
        squares = np.einsum("rs,rs->r", changes, changes)
        found = self._products[rows, newest, newest] / np.maximum(squares, 1e-30)
        return np.where(self._count[rows] > 0, found, unknown)

    def solve(self, rows: Rows, vectors: Vectors, inverse: Callable[[Vectors], Vectors]) -> Vectors:
        """The inverse Hessian times vectors.

        Args:
            rows: Whose.
            vectors: Such as gradients.
            inverse: What is known of the inverse Hessian without any step.
        """
        found, along = vectors.copy(), []
        for vector, row in zip(found, rows, strict=True):
            count = self._count[row]
            along.append(self._triangular(row, self._steps[row, :count] @ vector, transposed=False))
            vector -= along[-1] @ self._changes[row, :count]
        found = inverse(found)
        for vector, row, known in zip(found, rows, along, strict=True):
            count = self._count[row]
            left = self._products[row].diagonal()[:count] * known - self._changes[row, :count] @ vector
            vector += self._triangular(row, left, transposed=True) @ self._steps[row, :count]
        return found

    def _triangular(
        self, row: int, right: Float[np.ndarray, " steps"], transposed: bool
    ) -> Float[np.ndarray, " steps"]:
        """Solve R x = b, or Rᵀ x = b, with the products of steps and later changes."""
        if not len(right):
            return right
        products = self._products[row, : len(right), : len(right)]
        found: np.ndarray = lapack.dtrtrs(products.T, right, lower=1, trans=0 if transposed else 1)[0]
        return found
