"""Atoms and cell as one set of coordinates, so that both are relaxed together.

A cell that is deformed by F (rows of vectors times F) moves its atoms along. Coordinates are the positions before the
deformation and three rows more, F times the number of atoms: so much softer than a bond is a cell, and so much are
these rows longer. The convention is that of ASE's ``UnitCellFilter`` (E. B. Tadmor et al., Phys. Rev. B 59, 235, 1999).
"""

import ase
import numpy as np
from jaxtyping import Float

Rows = Float[np.ndarray, "rows 3"]
AtomRows = Float[np.ndarray, "atoms 3"]
Matrix = Float[np.ndarray, "3 3"]


def undeformed(atoms: ase.Atoms) -> Rows:
    """The coordinates of a structure as it is."""
    return np.concatenate([atoms.positions, len(atoms) * np.eye(3)])


def deformation(rows: Rows) -> Matrix:
    """F of these coordinates."""
    matrix: np.ndarray = rows[-3:] / (len(rows) - 3)
    return matrix


def deformed(atoms: ase.Atoms, rows: Rows) -> tuple[AtomRows, Matrix]:
    """Positions and cell in Å.

    Args:
        atoms: The structure before the deformation, with its cell.
        rows: Coordinates.
    """
    matrix = deformation(rows)
    return rows[:-3] @ matrix, np.asarray(atoms.cell) @ matrix


def gradients_of_deformed(rows: Rows, gradient: AtomRows, virial: Matrix) -> Rows:
    """Derivatives of an energy by the coordinates, from those by positions and by a strain.

    Args:
        rows: Coordinates.
        gradient: By positions, eV/Å.
        virial: By a strain of atoms and cell, eV.
    """
    matrix = deformation(rows)
    by_matrix = np.linalg.solve(matrix, np.eye(3)).T @ virial
    return np.concatenate([gradient @ matrix.T, by_matrix / (len(rows) - 3)])


def real_gradient(rows: Rows, gradient: Rows) -> AtomRows:
    """Derivatives by positions, eV/Å, from those by the coordinates."""
    found: np.ndarray = np.linalg.solve(deformation(rows), gradient[:-3].T).T
    return found
