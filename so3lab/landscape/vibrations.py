"""How does a minimum or a saddle vibrate, how many ways of turning leave it as it is, and how heavy is it to turn?

That is all that harmonic thermodynamics needs of a state beside its energy.
"""

from dataclasses import dataclass

import ase
import numpy as np
from jaxtyping import Float
from scipy.spatial.distance import cdist

from so3lab import units
from so3lab.engine.energy_model import EnergyModel
from so3lab.engine.hessians import hessian
from so3lab.observables.vibrations import normal_modes
from so3lab.structures.constraints import held_atoms

SYMMETRIC = 0.05
"""Å (or the unit of the positions) within which atoms must fall upon equal ones for an operation to count."""


@dataclass(frozen=True)
class Vibrations:
    """Harmonic modes of a state, its symmetry and its moments of inertia."""

    wavenumbers_cm: Float[np.ndarray, " modes"]
    """cm⁻¹, slowest first; imaginary ones as negative numbers."""
    symmetry_order: int
    """Rotations and reflections that leave the structure as it is, the identity included: the order h of its point
    group; of a linear molecule, those that permute atoms. A compound of N! permutations has 2 N!/h copies of a state,
    mirror images among them."""
    moments: Float[np.ndarray, " 3"]
    """Moments of inertia, amu Å², the smallest first."""

    @property
    def imaginary(self) -> int:
        """How many modes are."""
        return int(np.sum(self.wavenumbers_cm < 0))


def vibrations(model: EnergyModel, atoms: ase.Atoms) -> Vibrations:
    """Those of a stationary point, by the exact Hessian.

    Args:
        model: Differentiable twice and best in double precision, see :func:`so3lab.engine.hessians.hessian`.
        atoms: A minimum or a saddle, without a cell.
    """
    return vibrations_from(hessian(model, atoms), atoms)


def vibrations_from(matrix: Float[np.ndarray, "coordinates coordinates"], atoms: ase.Atoms) -> Vibrations:
    """The same, from a Hessian in eV/Å² that is known.

    Atoms under ASE's ``FixAtoms`` stay: then nothing turns as a whole, and no operation but the identity is counted.
    """
    if (held := held_atoms(atoms)).any():
        moves = np.repeat(~held, 3)
        roots = np.sqrt(np.repeat(atoms.get_masses(), 3)[moves])
        squares = np.linalg.eigvalsh(matrix[np.ix_(moves, moves)] / np.outer(roots, roots))
        wavenumbers = np.sign(squares) * np.sqrt(np.abs(squares)) / (2.0 * np.pi * units.per_cm)
        return Vibrations(wavenumbers, 1, np.zeros(3))
    modes = normal_modes(matrix, atoms.get_masses(), atoms.positions)
    return Vibrations(
        modes.wavenumbers_per_cm,
        symmetry_order(atoms.numbers, atoms.positions),
        np.asarray(atoms.get_moments_of_inertia(), float),
    )


def symmetry_order(
    numbers: np.ndarray,
    positions: Float[np.ndarray, "atoms 3"],
    tolerance: float = SYMMETRIC,
    *,
    rotations_only: bool = False,
) -> int:
    """Number of rotations and reflections about the centre that bring equal atoms onto equal ones.

    Two atoms that do not lie on a line with the centre fix an operation but for its hand; every pair that lies alike is
    tried as their images. Linear structures have infinitely many operations, of which those that permute atoms
    differently are counted.

    Args:
        numbers: Atomic numbers.
        positions: Å.
        tolerance: Å by which an atom may miss its image.
        rotations_only: Leave reflections out; of a linear structure, which is its own mirror image, none is left out.
    """
    at = positions - positions.mean(axis=0)
    radii = np.linalg.norm(at, axis=1)
    first = int(np.argmax(radii))
    if radii[first] < tolerance:
        return 1
    off_axis = np.linalg.norm(np.cross(at, at[first] / radii[first]), axis=1)
    second = int(np.argmax(off_axis))
    if off_axis[second] < tolerance:
        return 1 + _matches(numbers, at, -at, tolerance)
    alike = [
        np.flatnonzero((numbers == numbers[one]) & (np.abs(radii - radii[one]) < 2 * tolerance))
        for one in (first, second)
    ]
    own, apart = _axes(at[first], at[second]), np.linalg.norm(at[first] - at[second])
    count = 0
    for i in alike[0]:
        for j in alike[1]:
            if i == j or abs(np.linalg.norm(at[i] - at[j]) - apart) > 3 * tolerance:
                continue
            axes = _axes(at[i], at[j])
            for hand in (1.0,) if rotations_only else (1.0, -1.0):
                turned = at @ own.T @ (axes * np.array([[1.0], [1.0], [hand]]))
                count += _matches(numbers, at, turned, tolerance)
    return max(1, count)


def _matches(numbers: np.ndarray, one: np.ndarray, other: np.ndarray, tolerance: float) -> bool:
    """Whether every atom of the one falls upon an equal one of the other, each upon its own."""
    distances = cdist(one, other) + np.where(numbers[:, None] == numbers, 0.0, np.inf)
    partners = np.argmin(distances, axis=1)
    near = distances[np.arange(len(one)), partners] < 2 * tolerance
    return bool(near.all()) and len(set(partners.tolist())) == len(one)


def _axes(first: np.ndarray, second: np.ndarray) -> Float[np.ndarray, "3 3"]:
    """Right-handed axes as rows, the first along one vector, the second in the plane of both."""
    x = first / np.linalg.norm(first)
    y = second - (second @ x) * x
    y = y / np.linalg.norm(y)
    return np.stack([x, y, np.cross(x, y)])
