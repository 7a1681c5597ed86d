"""Do atoms that are not bonded come too close?"""

import numpy as np
from ase.data import covalent_radii
from jaxtyping import Float
from scipy.spatial.distance import pdist, squareform

from so3lab.structures.symmetry import MolecularGraph

CLOSEST = 1.3
"""Times the sum of covalent radii; nearer ones would form a bond."""


def clashes(positions: Float[np.ndarray, "atoms 3"], graph: MolecularGraph) -> bool:
    """Whether two atoms that are neither bonded nor have a neighbour in common are closer than a bond nearly is."""
    near = np.zeros((graph.atoms, graph.atoms), bool)
    near[tuple(graph.bonds.T)] = True
    near |= near.T
    near |= (near.astype(int) @ near.astype(int)) > 0
    radii = covalent_radii[graph.numbers]
    close = squareform(pdist(positions)) < CLOSEST * (radii[:, None] + radii)
    return bool(np.any(np.triu(close & ~near, 1)))
