"""How do sparse rows of Wilson's matrix become Hessians of atoms, and how do they act on vectors?

Rows have up to twelve entries, so that nothing here costs more than a few hundred products per coordinate, whatever
the number of atoms.
"""

from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float
from scipy.sparse import csr_array

from so3lab.minimize.coordinates import InternalCoordinates
from so3lab.minimize.wilson import WilsonRows

DENSE_UP_TO = 300
"""Coordinates of atoms up to which products with a matrix full of zeros are quicker."""


class Assembly:
    """Where the entries of Wilson's matrix of a molecule belong; made once for all structures that share coordinates.

    Args:
        coordinates: Which.
        fixed: Atoms that do not move, whose entries are nil.
    """

    def __init__(self, coordinates: InternalCoordinates, fixed: Bool[np.ndarray, " atoms"] | None = None):
        self.size = 3 * coordinates.atoms
        dihedrals, bends = coordinates.dihedrals, coordinates.linear_bends
        members = [coordinates.distances, coordinates.angles, np.concatenate([dihedrals, bends, bends])]
        self._columns = [
            (3 * part[:, :, None] + np.arange(3)).reshape(len(part), 3 * part.shape[1]) for part in members
        ]
        self._free = None
        if fixed is not None and fixed.any():
            self._free = tuple(np.repeat(~fixed[part], 3, axis=1)[:, :, None] for part in members)
        stops = np.cumsum([0, *(len(part) for part in members)])
        self._rows = [slice(start, stop) for start, stop in pairwise(stops.tolist())]
        where = [part.ravel() for part in self._columns]
        self._scatter = _sums(np.concatenate(where), self.size)
        targets = [(part[:, :, None] * self.size + part[:, None, :]).ravel() for part in self._columns]
        joined = np.concatenate(targets)
        indices = np.concatenate(where)
        lengths = np.concatenate([np.full(len(part), part.shape[1]) for part in self._columns])
        self._lengths, self._flat = lengths, indices + self.size * np.repeat(np.arange(len(lengths)), lengths)
        self._pointers = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        self._indices = indices.astype(np.int32)
        lower = np.flatnonzero(joined // self.size >= joined % self.size)
        self._places, into = np.unique(joined[lower], return_inverse=True)
        shape = (len(self._places), len(joined))
        self._hessian = csr_array((np.ones(len(lower)), (into, lower)), shape)

    def free(self, rows: WilsonRows) -> WilsonRows:
        """The rows without entries of atoms that are fixed."""
        if self._free is None:
            return rows
        return WilsonRows(tuple(part * free for part, free in zip(rows.parts, self._free, strict=True)))

    def hessian(
        self, rows: WilsonRows, constants: Float[np.ndarray, "coordinates structures"]
    ) -> Float[np.ndarray, "structures cartesian cartesian"]:
        """Bᵀ diag(k) B of each structure, its lower triangle; the upper one is zero.

        Args:
            rows: Of Wilson's matrix B.
            constants: k, one for each coordinate.
        """
        structures = constants.shape[1]
        products = []
        for part, own in zip(rows.parts, self._rows, strict=True):
            weighted = part * constants[own, None]
            products.append((weighted[:, :, None] * part[:, None]).reshape(-1, structures))
        found = self._hessian @ np.concatenate(products)
        full = np.zeros((structures, self.size * self.size))
        full[:, self._places] = found.T
        return full.reshape(structures, self.size, self.size)

    def to_internal(self, rows: WilsonRows, steps: Float[np.ndarray, "cartesian structures"]) -> np.ndarray:
        """B x: change of coordinates by small displacements of atoms, shape ``(coordinates, structures)``."""
        parts = [
            np.einsum("ces,ces->cs", part, steps[columns])
            for part, columns in zip(rows.parts, self._columns, strict=True)
        ]
        return np.concatenate(parts)

    def to_cartesian(self, rows: WilsonRows, forces: Float[np.ndarray, "coordinates structures"]) -> np.ndarray:
        """Bᵀ f: what forces along coordinates are on atoms, shape ``(cartesian, structures)``."""
        parts = [
            (part * forces[own, None]).reshape(-1, forces.shape[1])
            for part, own in zip(rows.parts, self._rows, strict=True)
        ]
        return self._scatter @ np.concatenate(parts)

    def matrix(self, rows: WilsonRows, structure: int) -> np.ndarray | csr_array:
        """Wilson's matrix of one structure, with its zeros only where they are few: such products are quicker then."""
        return self.dense(rows, structure) if self.size <= DENSE_UP_TO else self.sparse(rows, structure)

    def sparse(self, rows: WilsonRows, structure: int) -> csr_array:
        """Wilson's matrix of one structure."""
        shape = (len(self._lengths), self.size)
        return csr_array((self._entries(rows, structure), self._indices, self._pointers), shape)

    def dense(self, rows: WilsonRows, structure: int) -> Float[np.ndarray, "coordinates cartesian"]:
        """Wilson's matrix of one structure with all its zeros."""
        full = np.zeros(len(self._lengths) * self.size)
        full[self._flat] = self._entries(rows, structure)
        return full.reshape(-1, self.size)

    def _entries(self, rows: WilsonRows, structure: int) -> np.ndarray:
        return np.concatenate([part[:, :, structure].ravel() for part in rows.parts])


def _sums(targets: np.ndarray, size: int) -> csr_array:
    """The matrix that adds rows into the places that ``targets`` names."""
    return csr_array((np.ones(len(targets)), (targets, np.arange(len(targets)))), (size, len(targets)))
