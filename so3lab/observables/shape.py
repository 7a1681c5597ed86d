"""How extended is a molecule?"""

import numpy as np
import pandas as pd
from jaxtyping import Float

from so3lab.observables.checks import times_of
from so3lab.observables.periodic import Cell, minimum_image


def radius_of_gyration(
    positions: Float[np.ndarray, "frames atoms 3"],
    masses: Float[np.ndarray, " atoms"],
    time_fs: Float[np.ndarray, " frames"],
) -> pd.DataFrame:
    r"""Root mean square distance of the mass from its centre.

    .. math:: R_g = \sqrt{\sum_a m_a |r_a - r_\mathrm{c}|^2 / \sum_a m_a}

    Args:
        positions: Å; the molecule whole, not cut by a cell.
        masses: amu; equal numbers count atoms alike.
        time_fs: Time of each frame.

    Returns:
        Columns ``time_fs`` and ``radius_of_gyration_A`` (Å).

    Raises:
        ValueError: If a mass is not positive, or there are not as many times as frames.
    """
    masses = np.asarray(masses, np.float64)
    if not (masses > 0).all():
        raise ValueError(f"masses must be positive (amu), got {masses.min()}")
    positions = np.asarray(positions, np.float64)
    share = masses / masses.sum()
    centred = positions - np.einsum("a,fax->fx", share, positions)[:, None]
    radii = np.sqrt(np.sum(centred**2, axis=-1) @ share)
    return pd.DataFrame({"time_fs": times_of(time_fs, len(positions)), "radius_of_gyration_A": radii})


def end_to_end_distance(
    positions: Float[np.ndarray, "frames atoms 3"],
    first: int,
    last: int,
    time_fs: Float[np.ndarray, " frames"],
    cell: Cell = None,
) -> pd.DataFrame:
    """Distance between the two ends of a chain.

    Args:
        positions: Å.
        first: Atom at one end.
        last: Atom at the other.
        time_fs: Time of each frame.
        cell: Lattice vectors as rows, Å: the distance is to the nearest image. Leave it out for a chain longer than
            half the cell, whose positions must then be whole.

    Returns:
        Columns ``time_fs`` and ``end_to_end_distance_A`` (Å).

    Raises:
        ValueError: If an end is no atom of the frames, or there are not as many times as frames.
    """
    atoms = positions.shape[1]
    for name, atom in (("first", first), ("last", last)):
        if not 0 <= atom < atoms:
            raise ValueError(f"{name} must be an atom from 0 to {atoms - 1}, got {atom}")
    vectors = np.asarray(positions[:, last] - positions[:, first], np.float64)
    distances = np.linalg.norm(minimum_image(vectors, cell), axis=-1)
    return pd.DataFrame({"time_fs": times_of(time_fs, len(positions)), "end_to_end_distance_A": distances})
