"""What may move in a relaxation: not fixed atoms, not held distances, angles and dihedrals, and nothing as a whole.

Held coordinates are exact: forces along them are taken away, and every step is followed by a small correction.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import ase
import numpy as np
from ase.constraints import FixAtoms
from jaxtyping import Bool, Float

from so3lab.minimize.assembly import Assembly
from so3lab.minimize.coordinates import InternalCoordinates
from so3lab.minimize.wilson import difference, values, values_and_rows
from so3lab.structures.constraints import held_atoms

_EXACT = 1e-10
_RESTORATIONS = 30
_LARGEST_CORRECTION = 0.1  # Å or radians that a held coordinate is turned at once


@dataclass(frozen=True)
class Held:
    """A distance (two atoms), an angle (three, the vertex in the middle) or a dihedral (four) that does not change."""

    atoms: tuple[int, ...]
    value: float | None = None
    """Å, or degrees; None: as it is at the start."""

    def __post_init__(self) -> None:
        atoms = self.atoms
        if len(atoms) not in (2, 3, 4) or len(set(atoms)) != len(atoms) or any(atom < 0 for atom in atoms):
            raise ValueError(f"Held atoms must be two, three or four different numbers, got {atoms}")
        if self.value is not None and not np.isfinite(self.value):
            raise ValueError(f"Held value must be a finite number or None, got {self.value}")
        if self.value is not None and len(atoms) == 2 and self.value <= 0:
            raise ValueError(f"Held value of a distance must be positive (Å), got {self.value}")
        if self.value is not None and len(atoms) == 3 and not 0 < self.value < 180:
            raise ValueError(f"Held value of an angle must lie between 0 and 180 degrees, got {self.value}")


class Freedom:
    """What may move in one structure.

    Args:
        atoms: The structure; atoms under ASE's ``FixAtoms`` are fixed.
        held: Coordinates that do not change.

    Raises:
        ValueError: If the structure has other constraints, or lacks atoms that are to be held.
    """

    def __init__(self, atoms: ase.Atoms, held: Sequence[Held] = ()):
        others = [type(one).__name__ for one in atoms.constraints if not isinstance(one, FixAtoms)]
        if others:
            raise ValueError(
                f"atoms.constraints may hold FixAtoms only, got {', '.join(others)}; hold distances, angles and "
                "dihedrals with hold=[Held((i, j)), ...]"
            )
        for one in held:
            if max(one.atoms) >= len(atoms):
                raise ValueError(f"Held atoms must be numbers below {len(atoms)}, got {one.atoms}")
        self.fixed: Bool[np.ndarray, " atoms"] = held_atoms(atoms)
        self.free_to_turn = not self.fixed.any() and not atoms.pbc.any()
        self.free_to_shift = not self.fixed.any()
        self.members = tuple(tuple(one.atoms) for one in held)
        self.restricts = bool(self.fixed.any() or held)
        if held:
            self._coordinates = held_coordinates(len(atoms), self.members)
            self._assembly = Assembly(self._coordinates, self.fixed)
            self._wanted = self._values_wanted(atoms, held)

    def _values_wanted(self, atoms: ase.Atoms, held: Sequence[Held]) -> np.ndarray:
        """Values in the order of the coordinates: distances, angles, dihedrals."""
        now = values(self._coordinates, _column(atoms.positions))[:, 0]
        in_order = sorted(held, key=lambda one: len(one.atoms))
        given = [one.value if one.value is None or len(one.atoms) == 2 else np.radians(one.value) for one in in_order]
        return np.array([own if value is None else value for own, value in zip(now, given, strict=True)])

    def project(
        self, gradient: Float[np.ndarray, "atoms 3"], positions: Float[np.ndarray, "atoms 3"]
    ) -> Float[np.ndarray, "atoms 3"]:
        """The gradient without what would move fixed atoms or change held coordinates."""
        gradient = np.where(self.fixed[:, None], 0.0, gradient)
        if not self.members:
            return gradient
        rows = self._rows(positions)
        flat = gradient.ravel()
        return (flat - rows.T @ np.linalg.lstsq(rows @ rows.T, rows @ flat, rcond=1e-10)[0]).reshape(-1, 3)

    def restore(self, positions: Float[np.ndarray, "atoms 3"]) -> Float[np.ndarray, "atoms 3"]:
        """Positions with held coordinates as they are wanted, by small displacements.

        Raises:
            ValueError: If they contradict each other.
        """
        if not self.members:
            return positions
        at = positions.copy()
        for _ in range(_RESTORATIONS + int(np.ceil(np.pi / _LARGEST_CORRECTION)) * 2):
            now = values(self._coordinates, _column(at))
            missing = difference(self._coordinates, self._wanted[:, None], now)[:, 0]
            if np.abs(missing).max() < _EXACT:
                return at
            missing *= min(1.0, _LARGEST_CORRECTION / np.abs(missing).max())
            rows = self._rows(at)
            at += (rows.T @ np.linalg.lstsq(rows @ rows.T, missing, rcond=1e-10)[0]).reshape(-1, 3)
        raise ValueError(f"held coordinates {list(self.members)} cannot all have the values wanted; hold fewer")

    def directions(self, positions: Float[np.ndarray, "atoms 3"]) -> Float[np.ndarray, "directions cartesian"]:
        """An orthonormal basis of all displacements that are free: no whole motion, nothing fixed, nothing held."""
        size = positions.size
        barred = [np.eye(size)[np.repeat(self.fixed, 3)]]
        if self.free_to_shift:
            barred.append(np.tile(np.eye(3), len(positions)))
        if self.free_to_turn:
            at = positions - positions.mean(axis=0)
            barred.append(np.stack([np.cross(axis, at).ravel() for axis in np.eye(3)]))
        if self.members:
            barred.append(self._rows(positions))
        rows = np.concatenate(barred)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        _, sizes, basis = np.linalg.svd(rows[lengths[:, 0] > 1e-6] / lengths[lengths[:, 0] > 1e-6], full_matrices=True)
        return basis[int((sizes > 1e-6).sum()) :]

    def _rows(self, positions: Float[np.ndarray, "atoms 3"]) -> Float[np.ndarray, "held cartesian"]:
        wilson = self._assembly.free(values_and_rows(self._coordinates, _column(positions))[1])
        return self._assembly.dense(wilson, 0)


def held_coordinates(atoms: int, members: Sequence[tuple[int, ...]]) -> InternalCoordinates:
    """Held coordinates alone, in the order distances, angles, dihedrals."""
    distances, angles, dihedrals = (
        np.array([m for m in members if len(m) == size], int).reshape(-1, size) for size in (2, 3, 4)
    )
    none, ends = np.zeros((0, 4), int), np.full(len(dihedrals), 2)
    return InternalCoordinates(atoms, distances, angles, dihedrals, none, ends)


def without_rigid_motion(
    gradients: Float[np.ndarray, "rows atoms 3"],
    positions: Float[np.ndarray, "rows atoms 3"],
    present: Bool[np.ndarray, "rows atoms"],
    turn: Bool[np.ndarray, " rows"],
) -> Float[np.ndarray, "rows atoms 3"]:
    """Gradients without net force and, where structures may turn, without torque, which rounding leaves.

    Args:
        gradients: eV/Å.
        positions: Å.
        present: Which rows are atoms; others stay as they are.
        turn: Whether a structure may turn: molecules do, cells do not.
    """
    inside, share = present[:, :, None], (present / np.maximum(present.sum(axis=1, keepdims=True), 1))[:, None]
    gradients = gradients - inside * np.matmul(share, gradients)
    if not turn.any():
        return gradients
    at = inside * (positions - np.matmul(share, positions))
    pull = np.matmul(at.transpose(0, 2, 1), gradients)
    torque = np.stack([pull[:, 1, 2] - pull[:, 2, 1], pull[:, 2, 0] - pull[:, 0, 2], pull[:, 0, 1] - pull[:, 1, 0]], 1)
    square = np.matmul(at.transpose(0, 2, 1), at)
    inertia = np.trace(square, axis1=1, axis2=2)[:, None, None] * np.eye(3) - square
    moments, axes = np.linalg.eigh(inertia)
    about = moments > 1e-9 * moments[:, 2:]  # a molecule of atoms on one line does not turn about it
    along = np.einsum("rxm,rx->rm", axes, torque) * turn[:, None]
    spin = np.einsum("rxm,rm->rx", axes, np.where(about, along / np.where(about, moments, 1.0), 0.0))
    return gradients - np.matmul(at, _skew(spin))


def _skew(vectors: Float[np.ndarray, "rows 3"]) -> Float[np.ndarray, "rows 3 3"]:
    """Matrices by which rows x become v × x."""
    found = np.zeros((len(vectors), 3, 3))
    for (first, second), vector in zip(((1, 2), (2, 0), (0, 1)), vectors.T, strict=True):
        found[:, first, second], found[:, second, first] = vector, -vector
    return found


def _column(positions: Float[np.ndarray, "atoms 3"]) -> Float[np.ndarray, "3 atoms 1"]:
    return np.ascontiguousarray(positions.T[:, :, None])
