"""Where is a frame drawn, so that a molecule is seen to move within itself: no drift, no turn, not cut by a cell?"""

from collections.abc import Sequence
from typing import NamedTuple

import ase
import numpy as np
from ase.geometry import wrap_positions
from jaxtyping import Float, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order, connected_components

from so3lab.observables.checks import require_finite
from so3lab.observables.periodic import minimum_image
from so3lab.structures.bonds import bonds
from so3lab.structures.rotations import rotations_onto

_TIE = 1e-3
"""Weight of the other atoms where a few alone are followed: it settles turns about a line or a point."""


class Followed(NamedTuple):
    """A frame that lies upon a reference."""

    positions: Float[np.ndarray, "atoms 3"]  # Å
    rotation: Float[np.ndarray, "3 3"]  # of row vectors, such as forces: x Q


def followed(
    positions: Float[np.ndarray, "atoms 3"],
    reference: Float[np.ndarray, "atoms 3"],
    atoms: Sequence[int] = (),
    *,
    turn: bool = True,
) -> Followed:
    r"""Move and turn a frame so that some of its atoms, or all, stay where they are in a reference.

    .. math:: \min_{Q, t} \sum_{a \in S} |x_a Q + t - y_a|^2, \qquad \det Q = 1

    Fewer than three atoms leave a turn open, which the others then decide.

    Args:
        positions: Å.
        reference: Å, the same atoms.
        atoms: Those that stay; all of them where none are named.
        turn: Whether the frame may be turned; a cell, whose vectors would turn along, may not.

    Raises:
        ValueError: If a position is not finite.

    Source: :func:`so3lab.structures.rotations.rotations_onto`.
    """
    positions, reference = np.asarray(positions, np.float64), np.asarray(reference, np.float64)
    require_finite("positions", positions)
    chosen = list(atoms) if len(atoms) else slice(None)
    centre, target = positions[chosen].mean(axis=0), reference[chosen].mean(axis=0)
    if not turn:
        return Followed(positions - centre + target, np.eye(3))
    weights = np.full(len(positions), _TIE if len(atoms) else 1.0)
    weights[chosen] = 1.0
    correlation = np.einsum("a,ax,ay->xy", weights, positions - centre, reference - target)
    rotation = rotations_onto(correlation)
    return Followed((positions - centre) @ rotation + target, rotation)


class Molecules:
    """The molecules of a structure, to be put together where a cell cuts them.

    Args:
        atoms: The structure; its bonds (:func:`so3lab.structures.bonds.bonds`) say what is one molecule, in all frames.
    """

    def __init__(self, atoms: ase.Atoms):
        pairs = bonds(atoms) if len(atoms) > 1 else np.zeros((0, 2), int)
        self.pbc = np.asarray(atoms.pbc)
        graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(atoms), len(atoms))).tocsr()
        self.number: Int[np.ndarray, " atoms"] = connected_components(graph, directed=False)[1]
        """Of the molecule that each atom belongs to."""
        self._generations = _generations(graph, self.number)

    def whole(self, positions: Float[np.ndarray, "atoms 3"], cell: Float[np.ndarray, "3 3"]):
        """Positions with every bond as short as it can be, and the centre of every molecule within the cell.

        A network that runs through the cell, such as a crystal, stays cut where its rings close.

        Args:
            positions: Å, wrapped or not.
            cell: Rows are lattice vectors, Å.
        """
        placed = np.array(positions, np.float64)
        repeats = np.where(self.pbc[:, None], cell, 0.0)
        for parents, children in self._generations:
            steps = minimum_image(placed[children] - placed[parents], repeats)
            placed[children] = placed[parents] + steps
        sizes = np.bincount(self.number)
        centres = np.stack([np.bincount(self.number, placed[:, k]) / sizes for k in range(3)], axis=1)
        return placed + (wrap_positions(centres, cell, self.pbc) - centres)[self.number]

    def wrapped(self, positions: Float[np.ndarray, "atoms 3"], cell: Float[np.ndarray, "3 3"]):
        """Positions with every atom within the cell, Å."""
        return wrap_positions(positions, cell, self.pbc)


def _generations(graph, number: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Bonded pairs, parents and children, so that every parent stands where it belongs before its children do."""
    depth, parent = np.zeros(len(number), int), np.full(len(number), -1)
    for root in np.unique(number, return_index=True)[1]:
        order, found = breadth_first_order(graph, root, directed=False)
        for child in order[1:]:
            parent[child] = found[child]
            depth[child] = depth[found[child]] + 1
    return [(parent[at], at) for level in range(1, depth.max(initial=0) + 1) for at in [np.flatnonzero(depth == level)]]
