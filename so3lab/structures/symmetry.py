"""Which atoms of a molecule are equivalent, which of its atoms have a handedness, and in which order to match them?

Two atoms are equivalent where the graph of bonds cannot tell them apart: the hydrogens of a methyl group, the ortho
carbons of a phenyl. The graph is what counts, not the element: hydrogens of different groups do not trade places.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import ase
import numpy as np
from jaxtyping import Bool, Float, Int

from so3lab.structures.bonds import bonded_pairs, longest_double_bond

STAYS_PYRAMIDAL = frozenset((15, 16, 33, 34))
"""P, S, As, Se: with three neighbours they are centres, too; nitrogen swings through at room temperature."""
FLAT = 0.5
"""Å³ below which four neighbours span no volume worth a sign; Å² for the two sides of a double bond."""


class MolecularGraph(NamedTuple):
    """Atoms and bonds, without positions."""

    numbers: Int[np.ndarray, " atoms"]
    bonds: Int[np.ndarray, "bonds 2"]
    classes: Int[np.ndarray, " atoms"]  # atoms of one class are equivalent; the same numbers in every numbering
    table: Int[np.ndarray, "atoms most"]  # neighbours of each atom, -1 where there are no more

    @property
    def atoms(self) -> int:
        """How many there are."""
        return len(self.numbers)

    def neighbours(self, atom: int) -> list[int]:
        """Atoms bonded to one."""
        return [other for other in self.table[atom].tolist() if other >= 0]

    @property
    def key(self) -> bytes:
        """The same for the same atoms and bonds in the same numbering."""
        return self.numbers.tobytes() + b"|" + self.bonds.tobytes()

    @property
    def constitution(self) -> tuple[int, ...]:
        """The same for the same molecule in every numbering; classes say how far the graph looks alike."""
        kinds = zip(self.classes.tolist(), self.numbers.tolist(), strict=True)
        ends = np.sort(self.classes[self.bonds], axis=1).tolist()
        return (*(x for kind in sorted(kinds) for x in kind), -1, *(x for pair in sorted(ends) for x in pair))


def molecular_graph(atoms: ase.Atoms, bonds: Int[np.ndarray, "bonds 2"] | None = None) -> MolecularGraph:
    """The graph of covalent bonds; atoms of metals and noble gases stand alone.

    Args:
        atoms: The structure, without a cell.
        bonds: Pairs of bonded atoms; default: those of :func:`so3lab.structures.bonded_pairs`.

    Raises:
        ValueError: If the structure is periodic, whose equivalent atoms are the business of space groups.
    """
    if atoms.pbc.any():
        raise ValueError("atoms must not be periodic: equivalent atoms of a cell are those of its space group")
    if bonds is None:
        first, second, _ = bonded_pairs(atoms)
        bonds = np.stack([first, second], axis=1)
    pairs = np.unique(np.sort(np.reshape(bonds, (-1, 2)).astype(int), axis=1), axis=0)
    near: list[list[int]] = [[] for _ in range(len(atoms))]
    for i, j in pairs.tolist():
        near[i].append(j)
        near[j].append(i)
    most = max(map(len, near), default=0) or 1
    table = np.array([sorted(one) + [-1] * (most - len(one)) for one in near], int).reshape(len(atoms), most)
    numbers = np.asarray(atoms.numbers, int)
    return MolecularGraph(numbers, pairs, _classes(numbers, near), table)


def equivalent_atoms(atoms: ase.Atoms) -> list[list[int]]:
    """Groups of atoms that the molecular graph cannot tell apart, those that are alone included.

    Source: H. L. Morgan, J. Chem. Doc. 5, 107 (1965): atoms are told apart by their neighbours until nothing changes.
    """
    classes = molecular_graph(atoms).classes
    return [np.flatnonzero(classes == one).tolist() for one in np.unique(classes)]


def _classes(numbers: np.ndarray, near: Sequence[Sequence[int]]) -> Int[np.ndarray, " atoms"]:
    """Numbers that follow from the graph alone, so that they do not depend on the order of its atoms."""
    kinds, count = numbers.tolist(), 0
    while True:
        signs = [(kinds[atom], tuple(sorted(kinds[other] for other in others))) for atom, others in enumerate(near)]
        names = {sign: number for number, sign in enumerate(sorted(set(signs)))}
        kinds = [names[sign] for sign in signs]
        if len(names) == count:
            return np.array(kinds, int)
        count = len(names)


class StereoUnit(NamedTuple):
    """Four atoms whose arrangement has a sign that bonds keep: a centre, or the two sides of a double bond."""

    atoms: tuple[int, int, int, int]
    double_bond: bool
    """Atoms two and three are then the bond; a mirror leaves its sign alone."""


def stereo_units(graph: MolecularGraph, positions: Float[np.ndarray, "atoms 3"]) -> list[StereoUnit]:
    """Every centre with four neighbours (three at P, S, As, Se) and every double bond with substituents at both ends.

    All centres, not only those with four different neighbours: whether an exchange of equal ones leads to another
    compound, as in cis and trans rings, is for the matching of whole molecules to find out.

    Args:
        graph: Of the bonds.
        positions: Å, which say which bonds are short enough for double ones.
    """
    units = []
    for atom in range(graph.atoms):
        near = graph.neighbours(atom)
        if len(near) == 4:
            units.append(StereoUnit((near[0], near[1], near[2], near[3]), False))
        elif len(near) == 3 and graph.numbers[atom] in STAYS_PYRAMIDAL:
            units.append(StereoUnit((near[0], near[1], near[2], atom), False))
    for i, j in graph.bonds.tolist():
        ends = [[other for other in graph.neighbours(a) if other != b] for a, b in ((i, j), (j, i))]
        length = np.linalg.norm(positions[i] - positions[j])
        if all(len(end) in (1, 2) for end in ends) and length < longest_double_bond(*graph.numbers[[i, j]]):
            units.append(StereoUnit((ends[0][0], i, j, ends[1][0]), True))
    return units


def signs_of(
    units: Sequence[StereoUnit], positions: Float[np.ndarray, "*some atoms 3"]
) -> Int[np.ndarray, "*some units"]:
    """The sign of each unit, +1 or -1; 0 where it is flat, as in a transition state.

    Args:
        units: As :func:`stereo_units` names them.
        positions: Å, of one structure or several.
    """
    values = [unit_sign(unit.double_bond, positions[..., list(unit.atoms), :]) for unit in units]
    return np.stack(values, axis=-1) if values else np.zeros((*positions.shape[:-2], 0), int)


def unit_sign(double_bond: bool, four: Float[np.ndarray, "*some 4 3"]) -> Int[np.ndarray, "*some"]:
    """Sign of the volume that four points span, or of the product of both sides of the bond between the middle two."""
    a, b, c, d = (four[..., number, :] for number in range(4))
    if not double_bond:
        u, v = b - d, c - d
        normal = u[..., [1, 2, 0]] * v[..., [2, 0, 1]] - u[..., [2, 0, 1]] * v[..., [1, 2, 0]]
        value = np.einsum("...x,...x->...", a - d, normal)
    else:
        axis = c - b
        axis = axis / np.maximum(np.linalg.norm(axis, axis=-1, keepdims=True), 1e-12)
        left, right = a - b, d - c
        value = np.einsum("...x,...x->...", left, right)
        value = value - np.einsum("...x,...x->...", left, axis) * np.einsum("...x,...x->...", right, axis)
    return np.where(np.abs(value) < FLAT, 0, np.sign(value)).astype(int)


class MatchingStep(NamedTuple):
    """One atom of a molecule on its way to a partner: where to look, and what must hold."""

    atom: int
    parent: int
    """A bonded atom whose partner is known; -1 where a molecule begins."""
    closes: tuple[int, ...]
    """Other bonded atoms whose partners are known: rings."""
    units: tuple[StereoUnit, ...]
    """Those whose atoms are then all known."""


def matching_order(graph: MolecularGraph, units: Sequence[StereoUnit]) -> list[MatchingStep]:
    """An order in which few partners come into question: rare atoms first, along bonds, ends such as hydrogens last."""
    rarity = Counter(graph.classes.tolist())
    degree = (graph.table >= 0).sum(axis=1)
    core: Bool[np.ndarray, " atoms"] = degree > 1
    rank = [(not core[a], rarity[graph.classes[a]], -degree[a], graph.classes[a], a) for a in range(graph.atoms)]
    placed: list[int] = []
    seen: set[int] = set()
    for root in sorted(range(graph.atoms), key=rank.__getitem__):
        ahead = [] if root in seen else [root]
        seen.update(ahead)
        for atom in ahead:  # grows meanwhile
            following = sorted((n for n in graph.neighbours(atom) if n not in seen), key=rank.__getitem__)
            seen.update(following)
            ahead.extend(following)
        placed += ahead
    leaf_of_core = [bool(degree[a] == 1 and core[graph.table[a, 0]]) for a in range(graph.atoms)]
    placed = [a for a in placed if not leaf_of_core[a]] + [a for a in placed if leaf_of_core[a]]
    when = {atom: step for step, atom in enumerate(placed)}
    steps = []
    for step, atom in enumerate(placed):
        known = sorted((n for n in graph.neighbours(atom) if when[n] < step), key=when.__getitem__)
        complete = tuple(unit for unit in units if max(when[a] for a in unit.atoms) == step)
        steps.append(MatchingStep(atom, known[0] if known else -1, tuple(known[1:]), complete))
    return steps
