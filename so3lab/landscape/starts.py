"""From where and along what does a search for saddles begin, beside a minimum or a saddle?"""

import ase
import numpy as np
from jaxtyping import Float

from so3lab.landscape.saddles import Start
from so3lab.minima.proposals.cluster_moves import nearest_neighbour
from so3lab.minimize.freedom import Freedom
from so3lab.structures.symmetry import molecular_graph

MODES, MODES_OF_CLUSTERS = 10, 18
"""Of a minimum that are followed at most, the softest ones, in both directions."""
MORE_MODES = 2
"""Of a molecule, beside as many as it has bonds that something turns about: stiffer ones stretch bonds until they
break."""
FIRST_STEP = 0.1
"""Å, by which the atom that moves most leaves the minimum along a mode."""
NEAREST, FARTHEST = 0.15, 0.6
"""Å, by which it leaves at random."""
AROUND = (0.25, 1.25)
"""Distances of nearest neighbours, by which the atom that moves most leaves a saddle."""
SOFTEST = 0.05
"""eV/Å² below which a mode counts as no softer."""


def modes_to_follow(atoms: ase.Atoms) -> int:
    """How many of the softest modes lead to what is looked for, of a molecule or a cluster.

    Args:
        atoms: A minimum.
    """
    graph = molecular_graph(atoms)
    most = MODES_OF_CLUSTERS
    if len(graph.bonds):
        ends = np.bincount(graph.bonds.ravel(), minlength=len(atoms)) > 1
        most = min(MODES, MORE_MODES + int(ends[graph.bonds].all(axis=1).sum()))
    return min(most, len(Freedom(atoms).directions(atoms.positions)))


def modes_of(
    matrix: Float[np.ndarray, "coordinates coordinates"], atoms: ase.Atoms
) -> tuple[Float[np.ndarray, " modes"], Float[np.ndarray, "modes atoms 3"]]:
    """Curvatures, eV/Å², and directions of all that is free to move, the softest first, without mass-weighting.

    Args:
        matrix: Hessian, eV/Å².
        atoms: Its structure.
    """
    basis = Freedom(atoms).directions(atoms.positions)
    values, vectors = np.linalg.eigh(basis @ matrix @ basis.T)
    return values, (vectors.T @ basis).reshape(len(values), -1, 3)


def along_mode(
    atoms: ase.Atoms,
    matrix: Float[np.ndarray, "coordinates coordinates"],
    modes: Float[np.ndarray, "modes atoms 3"],
    which: int,
) -> Start:
    """Along a mode: even numbers one way, odd ones the other.

    Args:
        atoms: The minimum.
        matrix: Its Hessian, eV/Å², which holds for what is so near.
        modes: Its modes, the softest first.
        which: From 0 to twice their number.
    """
    direction = modes[which // 2] * (1.0 if which % 2 == 0 else -1.0)
    return Start(_moved(atoms, direction, FIRST_STEP), direction, matrix)


def at_random(
    atoms: ase.Atoms,
    values: Float[np.ndarray, " modes"],
    modes: Float[np.ndarray, "modes atoms 3"],
    rng: np.random.Generator,
    *,
    soft: bool,
) -> Start:
    """Along a mixture of modes.

    Args:
        atoms: The minimum.
        values: Curvatures of its modes, eV/Å².
        modes: The softest ones.
        rng: Of the mixture and of how far to go.
        soft: Whether soft modes have more weight, as heat would give them: right for molecules, whose bonds would break
            otherwise.
    """
    weights = rng.normal(size=len(values))
    if soft:
        weights /= np.sqrt(np.maximum(values, SOFTEST))
    direction = np.einsum("m,max->ax", weights, modes)
    direction /= np.linalg.norm(direction)
    return Start(_moved(atoms, direction, float(rng.uniform(NEAREST, FARTHEST))), direction)


def beside(atoms: ase.Atoms, rng: np.random.Generator) -> Start:
    """Anywhere around a saddle of a cluster: what lies beside one is often another that no minimum leads to.

    Args:
        atoms: The saddle.
        rng: Of direction and distance.
    """
    distance = float(rng.uniform(*AROUND)) * nearest_neighbour(atoms.positions)
    return Start(_moved(atoms, rng.normal(size=atoms.positions.shape), distance))


def _moved(atoms: ase.Atoms, direction: Float[np.ndarray, "atoms 3"], distance: float) -> ase.Atoms:
    moved = atoms.copy()
    moved.set_positions(atoms.positions + distance / np.linalg.norm(direction, axis=1).max() * direction)
    return moved
