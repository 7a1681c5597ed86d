"""How do structures of one molecule lie upon each other: turned, and with equivalent atoms exchanged."""

from collections.abc import Sequence
from typing import NamedTuple

import ase
import numpy as np
from jaxtyping import Float, Int

from so3lab.observables.alignment import superpose
from so3lab.structures.superposition import Matching
from so3lab.structures.symmetry import MolecularGraph, molecular_graph


class Overlaid(NamedTuple):
    """Structures that lie upon another one, with its numbering."""

    structures: list[ase.Atoms]
    rmsd: Float[np.ndarray, " structures"]  # Å


def overlaid(reference: ase.Atoms, others: Sequence[ase.Atoms]) -> Overlaid:
    """Move, turn and renumber structures so that they lie upon a reference as well as possible, never reflected.

    Equivalent atoms, such as the hydrogens of a methyl group, may stand for each other
    (:class:`so3lab.structures.Matching`). A structure whose bonds or stereocentres are others is laid upon the
    reference atom by atom, in the order in which its atoms are.

    Args:
        reference: The structure that stays.
        others: Structures of the same atoms, molecules whole.

    Raises:
        ValueError: If a structure is not of the same atoms.
    """
    graph = _graph(reference)
    placed, distances = [], []
    for number, atoms in enumerate(others):
        if sorted(atoms.numbers) != sorted(reference.numbers):
            raise ValueError(
                f"structures to lay upon {reference.get_chemical_formula()} must be of the same atoms, got "
                f"{atoms.get_chemical_formula()} as number {number}"
            )
        partners = _partners(graph, reference, atoms)
        positions = superpose(atoms.positions[partners][None], reference.positions)[0]
        moved = reference.copy()
        moved.set_constraint()
        moved.positions = positions
        placed.append(moved)
        distances.append(float(np.sqrt(np.mean(np.sum((positions - reference.positions) ** 2, axis=1)))))
    return Overlaid(placed, np.array(distances))


def _graph(atoms: ase.Atoms) -> MolecularGraph | None:
    """Of a molecule; None of a cell, whose atoms keep their numbers."""
    return None if atoms.pbc.any() else molecular_graph(atoms)


def _partners(graph: MolecularGraph | None, reference: ase.Atoms, atoms: ase.Atoms) -> Int[np.ndarray, " atoms"]:
    """For each atom of the reference, which of the others lies upon it."""
    target = _graph(atoms)
    if graph is not None and target is not None:
        matching = Matching(graph, reference.positions, target)
        found = matching.superpose(reference.positions, atoms.positions[None], mirror_images=False)
        if np.isfinite(found.rmsd[0]):
            return found.partners[0]
    if not np.array_equal(atoms.numbers, reference.numbers):
        raise ValueError(
            f"structures of {reference.get_chemical_formula()} with other bonds must have their atoms in the same order"
        )
    return np.arange(len(atoms))
