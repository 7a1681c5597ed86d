"""Which bonds does a molecule turn about, and how are they turned?"""

import ase
import numpy as np
from jaxtyping import Float

from so3lab.observables.internal import Dihedral
from so3lab.structures.bonds import longest_double_bond
from so3lab.structures.symmetry import MolecularGraph, molecular_graph

STRAIGHT_DEGREES = 165.0
"""Angles beyond which a chain is straight and has nothing to turn."""


def rotatable_dihedrals(atoms: ase.Atoms, graph: MolecularGraph | None = None) -> list[Dihedral]:
    """One dihedral for each bond whose turning makes another conformer.

    Bonds of rings, double bonds, bonds to single atoms and to groups of threefold symmetry, such as methyl, are left
    out; amides turn.

    Args:
        atoms: The molecule.
        graph: Its bonds, when known.
    """
    graph = graph or molecular_graph(atoms)
    found = []
    for i, j in graph.bonds.tolist():
        ends = [[other for other in graph.neighbours(a) if other != b] for a, b in ((i, j), (j, i))]
        if not all(ends) or any(len(end) == 3 and len(set(graph.classes[end].tolist())) == 1 for end in ends):
            continue
        flat = all(len(end) <= 2 for end in ends)
        if flat and atoms.get_distance(i, j) < longest_double_bond(*graph.numbers[[i, j]]):
            continue
        straight = [atoms.get_angle(end[0], a, b) for end, a, b in ((ends[0], i, j), (ends[1], j, i)) if len(end) == 1]
        if any(angle > STRAIGHT_DEGREES for angle in straight) or j in _side(graph, i, j):
            continue
        first, last = (min(end, key=lambda a: (graph.numbers[a] == 1, a)) for end in ends)
        found.append((first, i, j, last))
    return found


def threefold_dihedrals(graph: MolecularGraph) -> list[Dihedral]:
    """One dihedral for each bond to a group of three equivalent atoms, such as methyl, whose turns make no conformer.

    Args:
        graph: Of the bonds.
    """
    found = []
    for i, j in graph.bonds.tolist():
        ends = [[other for other in graph.neighbours(a) if other != b] for a, b in ((i, j), (j, i))]
        threefold = any(len(end) == 3 and len(set(graph.classes[end].tolist())) == 1 for end in ends)
        if all(ends) and threefold and j not in _side(graph, i, j):
            found.append((ends[0][0], i, j, ends[1][0]))
    return found


def turned(
    positions: Float[np.ndarray, "atoms 3"], graph: MolecularGraph, dihedral: Dihedral, degrees: float
) -> Float[np.ndarray, "atoms 3"]:
    """The structure with the smaller side of the middle bond turned by an angle, Å.

    Args:
        positions: Å.
        graph: Of the bonds.
        dihedral: Four atoms; the bond is that of the middle two.
        degrees: By which to turn.
    """
    _, i, j, _ = dihedral
    side = _side(graph, j, i)
    if len(side) > graph.atoms // 2:
        i, j, side = j, i, _side(graph, i, j)
    members = sorted(side)
    axis = positions[j] - positions[i]
    axis = axis / np.linalg.norm(axis)
    angle = np.radians(degrees)
    arms = positions[members] - positions[j]
    along = (arms @ axis)[:, None] * axis
    result = np.array(positions, float)
    result[members] = positions[j] + along + np.cos(angle) * (arms - along) + np.sin(angle) * np.cross(axis, arms)
    return result


def _side(graph: MolecularGraph, start: int, other: int) -> set[int]:
    """Atoms on one side of a bond; the other end is among them where the bond belongs to a ring."""
    seen, ahead = {start}, [n for n in graph.neighbours(start) if n != other]
    while ahead:
        atom = ahead.pop()
        if atom not in seen:
            seen.add(atom)
            ahead += graph.neighbours(atom)
    return seen
