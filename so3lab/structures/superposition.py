"""How far apart are two structures of one molecule, whichever way they are turned and their equivalent atoms numbered?

The smallest RMSD over all isomorphisms of the molecular graph that keep the handedness of every centre. Isomorphisms
are not listed, of which P(CH3)3 has 1,296 and a molecule with ten methyl groups sixty million: atoms find their
partners one after another along the bonds, and what cannot get below the limit is given up at once, because the best
superposition of some of the atoms is never worse than that of all.

RDKit's ``GetBestRMS`` and spyrmsd list all isomorphisms and do not end where there are many hydrogens; irmsd assigns
atoms within classes, whether or not bonds go along, and takes one pair of structures at a time. None of them knows a
stereocentre from a rotamer.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from so3lab.structures.symmetry import MatchingStep, MolecularGraph, matching_order, stereo_units, unit_sign

WIDTH = 256
"""Partial matchings that are followed at most, the best of them; the result is exact as long as there are no more."""


class Superposed(NamedTuple):
    """How each of several structures lies best on one; where it cannot get below the limit, infinity."""

    rmsd: Float[np.ndarray, " others"]  # Å
    mirrored: Bool[np.ndarray, " others"]  # whether the mirror image lies better
    partners: Int[np.ndarray, "others atoms"]  # for each atom of the one, which of the other; -1 without a matching


class _States(NamedTuple):
    """Partial matchings, of all structures side by side."""

    other: Int[np.ndarray, " states"]
    hand: Int[np.ndarray, " states"]  # -1 where the mirror image is meant
    partners: Int[np.ndarray, "states atoms"]
    taken: Bool[np.ndarray, "states atoms"]
    sums: Float[np.ndarray, "states 3"]
    squares: Float[np.ndarray, " states"]
    products: Float[np.ndarray, "states 3 3"]

    def chosen(self, rows: np.ndarray) -> "_States":
        return _States(*(values[rows] for values in self))


class Matching:
    """Ways to lay one numbering of a molecule upon another; made once for all structures that have these two.

    Args:
        graph: Of the structure that stays.
        positions: Its positions, Å, or those of any structure of the same double bonds.
        target: Graph of the others; default: the same.
    """

    def __init__(
        self, graph: MolecularGraph, positions: Float[np.ndarray, "atoms 3"], target: MolecularGraph | None = None
    ):
        self.target = target or graph
        self.possible = graph.constitution == self.target.constitution
        """Whether the molecules may be the same at all."""
        self.steps = matching_order(graph, stereo_units(graph, np.asarray(positions, float)))
        self._classes = graph.classes
        self._bonded = np.zeros((graph.atoms, graph.atoms), bool)
        if self.possible:
            self._bonded[tuple(self.target.bonds.T)] = True
            self._bonded |= self._bonded.T

    def superpose(
        self,
        one: Float[np.ndarray, "atoms 3"],
        others: Float[np.ndarray, "others atoms 3"],
        *,
        limit: float = np.inf,
        mirror_images: bool = True,
        width: int = WIDTH,
    ) -> Superposed:
        """The smallest RMSD of each of the others from one structure.

        Args:
            one: Å, in the numbering of the first graph.
            others: Å, in the numbering of the target.
            limit: Å beyond which nobody asks how far apart they are.
            mirror_images: Whether a structure may be reflected before it is laid upon the other.
            width: Partial matchings that are followed at most for each of the others.
        """
        count, atoms = others.shape[:2]
        found = Superposed(np.full(count, np.inf), np.zeros(count, bool), np.full((count, atoms), -1))
        if not self.possible or not count:
            return found
        one = one - one.mean(axis=0)
        others = others - others.mean(axis=1, keepdims=True)
        hands = (1, -1) if mirror_images else (1,)
        states = _at_start(count, atoms, hands)
        most = np.inf if np.isinf(limit) else atoms * limit**2 + 1e-9
        done = np.array([step.atom for step in self.steps])
        for number, step in enumerate(self.steps):
            before = len(states.other)
            states = self._expanded(states, step, one, others)
            states = _keeping_hands(states, step, one, others)
            last = number == atoms - 1
            if last or len(states.other) > before:
                squares = _squares_left(states, one[done[: number + 1]])
                states = states.chosen(_best(squares, states.other, most, None if last else width * len(hands)))
            if not len(states.other):
                return found
        return _ends(states, one, found)

    def _expanded(self, states: _States, step: MatchingStep, one: np.ndarray, others: np.ndarray) -> _States:
        """Every matching with every partner that the next atom may have."""
        rows = np.arange(len(states.other))[:, None]
        if step.parent >= 0:
            partners = self.target.table[states.partners[:, step.parent]]
        else:
            alike = np.flatnonzero(self.target.classes == self._classes[step.atom])
            partners = np.broadcast_to(alike, (len(rows), len(alike)))
        fits = (partners >= 0) & (self.target.classes[partners] == self._classes[step.atom])
        fits &= ~states.taken[rows, partners]
        for atom in step.closes:
            fits &= self._bonded[states.partners[:, atom, None], partners]
        which, column = np.nonzero(fits)
        chosen, partner = states.chosen(which), partners[which, column]
        here = np.arange(len(which))
        chosen.partners[here, step.atom] = partner
        chosen.taken[here, partner] = True
        y = others[chosen.other, partner] * np.where(chosen.hand[:, None] < 0, [[-1.0, 1.0, 1.0]], 1.0)
        return chosen._replace(
            sums=chosen.sums + y,
            squares=chosen.squares + np.einsum("sx,sx->s", y, y),
            products=chosen.products + one[step.atom][None, :, None] * y[:, None, :],
        )


def _at_start(count: int, atoms: int, hands: Sequence[int]) -> _States:
    size = count * len(hands)
    return _States(
        np.repeat(np.arange(count), len(hands)),
        np.tile(np.array(hands), count),
        np.full((size, atoms), -1),
        np.zeros((size, atoms), bool),
        np.zeros((size, 3)),
        np.zeros(size),
        np.zeros((size, 3, 3)),
    )


def _keeping_hands(states: _States, step: MatchingStep, one: np.ndarray, others: np.ndarray) -> _States:
    """Those in which the centres and double bonds that are complete now have the signs of the first structure."""
    for unit in step.units:
        own = unit_sign(unit.double_bond, one[list(unit.atoms)])
        four = others[states.other[:, None], states.partners[:, list(unit.atoms)]]
        signs = unit_sign(unit.double_bond, four) * (1 if unit.double_bond else states.hand)
        states = states.chosen(np.flatnonzero(own * signs >= 0))
    return states


def _squares_left(states: _States, one: Float[np.ndarray, "known 3"]) -> Float[np.ndarray, " states"]:
    """Sum of squared distances, Å², of the atoms that have partners, once these are laid upon each other.

    The reflected coordinates make a rotation of what would be a reflection (Kabsch, Acta Cryst. A 34, 827, 1978).
    """
    count, total = len(one), one.sum(axis=0)
    products = states.products - total[None, :, None] * states.sums[:, None, :] / count
    own = np.sum(one * one) - total @ total / count
    theirs = states.squares - np.einsum("sx,sx->s", states.sums, states.sums) / count
    lengths = np.linalg.svd(products, compute_uv=False)
    lengths[:, 2] *= np.where(np.linalg.det(products) < 0, -1.0, 1.0)
    return np.maximum(own + theirs - 2.0 * lengths.sum(axis=1), 0.0)


def _best(squares: np.ndarray, other: np.ndarray, most: float, width: int | None) -> np.ndarray:
    """Rows below the limit; where there are more than the width for one structure, its best."""
    rows = np.flatnonzero(squares <= most)
    if width is None or len(rows) <= width:
        return rows
    rows = rows[np.lexsort((squares[rows], other[rows]))]
    first = np.searchsorted(other[rows], other[rows])
    return np.sort(rows[np.arange(len(rows)) - first < width])


def _ends(states: _States, one: np.ndarray, found: Superposed) -> Superposed:
    squares = _squares_left(states, one)
    for row in np.lexsort((-states.hand, np.round(squares, 9)))[::-1]:  # the best one last
        number = states.other[row]
        found.rmsd[number] = np.sqrt(squares[row] / len(one))
        found.mirrored[number] = states.hand[row] < 0
        found.partners[number] = states.partners[row]
    return found
