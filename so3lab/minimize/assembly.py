"""How do sparse rows of Wilson's matrix become Hessians of atoms, and how do they act on vectors?

Rows have up to twelve entries, so that nothing here costs more than a few hundred products per coordinate, whatever
the number of atoms. Atoms in the right order make the Hessian a band about its diagonal, since coordinates reach no
farther than three bonds.

Source of the order: E. Cuthill and J. McKee, Proc. 24th ACM National Conference, 157 (1969), reversed.
"""

from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import csr_array
from scipy.sparse.csgraph import reverse_cuthill_mckee

from so3lab.minimize.coordinates import InternalCoordinates
from so3lab.minimize.wilson import WilsonRows


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
        joined = np.concatenate([_joined(part, self.size) for part in self._columns])
        indices = np.concatenate(where)
        lengths = np.concatenate([np.full(len(part), part.shape[1]) for part in self._columns])
        self._owners = np.repeat(np.arange(len(lengths)), lengths)  # coordinates that entries belong to
        self._begins = np.cumsum(lengths) - lengths
        self.count = len(indices)
        """Entries of B."""
        self._flat = indices + self.size * self._owners
        self._places, into = np.unique(joined, return_inverse=True)
        self._products = np.empty(0)
        self._make_band(coordinates.atoms, indices)
        self._band = _sums(self._in_band[into], self.size * self.width)

    def _make_band(self, atoms: int, indices: Int[np.ndarray, " entries"]) -> None:
        """The order of atoms, and where places of the Hessian are in the band."""
        first, second = np.divmod(self._places, self.size)
        pairs = (first // 3, second // 3)
        graph = csr_array((np.ones(len(self._places)), pairs), (atoms, atoms))
        order = reverse_cuthill_mckee(csr_array(graph + graph.T), symmetric_mode=True)
        self.order = (3 * order[:, None] + np.arange(3)).ravel()
        """Coordinates of atoms in the order of the band."""
        self.place = np.argsort(self.order)
        """Where each of them is in it."""
        apart = np.abs(self.place[first] - self.place[second])
        self.width = int(apart.max(initial=0)) + 1
        """Diagonals of the band, the main one and those below."""
        self._in_band = apart + self.width * np.minimum(self.place[first], self.place[second])
        self._ordered = self.place[indices]
        self._by_atoms = np.argsort(self._ordered, kind="stable")
        self._owners_by_atoms = self._owners[self._by_atoms]
        self._pulled, self._begins_by_atoms = np.unique(self._ordered[self._by_atoms], return_index=True)

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
        full = np.zeros((structures, self.size * self.size))
        full[:, self._places] = self._summed(rows, constants)[self._in_band].T
        return full.reshape(structures, self.size, self.size)

    def band(
        self, rows: WilsonRows, constants: Float[np.ndarray, "coordinates structures"]
    ) -> Float[np.ndarray, "structures cartesian width"]:
        """The same in the order of the band; each transposed is what LAPACK takes as the lower triangle of a band.

        Arguments as of :meth:`hessian`.
        """
        found = np.ascontiguousarray(self._summed(rows, constants).T)
        return found.reshape(len(found), self.size, self.width)

    def _summed(self, rows: WilsonRows, constants) -> Float[np.ndarray, "band structures"]:
        """Elements of the band."""
        structures = constants.shape[1]
        size = self._band.shape[1] * structures
        if size > len(self._products):  # made once: memory that is asked for anew costs as much as the arithmetic
            self._products = np.empty(size)
        products = self._products[:size].reshape(-1, structures)
        begin = 0
        for part, own in zip(rows.parts, self._rows, strict=True):
            weighted = part * constants[own, None]
            for entry in range(part.shape[1]):
                end = begin + len(part) * (part.shape[1] - entry)
                block = products[begin:end].reshape(len(part), part.shape[1] - entry, structures)
                np.multiply(weighted[:, entry : entry + 1], part[:, entry:], out=block)
                begin = end
        found: np.ndarray = self._band @ products
        return found

    def to_cartesian(self, rows: WilsonRows, forces: Float[np.ndarray, "coordinates structures"]) -> np.ndarray:
        """Bᵀ f: what forces along coordinates are on atoms, shape ``(cartesian, structures)``."""
        parts = [
            (part * forces[own, None]).reshape(-1, forces.shape[1])
            for part, own in zip(rows.parts, self._rows, strict=True)
        ]
        return self._scatter @ np.concatenate(parts)

    def entries(self, rows: WilsonRows) -> Float[np.ndarray, "structures entries"]:
        """Entries of Wilson's matrices, structure by structure."""
        structures = rows.parts[0].shape[2]
        return np.ascontiguousarray(np.concatenate([part.reshape(-1, structures) for part in rows.parts]).T)

    def stretched(
        self, entries: Float[np.ndarray, "structures entries"], steps: Float[np.ndarray, "structures cartesian"]
    ) -> Float[np.ndarray, "structures coordinates"]:
        """B x: change of coordinates by small displacements of atoms.

        Args:
            entries: Of B, as :meth:`entries` has them.
            steps: x, in the order of the band.
        """
        found: np.ndarray = np.add.reduceat(entries * steps.take(self._ordered, axis=1), self._begins, axis=1)
        return found

    def by_atoms(self, entries: Float[np.ndarray, "structures entries"]) -> Float[np.ndarray, "structures entries"]:
        """The same entries in the order that :meth:`pulled` takes: those of an atom's x together, then of its y."""
        found: np.ndarray = entries.take(self._by_atoms, axis=1)
        return found

    def pulled(
        self, by_atoms: Float[np.ndarray, "structures entries"], forces: Float[np.ndarray, "structures coordinates"]
    ) -> Float[np.ndarray, "structures cartesian"]:
        """Bᵀ f: what forces along coordinates are on atoms, in the order of the band.

        Args:
            by_atoms: Entries of B, as :meth:`by_atoms` has them.
            forces: f.
        """
        found = np.zeros((len(forces), self.size))
        pulls = by_atoms * forces.take(self._owners_by_atoms, axis=1)
        found[:, self._pulled] = np.add.reduceat(pulls, self._begins_by_atoms, axis=1)
        return found

    def dense(self, rows: WilsonRows, structure: int) -> Float[np.ndarray, "coordinates cartesian"]:
        """Wilson's matrix of one structure with all its zeros."""
        full = np.zeros((len(self._begins), self.size))
        full.reshape(-1)[self._flat] = self.entries(rows)[structure]
        return full


def _joined(columns: Int[np.ndarray, "coordinates entries"], size: int) -> Int[np.ndarray, " products"]:
    """Places in the lower triangle of the Hessian to which products of entries of a row belong, each pair once."""
    found = []
    for entry in range(columns.shape[1]):
        first, second = columns[:, entry:], columns[:, entry : entry + 1]
        found.append((size * np.maximum(first, second) + np.minimum(first, second)).ravel())
    return np.concatenate(found) if found else np.zeros(0, int)


def _sums(targets: np.ndarray, size: int) -> csr_array:
    """The matrix that adds rows into the places that ``targets`` names."""
    return csr_array((np.ones(len(targets)), (targets, np.arange(len(targets)))), (size, len(targets)))
