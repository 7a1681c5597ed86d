"""How does one end of a path lie best upon the other: turned, equivalent atoms exchanged, in cells unwrapped?

Molecules trade places only where the graph of their bonds allows it; free atoms and atoms of metals as they like.
"""

from typing import NamedTuple

import ase
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment

from so3lab.observables import superpose
from so3lab.structures.assignment import superpose_unbonded
from so3lab.structures.bonds import bonded_pairs
from so3lab.structures.constraints import held_atoms
from so3lab.structures.neighbors import complete_cell
from so3lab.structures.superposition import Matching
from so3lab.structures.symmetry import molecular_graph

SAME = 0.05
"""Å of RMSD below which two ends are one and the same structure."""
_OTHER_ELEMENT = 1e6
_ROUNDS = 4


class Aligned(NamedTuple):
    """One structure in the numbering and orientation of another."""

    positions: Float[np.ndarray, "atoms 3"]  # Å
    partners: Int[np.ndarray, " atoms"]  # for each atom of the other structure, which atom of this one took its place
    rmsd: float  # Å


def align(first: ase.Atoms, second: ase.Atoms, *, mirror_images: bool = False) -> Aligned:
    """The second structure laid upon the first.

    Args:
        first: Stays as it is.
        second: Of the same elements, in the same cell; atoms under ASE's ``FixAtoms`` stay where they are, and then
            nothing is turned, shifted or exchanged.
        mirror_images: Whether a molecule may be reflected.

    Raises:
        ValueError: If they are not made of the same elements, or not of the same cell.
    """
    if sorted(first.numbers) != sorted(second.numbers):
        raise ValueError(
            f"the ends of a path must be made of the same atoms, got {first.get_chemical_formula()} and "
            f"{second.get_chemical_formula()}"
        )
    if (first.pbc != second.pbc).any() or (first.pbc.any() and not np.allclose(first.cell, second.cell, atol=1e-6)):
        raise ValueError("the ends of a path must have the same cell, and these have not")
    if held_atoms(first).any():
        return _as_numbered(first, second)
    if first.pbc.any():
        return _in_cell(first, second)
    partners, hand = _partners(first, second, mirror_images)
    moved = superpose((second.positions[partners] * np.array([hand, 1.0, 1.0]))[None], first.positions)[0]
    return Aligned(moved, partners, _rmsd(first.positions, moved))


def _partners(first: ase.Atoms, second: ase.Atoms, mirror_images: bool) -> tuple[Int[np.ndarray, " atoms"], float]:
    """Which atom of the second takes the place of each of the first, and -1 where it is to be reflected."""
    one, other = molecular_graph(first), molecular_graph(second)
    if len(one.bonds) or len(other.bonds):
        matching = Matching(one, first.positions, other)
        found = matching.superpose(first.positions, second.positions[None], mirror_images=mirror_images)
    else:
        reach = 4.0 * max(np.ptp(first.positions, axis=0).max(), np.ptp(second.positions, axis=0).max(), 1.0)
        found = superpose_unbonded(
            first.numbers, first.positions, second.positions[None], limit=reach, mirror_images=mirror_images,
            numbers_of_others=second.numbers,
        )  # fmt: skip
    if np.isfinite(found.rmsd[0]):
        return found.partners[0], -1.0 if found.mirrored[0] else 1.0
    if not np.array_equal(first.numbers, second.numbers):
        raise ValueError(
            "the ends of a path that makes or breaks bonds must have their atoms in the same order, and these have not"
        )
    return np.arange(len(first)), 1.0


def renumbered(atoms: ase.Atoms, first: ase.Atoms) -> ase.Atoms:
    """A structure with its atoms in the order of another one of the same compound; itself where they are so already.

    Args:
        atoms: Of a molecule, with or without energy and forces in a calculator.
        first: Whose order is wanted.

    Raises:
        ValueError: If they are not of one compound.
    """
    if molecular_graph(atoms).key == molecular_graph(first).key:
        return atoms
    order = align(first, atoms, mirror_images=True).partners
    moved = atoms[order]
    if molecular_graph(moved).key != molecular_graph(first).key:
        raise ValueError(
            f"minima must be of one compound, and {atoms.get_chemical_formula()} has other bonds than the first one"
        )
    if atoms.calc is not None:
        results = {**atoms.calc.results}
        if "forces" in results:
            results["forces"] = results["forces"][order]
        moved.calc = SinglePointCalculator(moved, **results)
    return moved


def _as_numbered(first: ase.Atoms, second: ase.Atoms) -> Aligned:
    if not np.array_equal(first.numbers, second.numbers):
        raise ValueError("ends of a path with fixed atoms must have their atoms in the same order, and these have not")
    moved = first.positions + _shortest(first, second.positions - first.positions)
    return Aligned(moved, np.arange(len(first)), _rmsd(first.positions, moved))


def _in_cell(first: ase.Atoms, second: ase.Atoms) -> Aligned:
    """Atoms to their nearest places, and no drift as a whole.

    Larger shifts are not looked for: that one of them makes the ends the same, as of a vacancy and the next, is no
    reason not to ask for the way between them.
    """
    bonded = any(len(bonded_pairs(atoms)[0]) for atoms in (first, second))
    if bonded and not np.array_equal(first.numbers, second.numbers):
        raise ValueError("ends of a path in a cell with bonds must have their atoms in one order, and these have not")
    partners, other = np.arange(len(first)), second.positions
    for _ in range(_ROUNDS):
        if not bonded:
            apart = _shortest(first, other[None] - first.positions[:, None])
            squares = np.einsum("ijx,ijx->ij", apart, apart)
            squares += np.where(first.numbers[:, None] == second.numbers, 0.0, _OTHER_ELEMENT)
            partners = linear_sum_assignment(squares)[1]
        other = other - _shortest(first, other[partners] - first.positions).mean(axis=0)
    moved = first.positions + _shortest(first, other[partners] - first.positions)
    return Aligned(moved, partners, _rmsd(first.positions, moved))


def _shortest(atoms: ase.Atoms, vectors: Float[np.ndarray, "*some 3"]) -> Float[np.ndarray, "*some 3"]:
    """Vectors, Å, to the nearest images: exact for cells that are not much skewed."""
    if not atoms.pbc.any():
        return vectors
    cell = complete_cell(np.asarray(atoms.cell), atoms.pbc)
    fractions = vectors @ np.linalg.inv(cell)
    return (fractions - np.round(fractions) * atoms.pbc) @ cell


def _rmsd(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.sum((one - other) ** 2, axis=1))))
