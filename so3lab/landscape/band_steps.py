"""How do all images of a path move at once: quasi-Newton with limited memory, no line search.

Forces on a path are no gradient of anything, so that no energy says whether a step was good: steps are short, and what
was learnt is forgotten when forces grow. Of molecules a model Hessian of internal coordinates knows which directions
are stiff, as for single structures (S. Makri, C. Ortner and J. R. Kermode, J. Chem. Phys. 150, 094109, 2019): most
paths need a third of the steps, but one in eight never settles, which all coordinates alike then bring home.
"""

import ase
import numpy as np
from jaxtyping import Float
from scipy.linalg import cho_factor, cho_solve

from so3lab.minimize.assembly import Assembly
from so3lab.minimize.changes import bonds_at_start
from so3lab.minimize.coordinates import CoordinatesError, internal_coordinates
from so3lab.minimize.memory import Memory
from so3lab.minimize.model_hessian import force_constants
from so3lab.minimize.waiting import MOST_ATOMS_INTERNAL
from so3lab.minimize.wilson import values_and_rows
from so3lab.structures.bonds import bonded_pairs
from so3lab.structures.constraints import held_atoms

LONGEST = 0.2
"""Å that an atom moves at most in a step."""
STIFFNESS = 70.0
"""eV/Å² of every coordinate where no model of a molecule is wanted, before the first step."""
SOFTEST = 5.0
"""eV/Å² that is added to the model of a molecule: springs, and a curvature along which nothing is known of the path."""
REMEMBERED = 100
RENEWED_AFTER = 10
"""Steps, after which the model is made anew."""
GROWN = 4.0
"""Times the force before a step: then everything is forgotten."""
SHORTER, LONGER, SHORTEST = 0.8, 1.3, 0.005
"""By which steps are shortened when the largest force has grown, and lengthened otherwise; Å to which at least."""

Inner = Float[np.ndarray, "inner atoms 3"]


class BandSteps:
    """Steps of one path.

    Args:
        atoms: What the images are made of.
        inner: Images that move.
        model: Whether a molecule has a model Hessian.
    """

    def __init__(self, atoms: ase.Atoms, inner: int, model: bool = True):
        self._shape = (inner, len(atoms), 3)
        self._memory = Memory(int(np.prod(self._shape)), 1, REMEMBERED)
        self._row = np.array([0])
        self._count, self._last, self._trust = 0, np.inf, LONGEST
        self._numbers = atoms.numbers
        self._coordinates = self._internal(atoms) if model else None
        self._factors: list[tuple[np.ndarray, bool]] = []
        self._step: Inner | None = None
        self._forces: Inner | None = None

    @staticmethod
    def _internal(atoms: ase.Atoms):
        """Internal coordinates of a molecule; None where there is none."""
        molecule = not atoms.pbc.any() and 2 < len(atoms) <= MOST_ATOMS_INTERNAL and not held_atoms(atoms).any()
        if not molecule or not len(bonded_pairs(atoms)[0]):
            return None
        try:
            return internal_coordinates(atoms.numbers, atoms.positions, bonds_at_start(atoms))
        except CoordinatesError:
            return None

    @property
    def by_model(self) -> bool:
        """Whether there is a model Hessian."""
        return self._coordinates is not None

    def forget(self) -> None:
        """Begin anew, since forces mean something else."""
        self._memory.forget(self._row)
        self._step, self._last, self._count = None, np.inf, 0

    def propose(self, positions: Inner, forces: Inner) -> Inner:
        """By how much to move, Å.

        Args:
            positions: Å, of the inner images.
            forces: eV/Å, on them.
        """
        largest = float(np.linalg.norm(forces, axis=2).max())
        self._trust = self._trust * (SHORTER if largest > self._last else LONGER)
        self._trust = float(np.clip(self._trust, SHORTEST, LONGEST))
        if largest > GROWN * self._last:
            self.forget()
        elif self._step is not None and self._forces is not None:
            self._memory.learn(self._row, self._step.reshape(1, -1), (self._forces - forces).reshape(1, -1))
        self._last = largest
        if self._coordinates is not None and self._count % RENEWED_AFTER == 0:
            self._factors = self._factorised(positions)
        self._count += 1
        step = self._memory.solve(self._row, forces.reshape(1, -1), self._inverse).reshape(self._shape)
        longest = np.linalg.norm(step, axis=2).max()
        step = step * min(1.0, self._trust / max(longest, 1e-12))
        self._step, self._forces = step, forces.copy()
        return step

    def _inverse(self, vectors: Float[np.ndarray, "one size"]) -> Float[np.ndarray, "one size"]:
        """What is known of the inverse Hessian before any step."""
        if self._coordinates is None:
            found: np.ndarray = self._memory.scale(self._row, 1.0 / STIFFNESS)[:, None] * vectors
            return found
        blocks = vectors.reshape(self._shape[0], -1)
        solved = [cho_solve(factor, block) for factor, block in zip(self._factors, blocks, strict=True)]
        return np.concatenate(solved)[None]

    def _factorised(self, positions: Inner) -> list[tuple[np.ndarray, bool]]:
        """The model Hessian of each image."""
        coordinates = self._coordinates
        assert coordinates is not None
        xyz = np.ascontiguousarray(positions.transpose(2, 1, 0))
        _, rows = values_and_rows(coordinates, xyz)
        models = Assembly(coordinates).hessian(rows, force_constants(coordinates, self._numbers, xyz))
        more = SOFTEST * np.eye(models.shape[1])
        return [cho_factor(model + more, lower=True) for model in models]
