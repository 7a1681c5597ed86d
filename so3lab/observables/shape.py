"""How extended is a molecule?"""

import numpy as np
from jaxtyping import Float

from so3lab.observables.periodic import Cell, minimum_image


def radius_of_gyration(
    positions: Float[np.ndarray, "frames atoms 3"], masses: Float[np.ndarray, " atoms"]
) -> Float[np.ndarray, " frames"]:
    r"""Root mean square distance of the mass from its centre, in Å.

    .. math:: R_g = \sqrt{\sum_a m_a |r_a - r_\mathrm{c}|^2 / \sum_a m_a}

    Args:
        positions: Å; the molecule whole, not cut by a cell.
        masses: amu; equal numbers count atoms alike.

    Raises:
        ValueError: If a mass is not positive.
    """
    masses = np.asarray(masses, np.float64)
    if not (masses > 0).all():
        raise ValueError(f"masses must be positive (amu), got {masses.min()}")
    positions = np.asarray(positions, np.float64)
    share = masses / masses.sum()
    centred = positions - np.einsum("a,fax->fx", share, positions)[:, None]
    return np.sqrt(np.sum(centred**2, axis=-1) @ share)


def end_to_end_distance(
    positions: Float[np.ndarray, "frames atoms 3"], first: int, last: int, cell: Cell = None
) -> Float[np.ndarray, " frames"]:
    """Distance in Å between the two ends of a chain.

    Args:
        positions: Å.
        first: Atom at one end.
        last: Atom at the other.
        cell: Lattice vectors as rows, Å: the distance is to the nearest image. Leave it out for a chain longer than
            half the cell, whose positions must then be whole.

    Raises:
        ValueError: If an end is no atom of the frames.
    """
    atoms = positions.shape[1]
    for name, atom in (("first", first), ("last", last)):
        if not 0 <= atom < atoms:
            raise ValueError(f"{name} must be an atom from 0 to {atoms - 1}, got {atom}")
    vectors = np.asarray(positions[:, last] - positions[:, first], np.float64)
    return np.linalg.norm(minimum_image(vectors, cell), axis=-1)
