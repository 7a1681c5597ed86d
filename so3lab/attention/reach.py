"""What a network can see at all: so many layers, each of which passes something on to the neighbours within a cutoff.

Features travel a cutoff further with every layer. Directions do not: Euclidean variables are sums over direct
neighbours, and what is passed on is only how those of two neighbours stand to each other. So a torsion is seen where
two atoms within the cutoff of each other, or a single one, see its two ends.
"""

from collections.abc import Sequence

import ase
import numpy as np
from jaxtyping import Int
from scipy.sparse import csr_array
from scipy.sparse.csgraph import shortest_path

from so3lab.structures.graph import structure_pairs


def layers_between(atoms: ase.Atoms, cutoff: float) -> Int[np.ndarray, "atoms atoms"]:
    """How many layers it takes until each atom can know of each other one; 0 for itself, -1 where it never will.

    Args:
        atoms: The structure.
        cutoff: Of the network, Å.

    Raises:
        ValueError: If the cutoff is not positive.
    """
    near = _neighbours(atoms, cutoff)
    steps = shortest_path(csr_array(near.astype(float)), unweighted=True)
    return np.where(np.isfinite(steps), steps, -1).astype(int)


def pairs_that_see_both(
    atoms: ase.Atoms, one: Sequence[int], other: Sequence[int], cutoff: float
) -> Int[np.ndarray, "pairs 2"]:
    """Neighbours (i, j) of which i has an atom of one end within the cutoff and j one of the other end; i may be j.

    Without any, a network of this cutoff is blind to the torsion between the ends of a straight molecule, however many
    layers it has; with some, two layers and a degree of at least 2 are needed.

    Args:
        atoms: The structure.
        one: Atoms of one end.
        other: Atoms of the other end.
        cutoff: Of the network, Å.

    Raises:
        ValueError: If an end has no atom, an atom does not exist, or the cutoff is not positive.
    """
    for name, end in (("one", one), ("other", other)):
        if not len(end) or not all(0 <= atom < len(atoms) for atom in end):
            raise ValueError(f"{name} must be atoms 0 to {len(atoms) - 1}, at least one, got {list(end)}")
    near = _neighbours(atoms, cutoff)
    itself = near | np.eye(len(atoms), dtype=bool)
    sees_one, sees_other = itself[:, list(one)].any(axis=1), itself[:, list(other)].any(axis=1)
    return np.argwhere(itself & sees_one[:, None] & sees_other[None, :])


def _neighbours(atoms: ase.Atoms, cutoff: float) -> np.ndarray:
    if not cutoff > 0:
        raise ValueError(f"cutoff must be positive (in Å), got {cutoff}")
    pairs = structure_pairs(atoms, cutoff)
    near = np.zeros((len(atoms), len(atoms)), bool)
    near[pairs.receivers, pairs.senders] = near[pairs.senders, pairs.receivers] = True
    return near
