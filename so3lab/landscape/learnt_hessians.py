r"""What is known of the second derivatives of a structure that moves: one Hessian, and what each step tells since.

Of molecules it lives in internal coordinates q, each weighted by the root of its stiffness: there it changes little
while dihedrals turn, which turn everything in Cartesian ones, and steps follow a curve along which bonds keep their
lengths. What eigenvectors are taken of is :math:`B^T H_q B`, the Hessian along such curves.

Sources: what a step tells, J. M. Bofill, J. Comput. Chem. 15, 1 (1994); Hessians in redundant coordinates, P. Pulay and
G. Fogarasi, J. Chem. Phys. 96, 2856 (1992).
"""

from typing import Protocol

import ase
import numpy as np
from jaxtyping import Float
from scipy.linalg import cho_factor, cho_solve

from so3lab.minimize.assembly import Assembly
from so3lab.minimize.changes import bonds_at_start
from so3lab.minimize.coordinates import CoordinatesError, InternalCoordinates, internal_coordinates
from so3lab.minimize.model_hessian import force_constants
from so3lab.minimize.waiting import MOST_ATOMS_INTERNAL
from so3lab.minimize.wilson import difference, values, values_and_rows
from so3lab.structures.bonds import bonded_pairs
from so3lab.structures.constraints import held_atoms

UNKNOWN = 1e-5
"""eV/Å², of what internal coordinates do not know."""
CORRECTIONS, CORRECTED = 6, 1e-3
"""Of a curved step: how many at most, and the size in Å of one that was the last."""
ASTRAY = 3.0
"""Times as far as a straight step no curve leads."""
_DIFFERENCE = 1e-4  # Å

Matrix = Float[np.ndarray, "coordinates coordinates"]
Positions = Float[np.ndarray, "atoms 3"]
Vector = Float[np.ndarray, " coordinates"]


class LearntHessian(Protocol):
    """Second derivatives of one structure."""

    @property
    def matrix(self) -> Matrix | None:
        """eV/Å² at the present point, along the curves of :meth:`walk`; None where nothing is known."""

    def arrive(self, positions: Positions, gradient: Vector) -> None:
        """Be at a point, Å and eV/Å, and learn from the step that led there."""

    def renew(self, matrix: Matrix) -> None:
        """Know the Hessian at the present point, eV/Å²."""

    def walk(self, step: Vector) -> Positions:
        """Where a step leads, Å."""


def learnt_hessian(atoms: ase.Atoms) -> LearntHessian:
    """In internal coordinates for molecules that have them, in Cartesian ones for all else.

    Args:
        atoms: Where it begins.
    """
    molecule = 2 < len(atoms) <= MOST_ATOMS_INTERNAL and not atoms.pbc.any() and not held_atoms(atoms).any()
    if not molecule or not len(bonded_pairs(atoms)[0]):
        return CartesianHessian()
    try:
        coordinates = internal_coordinates(atoms.numbers, atoms.positions, bonds_at_start(atoms))
    except CoordinatesError:
        return CartesianHessian()
    return InternalHessian(coordinates, atoms)


class CartesianHessian:
    """As the atoms have it."""

    def __init__(self) -> None:
        self.matrix: Matrix | None = None
        self._positions: Positions = np.zeros((0, 3))
        self._gradient: Vector = np.zeros(0)

    def arrive(self, positions: Positions, gradient: Vector) -> None:
        """Learn from a straight step."""
        if self.matrix is not None and len(self._positions):
            step = (positions - self._positions).ravel()
            self.matrix = updated(self.matrix, step, gradient - self._gradient)
        self._positions, self._gradient = positions.copy(), gradient.copy()

    def renew(self, matrix: Matrix) -> None:
        """Forget what was learnt."""
        self.matrix = matrix

    def walk(self, step: Vector) -> Positions:
        """Straight on."""
        return self._positions + step.reshape(-1, 3)


class InternalHessian:
    """As the internal coordinates have it.

    Args:
        coordinates: Of the molecule.
        atoms: Where it begins, which says how stiff they are.
    """

    def __init__(self, coordinates: InternalCoordinates, atoms: ase.Atoms):
        self._coordinates, self._assembly = coordinates, Assembly(coordinates)
        constants = force_constants(coordinates, atoms.numbers, _column(atoms.positions))
        self._roots = np.sqrt(constants[:, 0])
        self._hessian: np.ndarray | None = None
        self._positions: Positions = np.zeros((0, 3))
        self._q: np.ndarray = np.zeros((0, 1))
        self._forces: np.ndarray = np.zeros(0)

    @property
    def matrix(self) -> Matrix | None:
        """Bᵀ H B."""
        return None if self._hessian is None else self._b.T @ self._hessian @ self._b

    def arrive(self, positions: Positions, gradient: Vector) -> None:
        """Learn from a step, straight or curved."""
        before = None if not len(self._positions) else (self._q, self._forces)
        self._positions = positions.copy()
        self._q, rows = values_and_rows(self._coordinates, _column(positions))
        self._b = self._roots[:, None] * self._assembly.dense(rows, 0)
        self._factor = cho_factor(self._b.T @ self._b + UNKNOWN * np.eye(self._b.shape[1]), lower=True)
        self._forces = self._b @ cho_solve(self._factor, gradient)
        if before is not None and self._hessian is not None:
            step = self._roots * difference(self._coordinates, self._q, before[0])[:, 0]
            self._hessian = updated(self._hessian, step, self._forces - before[1])

    def renew(self, matrix: Matrix) -> None:
        """Forget what was learnt; where forces are left, the coordinates' own curvature is taken off."""
        own = matrix - self._curvature_of_coordinates()
        inverse = cho_solve(self._factor, self._b.T)
        self._hessian = inverse.T @ own @ inverse

    def walk(self, step: Vector) -> Positions:
        """Along the curve on which the coordinates change evenly."""
        there = self._positions + step.reshape(-1, 3)
        wanted = self._b @ step
        for _ in range(CORRECTIONS):
            q = values(self._coordinates, _column(there))
            missing = wanted - self._roots * difference(self._coordinates, q, self._q)[:, 0]
            shift = cho_solve(self._factor, self._b.T @ missing)
            there = there + shift.reshape(-1, 3)
            if np.abs(shift).max() < CORRECTED:
                break
        straight = self._positions + step.reshape(-1, 3)
        moved, expected = (np.linalg.norm(one - self._positions, axis=1).max() for one in (there, straight))
        return there if moved < ASTRAY * expected + CORRECTED else straight

    def _curvature_of_coordinates(self) -> Matrix:
        """Sum of the second derivatives of all coordinates, each times the force along it, eV/Å²."""
        size = self._positions.size
        moved = self._positions.reshape(1, size) + _DIFFERENCE * np.concatenate([np.eye(size), -np.eye(size)])
        xyz = np.ascontiguousarray(moved.reshape(2 * size, -1, 3).transpose(2, 1, 0))
        rows = values_and_rows(self._coordinates, xyz)[1]
        forces = np.repeat((self._roots * self._forces)[:, None], 2 * size, axis=1)
        slopes = self._assembly.to_cartesian(rows, forces)
        matrix = (slopes[:, :size] - slopes[:, size:]) / (2.0 * _DIFFERENCE)
        symmetric: np.ndarray = 0.5 * (matrix + matrix.T)
        return symmetric


def updated(matrix: np.ndarray, step: np.ndarray, change: np.ndarray) -> np.ndarray:
    """The Hessian after a step, by Bofill's mixture of the updates of Murtagh and Sargent and of Powell.

    Args:
        matrix: Before.
        step: Change of the coordinates.
        change: Of the gradient.
    """
    missing = change - matrix @ step
    length, size, along = step @ step, missing @ missing, missing @ step
    if length < 1e-16 or size < 1e-16:
        return matrix
    share = along**2 / (length * size)
    cross = np.outer(missing, step)
    powell = (cross + cross.T) / length - along * np.outer(step, step) / length**2
    symmetric = share * np.outer(missing, missing) / along if abs(along) > 1e-12 else 0.0
    return matrix + symmetric + (1.0 - share) * powell


def _column(positions: Positions) -> Float[np.ndarray, "3 atoms 1"]:
    return np.ascontiguousarray(positions.T[:, :, None])
