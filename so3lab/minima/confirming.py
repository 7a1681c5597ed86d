"""Is a relaxed structure a minimum, or did it stop on a ridge?

Forces vanish on saddles, too, and the Hessian that an optimiser has learnt does not know of a direction in which it
never went: an eclipsed methyl group looks as converged as a staggered one. So what seems to be new is shaken and
relaxed again.
"""

import ase
import numpy as np

from so3lab.minima.torsions import threefold_dihedrals, turned
from so3lab.structures.symmetry import molecular_graph

SHAKE = 0.02
"""Å, of every coordinate; much less than what leads to another minimum."""
TURN_DEGREES = 12.0
"""By which groups of threefold symmetry are turned, to one side or the other."""


def shaken(atoms: ase.Atoms, rng: np.random.Generator) -> ase.Atoms:
    """A copy a little beside where it was.

    Args:
        atoms: A relaxed structure; atoms that are fixed stay.
        rng: Of the displacements.
    """
    graph = molecular_graph(atoms)
    positions = atoms.positions
    for dihedral in threefold_dihedrals(graph):
        positions = turned(positions, graph, dihedral, float(rng.choice([-TURN_DEGREES, TURN_DEGREES])))
    other = atoms.copy()
    other.set_positions(positions + rng.normal(0.0, SHAKE, positions.shape))
    return other
