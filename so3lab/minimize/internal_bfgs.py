"""Quasi-Newton steps in internal coordinates, for all structures of a batch that share them.

The Hessian lives in internal coordinates: a diagonal k from rules, and what every step made has told (BFGS). Between
coordinates and atoms go products with ``(Bᵀ k B + c)⁻¹``. Newton's step is walked along a curve, so that bonds keep
their lengths while dihedrals turn. Each structure has a row, its own trust radius, and goes its own way.

Sources: quasi-Newton in redundant coordinates, P. Pulay and G. Fogarasi, J. Chem. Phys. 96, 2856 (1992); the diagonal,
:mod:`so3lab.minimize.model_hessian`; what is learnt, :mod:`so3lab.minimize.memory`.
"""

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.linalg import lapack

from so3lab.minimize.assembly import Assembly
from so3lab.minimize.coordinates import InternalCoordinates
from so3lab.minimize.memory import Memory
from so3lab.minimize.model_hessian import force_constants
from so3lab.minimize.steps import LONGEST_STEP, MAY_RISE, trust_after
from so3lab.minimize.wilson import difference, values, values_and_rows

SOFTEST = 0.001
"""eV/Å², added to the Hessian of atoms: the curvature of what internal coordinates do not know. More of it damps soft
dihedrals, so that relaxations end on their shoulders."""
MEMORY = 40
"""Steps that are remembered."""
HELD = 1e4
"""Times as stiff as others are coordinates that are held."""
CURVED_FROM = 0.02
"""Å of the largest displacement beyond which a step is curved."""
CORRECTIONS, CORRECTED = 4, 0.003
"""Of a curved step: how many at most, and the size in Å of one that was the last."""
STRAIGHTENED, BENT = 176.0, 145.0
"""Degrees at which an angle has become straight, or a straight one bent: coordinates are then those of another
molecule."""

Rows = Int[np.ndarray, " rows"]
Points = Float[np.ndarray, "rows atoms 3"]
Entries = Float[np.ndarray, "rows entries"]
Forces = Float[np.ndarray, "rows coordinates"]


class InternalBFGS:
    """Steps of structures that share internal coordinates.

    Args:
        coordinates: Which they share.
        numbers: Atomic numbers, which they share too.
        rows: For so many structures at once.
        fixed: Atoms that stay where they are.
        held: Coordinates that keep their values, and are so stiff that no step changes them by much.
    """

    def __init__(
        self,
        coordinates: InternalCoordinates,
        numbers: Int[np.ndarray, " atoms"],
        rows: int,
        fixed: Bool[np.ndarray, " atoms"] | None = None,
        held: Int[np.ndarray, " held"] | None = None,
    ):
        self.coordinates, self._numbers = coordinates, np.asarray(numbers)
        self._assembly = Assembly(coordinates, fixed)
        self._angles = _every_angle(coordinates)
        self._stiffness = np.ones(coordinates.size)
        if held is not None:
            self._stiffness[held] = HELD
        size = 3 * coordinates.atoms
        self._positions = np.zeros((rows, coordinates.atoms, 3))
        self._energies = np.full(rows, np.inf)
        self._gradients = np.zeros((rows, size))
        self._newton = np.zeros((rows, size))
        self._trust = np.full(rows, LONGEST_STEP)
        self._q = np.zeros((coordinates.size, rows))
        self._forces_q = np.zeros((coordinates.size, rows))
        self._constants = np.zeros((coordinates.size, rows))
        self._memory = Memory(coordinates.size, rows, MEMORY)
        self._entries, self._by_atoms = np.zeros((2, rows, self._assembly.count))  # of B, of each row, in both orders
        self._factor: list[np.ndarray | None] = [None] * rows  # Cholesky's, of Bᵀ k B + c, in the order of the band
        self.failed = np.zeros(rows, bool)
        """Rows whose coordinates are no good any more."""

    def begin(self, rows: Rows) -> None:
        """Forget what was in rows: where they are told of next is where structures begin."""
        self._memory.forget(rows)
        self._energies[rows], self._gradients[rows], self._newton[rows] = np.inf, 0.0, 0.0
        self._trust[rows], self.failed[rows] = LONGEST_STEP, False

    def tell(self, rows: Rows, positions: Points, energies: np.ndarray, gradients: Points) -> Bool[np.ndarray, " rows"]:
        """Learn of the points proposed; return which of them are accepted, so that the structure is there now.

        All of them teach the Hessian, those refused too.

        Args:
            rows: Which.
            positions: Å.
            energies: eV.
            gradients: eV/Å.
        """
        share = self._share(rows)
        predicted = share * (2.0 - share) * self.gains(rows)
        accepted = energies <= self._energies[rows] + MAY_RISE
        lengths = _longest(positions - self._positions[rows])
        gained = self._energies[rows] - energies
        self._trust[rows] = trust_after(self._trust[rows], lengths, gained, predicted, accepted)
        finite = np.isfinite(energies)
        if finite.any():
            told = (positions, energies, gradients, share, accepted)
            self._learn(rows[finite], *(part[finite] for part in told))
        return accepted

    def _learn(self, rows: Rows, positions: Points, energies, gradients: Points, share, accepted) -> None:
        """From points with energies, which lie at shares of Newton's steps, and go to those that are accepted."""
        begin = np.isinf(self._energies[rows])
        if begin.any():
            constants = force_constants(self.coordinates, self._numbers, _structures_last(positions[begin]))
            self._constants[:, rows[begin]] = self._stiffness[:, None] * constants
        q, forces_q = self._look(rows, positions, gradients.reshape(len(rows), -1), accepted)
        went = ~begin
        step = difference(self.coordinates, q[:, went], self._q.take(rows[went], axis=1))
        before = self._forces_q.take(rows[went], axis=1).T
        self._memory.learn(rows[went], step.T, forces_q[:, went].T - before, -share[went, None] * before)
        self._arrive(
            rows[accepted], positions[accepted], energies[accepted], gradients[accepted], q[:, accepted],
            forces_q[:, accepted],
        )  # fmt: skip
        self._solve(rows)

    def propose(self, rows: Rows) -> Points:
        """Where to look next, Å."""
        steps = self._share(rows)[:, None] * self._newton[rows]
        steps = steps.reshape(-1, self.coordinates.atoms, 3)
        longest = _longest(steps)
        curved = (longest > CURVED_FROM) & ~self.failed[rows]
        if curved.any():
            steps[curved] = self._curved(rows[curved], steps[curved], longest[curved])
        return self._positions[rows] + steps

    def _curved(self, rows: Rows, steps: Points, longest: Float[np.ndarray, " rows"]) -> Points:
        """Displacements along which the coordinates change as they would along straight ones without end, Å."""
        straight, begin, going = steps, self._positions[rows], np.arange(len(rows))
        q, constants = self._q.take(rows, axis=1), self._constants.take(rows, axis=1)
        by_atoms = self._by_atoms[rows]
        flat = steps.reshape(len(rows), -1)[:, self._assembly.order]
        wanted = self._assembly.stretched(self._entries[rows], flat).T
        steps = steps.copy()
        for _ in range(CORRECTIONS):
            now = values(self.coordinates, _structures_last(begin[going] + steps[going]))
            missing = wanted[:, going] - difference(self.coordinates, now, q[:, going])
            shifts = self._relax(rows[going], by_atoms[going], (constants[:, going] * missing).T)
            shifts = shifts[:, self._assembly.place].reshape(len(going), -1, 3)
            steps[going] += shifts
            going = going[np.abs(shifts).max(axis=(1, 2)) > CORRECTED]
            if not len(going):
                break
        astray = ~(_longest(steps) < 3.0 * longest + CURVED_FROM)  # the curve led nowhere: go straight
        steps[astray] = straight[astray]
        return steps

    def gains(self, rows: Rows) -> Float[np.ndarray, " rows"]:
        """eV by which the energy is predicted to fall until the minimum: half of gᵀ H⁻¹ g."""
        return -0.5 * np.einsum("rc,rc->r", self._gradients[rows], self._newton[rows])

    def _share(self, rows: Rows) -> Float[np.ndarray, " rows"]:
        """By which Newton's steps are shortened to the trust radius."""
        longest = _longest(self._newton[rows].reshape(len(rows), -1, 3))
        return np.minimum(1.0, self._trust[rows] / np.maximum(longest, 1e-12))

    def _look(self, rows: Rows, positions: Points, gradients: Float[np.ndarray, "rows cartesian"], keep):
        """Coordinates at new points, and gradients along them; ``keep`` says of which what the next steps from there
        need."""
        q, wilson = values_and_rows(self.coordinates, _structures_last(positions))
        wilson = self._assembly.free(wilson)
        models = self._assembly.band(wilson, self._constants.take(rows, axis=1))
        models[:, :, 0] += SOFTEST
        solved, entries = gradients[:, self._assembly.order], self._assembly.entries(wilson)
        by_atoms = self._assembly.by_atoms(entries)
        for number, row in enumerate(rows):
            factor, wrong = lapack.dpbtrf(models[number].T, lower=1)
            if wrong:
                self.failed[row], solved[number] = True, 0.0
                continue
            solved[number] = lapack.dpbtrs(factor, solved[number], lower=1)[0]
            if keep[number]:
                self._entries[row], self._by_atoms[row], self._factor[row] = entries[number], by_atoms[number], factor
        forces_q = self._constants.take(rows, axis=1) * self._assembly.stretched(entries, solved).T
        return q, forces_q

    def _arrive(self, rows: Rows, positions, energies, gradients, q, forces_q) -> None:
        self._positions[rows], self._energies[rows] = positions, energies
        self._gradients[rows] = gradients.reshape(len(rows), self._gradients.shape[1])
        self._q[:, rows], self._forces_q[:, rows] = q, forces_q
        self.failed[rows] |= self._straightened(positions)

    def _solve(self, rows: Rows) -> None:
        """Newton's steps with what has been learnt."""
        rows = rows[~self.failed[rows]]
        if not len(rows):
            return
        entries, by_atoms = self._entries[rows], self._by_atoms[rows]

        def inverse(forces: Forces) -> Forces:
            """B (Bᵀ k B + c)⁻¹ Bᵀ."""
            return self._assembly.stretched(entries, self._relax(rows, by_atoms, forces))

        turned = self._memory.solve(rows, -self._forces_q.take(rows, axis=1).T, inverse)
        newton = self._relax(rows, by_atoms, self._constants.take(rows, axis=1).T * turned)
        self._newton[rows] = newton[:, self._assembly.place]

    def _straightened(self, positions: Points) -> Bool[np.ndarray, " rows"]:
        """Whether an angle, or one within a dihedral, has become straight, or a straight one bent."""
        wrong = np.zeros(len(positions), bool)
        for members, limit, sign in ((self._angles, STRAIGHTENED, -1), (self.coordinates.linear_bends[:, :3], BENT, 1)):
            if not len(members):
                continue
            back = positions[:, members[:, 0]] - positions[:, members[:, 1]]
            forth = positions[:, members[:, 2]] - positions[:, members[:, 1]]
            lengths = np.sqrt(np.einsum("rax,rax->ra", back, back) * np.einsum("rax,rax->ra", forth, forth))
            cosines = np.einsum("rax,rax->ra", back, forth) / lengths
            wrong |= (sign * (cosines - np.cos(np.radians(limit))) > 0).any(axis=1)
        return wrong

    def _relax(self, rows: Rows, by_atoms: Entries, forces: Forces) -> Float[np.ndarray, "rows cartesian"]:
        """(Bᵀ k B + c)⁻¹ Bᵀ times forces along coordinates, in the order of the band."""
        found = self._assembly.pulled(by_atoms, forces)
        for row, pull in zip(rows, found, strict=True):
            pull[:] = lapack.dpbtrs(self._factor[row], pull, lower=1)[0]
        return found


def _longest(steps: Points) -> Float[np.ndarray, " rows"]:
    """Å, of the atom that moves most."""
    found: np.ndarray = np.sqrt(np.einsum("rax,rax->ra", steps, steps).max(axis=1))
    return found


def _structures_last(positions: Points) -> Float[np.ndarray, "3 atoms rows"]:
    return np.ascontiguousarray(positions.transpose(2, 1, 0))


def _every_angle(coordinates: InternalCoordinates) -> Int[np.ndarray, "angles 3"]:
    """Angles, those within dihedrals among them, each once."""
    i, j, k, m = coordinates.dihedrals.T
    every = np.concatenate([coordinates.angles, np.stack([i, j, k], 1), np.stack([j, k, m], 1)])
    ends = np.sort(every[:, [0, 2]], axis=1)
    found: np.ndarray = np.unique(np.stack([ends[:, 0], every[:, 1], ends[:, 1]], axis=1), axis=0)
    return found
