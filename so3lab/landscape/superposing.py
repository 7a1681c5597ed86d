"""How are many structures of one compound laid upon each other, in one numbering?"""

from collections.abc import Sequence

import ase
import numpy as np
from jaxtyping import Float

from so3lab.observables import superpose
from so3lab.structures.assignment import superpose_unbonded
from so3lab.structures.superposition import Matching, Superposed
from so3lab.structures.symmetry import MolecularGraph, molecular_graph

WIDTH = 16
"""Partial matchings that are followed for each pair: fewer than where two may be the same, since all pairs are looked
at, and what lies far apart is no worse for a little more."""


def laid_upon_the_first(structures: Sequence[ase.Atoms]) -> list[ase.Atoms]:
    """Copies in the numbering of the first, turned to lie upon it, for people to look at one after another.

    Molecules keep their hands, and each atom its number; atoms of clusters, which look alike, trade places.

    Args:
        structures: Of one compound, in any numbering.

    Raises:
        ValueError: If there is none, or they are not of one compound.
    """
    together = Superposition(structures, mirror_images=False)
    first = structures[0]
    if together.bonded:
        positions = superpose(together.positions, first.positions, first.get_masses())
    else:
        positions = together.aligned()
    return [ase.Atoms(first.numbers, one) for one in positions]


class Superposition:
    """Structures in the numbering of the first.

    Args:
        structures: Of one compound, in any numbering.
        mirror_images: Whether they may be reflected.

    Raises:
        ValueError: If there is none, or they are not of one compound.
    """

    def __init__(self, structures: Sequence[ase.Atoms], *, mirror_images: bool):
        if not structures:
            raise ValueError("structures must hold at least one, got none")
        self._graph = molecular_graph(structures[0])
        self.bonded = bool(len(self._graph.bonds))
        """Whether it is made of molecules."""
        self._mirror_images = mirror_images
        self._matching = Matching(self._graph, structures[0].positions)
        self.positions: Float[np.ndarray, "structures atoms 3"] = np.stack(
            [self._renumbered(structures[0], number, atoms) for number, atoms in enumerate(structures)]
        )
        """Å; each as it was, but for the order of its atoms."""

    def rmsd_of_all(self) -> Float[np.ndarray, " pairs"]:
        """Smallest RMSD over turns and equivalent atoms of every pair, Å, in the order of
        :func:`scipy.spatial.distance.pdist`."""
        rows = [self._found(one, self.positions[n + 1 :]).rmsd for n, one in enumerate(self.positions)]
        return np.concatenate(rows)

    def aligned(self, others: Float[np.ndarray, "others atoms 3"] | None = None) -> Float[np.ndarray, "others atoms 3"]:
        """Each laid upon the first as well as possible, equivalent atoms traded for that; Å.

        Args:
            others: Å, in the numbering of the first; default: the structures themselves.
        """
        others = self.positions if others is None else others
        found = self._found(self.positions[0], others)
        matched = np.take_along_axis(others, found.partners[:, :, None], axis=1)
        matched = matched * np.where(found.mirrored[:, None, None], [-1.0, 1.0, 1.0], 1.0)
        return superpose(matched, self.positions[0])

    def _found(self, one: np.ndarray, others: np.ndarray) -> Superposed:
        if self.bonded:
            return self._matching.superpose(one, others, mirror_images=self._mirror_images, width=WIDTH)
        numbers = self._graph.numbers
        return superpose_unbonded(numbers, one, others, limit=np.inf, mirror_images=self._mirror_images)

    def _renumbered(self, first: ase.Atoms, number: int, atoms: ase.Atoms) -> np.ndarray:
        graph = molecular_graph(atoms)
        if graph.key == self._graph.key:
            return atoms.positions
        partners = _partners(self._graph, first.positions, graph, atoms.positions)
        if partners is None:
            raise ValueError(
                f"structures must be of one compound: number {number}, {atoms.get_chemical_formula()}, is another"
            )
        return atoms.positions[partners]


def _partners(
    graph: MolecularGraph, positions: np.ndarray, other: MolecularGraph, others: np.ndarray
) -> np.ndarray | None:
    """For each atom of the first graph one of the other that may stand for it."""
    if not len(graph.bonds):
        order = np.argsort(other.numbers, kind="stable")
        partners = np.empty(graph.atoms, int) if graph.atoms == other.atoms else None
        if partners is None or not np.array_equal(np.sort(graph.numbers), other.numbers[order]):
            return None
        partners[np.argsort(graph.numbers, kind="stable")] = order
        return partners
    found = Matching(graph, positions, other).superpose(positions, others[None])
    return found.partners[0] if np.isfinite(found.rmsd[0]) else None
