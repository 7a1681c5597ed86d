"""Which minima look alike? Families of conformations, by torsions (or distances), or by RMSD."""

from collections.abc import Sequence
from typing import Literal

import ase
import numpy as np
from jaxtyping import Float, Int
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist

from so3lab.landscape.fingerprints import Fingerprints
from so3lab.landscape.superposing import Superposition

Measure = Literal["fingerprint", "rmsd"]


def families(
    structures: Sequence[ase.Atoms], limit: float, *, by: Measure = "fingerprint"
) -> Int[np.ndarray, " structures"]:
    """Number of the family of each structure, counted from 0 as they appear: given by energy, 0 has the lowest.

    Families are joined as long as their members are, on average, not farther from each other than the limit (average
    linkage, of R. R. Sokal and C. D. Michener, Univ. Kansas Sci. Bull. 38, 1409, 1958).

    Args:
        structures: Minima of one compound.
        limit: Degrees between torsions (Å between distances, for what has no torsions), or Å of RMSD.
        by: ``"fingerprint"`` for torsions, whatever the size and the numbering; ``"rmsd"`` for the smallest RMSD over
            turns and equivalent atoms, which takes longer: some ten seconds for a thousand structures.

    Raises:
        ValueError: If the limit is not positive, or the structures are not of one compound.
    """
    if not limit > 0:
        raise ValueError(f"limit must be positive, got {limit}")
    if by not in ("fingerprint", "rmsd"):
        raise ValueError(f"by must be 'fingerprint' or 'rmsd', got {by!r}")
    if len(structures) < 2:
        return np.zeros(len(structures), int)
    joined = linkage(distances_between(structures, by=by), "average")
    labels = fcluster(joined, limit, "distance")
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def distances_between(structures: Sequence[ase.Atoms], *, by: Measure = "fingerprint") -> Float[np.ndarray, " pairs"]:
    """Distance of every pair, in the order of :func:`scipy.spatial.distance.pdist`.

    Args:
        structures: Minima of one compound.
        by: Degrees of torsions (Å of distances, for what has no torsions), or Å of RMSD.

    Raises:
        ValueError: If the structures are not of one compound.
    """
    fingerprints = Fingerprints(structures[0])
    if by == "fingerprint":
        return fingerprints.kind.spread(pdist(fingerprints.vectors(structures)))
    return Superposition(structures, mirror_images=not fingerprints.has_hand).rmsd_of_all()
