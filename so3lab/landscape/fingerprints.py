"""Which numbers does a conformation have, whichever way it is turned and its equivalent atoms are numbered?

Molecules are told by the torsions about their inner bonds, rings and amides included; what has none, and clusters, by
distances. Both are vectors whose Euclidean distance never is more than what it would be in the best numbering.
"""

from collections.abc import Sequence
from typing import Protocol

import ase
import numpy as np
from jaxtyping import Float
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from so3lab.structures.bonds import keep_bonds
from so3lab.structures.symmetry import STAYS_PYRAMIDAL, MolecularGraph, molecular_graph

_CARBON, _HYDROGEN = 6, 1


class Fingerprint(Protocol):
    """How structures of one numbering become vectors."""

    unit: str
    """Of :meth:`spread`."""
    what: str
    """What the distance of two vectors says, in words."""

    def vectors(self, positions: Float[np.ndarray, "structures atoms 3"]) -> Float[np.ndarray, "structures numbers"]:
        """One row for each structure."""
        ...

    def spread(self, distances: Float[np.ndarray, "*some"]) -> Float[np.ndarray, "*some"]:
        """Distances of vectors in the unit of the fingerprint."""
        ...


class TorsionFingerprint:
    r"""Cosines and sines of the torsions about inner bonds, in an order that the graph of bonds gives.

    .. math:: d^2 = \frac{1}{B} \sum_b |e^{i\phi_b} - e^{i\phi'_b}|^2

    Where an end of a bond has equivalent atoms, the mean over them takes the place of :math:`e^{i\phi}`, with half that
    of :math:`e^{2i\phi}` beside it; components of bonds that are equivalent are sorted. Bonds to groups of three
    equivalent atoms, such as methyl, and to straight carbon are left out.

    Args:
        graph: Of the bonds.
    """

    unit = "°"
    what = "root mean square difference of torsions"

    def __init__(self, graph: MolecularGraph):
        groups: dict[tuple[tuple[int, int], ...], list[list[tuple[int, int, int, int]]]] = {}
        for i, j in graph.bonds.tolist():
            ends = _chosen_end(graph, i, j), _chosen_end(graph, j, i)
            if all(ends):
                kinds = sorted(
                    (int(graph.classes[a]), int(graph.classes[end[0]])) for a, end in zip((i, j), ends, strict=True)
                )
                groups.setdefault(tuple(kinds), []).append([(a, i, j, b) for a in ends[0] for b in ends[1]])
        self._groups = [np.array(groups[kinds]) for kinds in sorted(groups)]
        self.bonds = sum(len(group) for group in self._groups)
        """How many bonds are told."""

    def vectors(self, positions: Float[np.ndarray, "structures atoms 3"]) -> Float[np.ndarray, "structures numbers"]:
        """One row for each structure; positions in Å, molecules whole."""
        parts = []
        for group in self._groups:
            turns = _turns(positions[:, group])  # structures, bonds, combinations
            parts.append(_sorted_parts(turns.mean(axis=2)))
            if turns.shape[2] > 1:
                parts.append(_sorted_parts(0.5 * (turns**2).mean(axis=2)))
        return np.concatenate(parts, axis=1) / np.sqrt(self.bonds)

    def spread(self, distances: Float[np.ndarray, "*some"]) -> Float[np.ndarray, "*some"]:
        """The turn, degrees, that has such a chord on the unit circle."""
        return np.degrees(2.0 * np.arcsin(np.clip(0.5 * distances, 0.0, 1.0)))


class DistanceFingerprint:
    """Distances of all atoms, sorted within pairs of equivalent ones; two differ by less than the best RMSD.

    Args:
        graph: Of the bonds, which says which atoms are equivalent.
    """

    unit = "Å"
    what = "root mean square difference of sorted distances, a lower bound of the RMSD"

    def __init__(self, graph: MolecularGraph):
        first, second = np.triu_indices(graph.atoms, 1)
        kinds = np.sort(np.stack([graph.classes[first], graph.classes[second]]), axis=0)
        order = np.lexsort(kinds)
        self._first, self._second = first[order], second[order]
        changes = np.flatnonzero(np.any(np.diff(kinds[:, order], axis=1) != 0, axis=0)) + 1
        self._bounds = np.concatenate([[0], changes, [len(first)]]).astype(int)
        self._atoms = graph.atoms

    def vectors(self, positions: Float[np.ndarray, "structures atoms 3"]) -> Float[np.ndarray, "structures numbers"]:
        """One row for each structure; positions in Å, molecules whole."""
        distances = np.linalg.norm(positions[:, self._first] - positions[:, self._second], axis=2)
        for start, end in zip(self._bounds[:-1], self._bounds[1:], strict=True):
            distances[:, start:end].sort(axis=1)
        return distances / max(1, self._atoms)

    def spread(self, distances: Float[np.ndarray, "*some"]) -> Float[np.ndarray, "*some"]:
        """Å, as they are."""
        return distances


class Fingerprints:
    """Vectors of structures of one compound, whatever the numbering of each.

    Args:
        compound: Any structure of the compound, without a cell, such as its lowest minimum.

    Raises:
        ValueError: If the structure is periodic.
    """

    def __init__(self, compound: ase.Atoms):
        self.graph = molecular_graph(compound)
        torsions = TorsionFingerprint(self.graph) if _in_one_piece(self.graph) else None
        self.kind: Fingerprint = (
            torsions if torsions is not None and torsions.bonds else DistanceFingerprint(self.graph)
        )
        self.has_hand = has_hand(self.graph)
        """Whether its mirror image is another compound."""
        self._of_numbering: dict[bytes, Fingerprint] = {self.graph.key: self.kind}

    def of_graph(self, graph: MolecularGraph) -> Fingerprint | None:
        """The fingerprint of the compound in another numbering; None for another compound."""
        if graph.key not in self._of_numbering:
            if graph.constitution != self.graph.constitution:
                return None
            self._of_numbering[graph.key] = type(self.kind)(graph)  # type: ignore[call-arg]
        return self._of_numbering[graph.key]

    def vectors(self, structures: Sequence[ase.Atoms]) -> Float[np.ndarray, "structures numbers"]:
        """One row for each structure.

        Raises:
            ValueError: If one of them is of another compound.
        """
        groups: dict[Fingerprint, list[int]] = {}
        for number, fingerprint in enumerate(self._of_each(structures)):
            if fingerprint is None:
                raise ValueError(
                    f"structures must be of one compound: number {number}, "
                    f"{structures[number].get_chemical_formula()}, has other bonds"
                )
            groups.setdefault(fingerprint, []).append(number)
        found: dict[int, np.ndarray] = {}
        for fingerprint, places in groups.items():
            rows = fingerprint.vectors(np.stack([structures[place].positions for place in places]))
            found |= dict(zip(places, rows, strict=True))
        return np.array([found[number] for number in range(len(structures))])

    def _of_each(self, structures: Sequence[ase.Atoms]) -> list[Fingerprint | None]:
        """The fingerprint of each; those in the numbering of the compound are found together."""
        numbers = self.graph.numbers
        usual = [k for k, one in enumerate(structures) if not one.pbc.any() and np.array_equal(one.numbers, numbers)]
        alike = np.zeros(len(structures), bool)
        if usual:
            positions = np.stack([structures[number].positions for number in usual])
            alike[usual] = keep_bonds(numbers, self.graph.bonds, positions)
        return [
            self.kind if same else self.of_graph(molecular_graph(one))
            for one, same in zip(structures, alike.tolist(), strict=True)
        ]


def has_hand(graph: MolecularGraph) -> bool:
    """Whether an atom has four neighbours (three at P, S, As, Se) that all differ, so that mirror images are two."""
    for atom in range(graph.atoms):
        near = graph.neighbours(atom)
        centre = len(near) == 4 or (len(near) == 3 and int(graph.numbers[atom]) in STAYS_PYRAMIDAL)
        if centre and len(set(graph.classes[near].tolist())) == len(near):
            return True
    return False


def _chosen_end(graph: MolecularGraph, atom: int, other: int) -> list[int]:
    """Equivalent neighbours of one end of a bond that stand for it: the fewest, rather not hydrogens; none if it does
    not turn."""
    near = [n for n in graph.neighbours(atom) if n != other]
    straight = graph.numbers[atom] == _CARBON and len(near) == 1
    kinds = graph.classes[near].tolist()
    if straight or not near or (len(near) == 3 and len(set(kinds)) == 1):
        return []
    kind = min(set(kinds), key=lambda k: (kinds.count(k), graph.numbers[near[kinds.index(k)]] == _HYDROGEN, k))
    return [n for n in near if graph.classes[n] == kind]


def _turns(four: Float[np.ndarray, "structures bonds combinations 4 3"]) -> np.ndarray:
    """exp(iφ) of four atoms each."""
    near, axis, far = (four[..., k + 1, :] - four[..., k, :] for k in range(3))
    first, second = np.cross(near, axis), np.cross(axis, far)
    length = np.linalg.norm(axis, axis=-1)
    turns = np.sum(first * second, axis=-1) + 1j * np.sum(np.cross(first, second) * axis, axis=-1) / length
    return turns / np.maximum(np.abs(turns), 1e-12)


def _sorted_parts(turns: np.ndarray) -> Float[np.ndarray, "structures numbers"]:
    """Real and imaginary parts, each sorted over equivalent bonds."""
    return np.concatenate([np.sort(turns.real, axis=1), np.sort(turns.imag, axis=1)], axis=1)


def _in_one_piece(graph: MolecularGraph) -> bool:
    i, j = graph.bonds.T
    near = coo_array((np.ones(len(i)), (i, j)), shape=(graph.atoms, graph.atoms))
    return bool(connected_components(near, directed=False)[0] == 1)
