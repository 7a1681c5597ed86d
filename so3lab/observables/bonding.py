"""Which atoms are bonded, how long are the bonds, and when does the first one break?"""

import ase
import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from so3lab.structures.bonds import bonds

STABILITY_TOLERANCE = 0.5
"""Largest change of a bond length in Å before a trajectory counts as unstable (Fu et al., 2023)."""


def bond_lengths(
    positions: Float[np.ndarray, "frames atoms 3"], pairs: Int[np.ndarray, "bonds 2"]
) -> Float[np.ndarray, "frames bonds"]:
    """Lengths in Å of given bonds in every frame (no periodic images)."""
    positions = np.asarray(positions, np.float64)
    return np.linalg.norm(positions[:, pairs[:, 0]] - positions[:, pairs[:, 1]], axis=-1)


def stability(
    positions: Float[np.ndarray, "frames atoms 3"],
    atoms: ase.Atoms,
    time_fs: Float[np.ndarray, " frames"],
    reference_lengths: Float[np.ndarray, " bonds"] | None = None,
    tolerance: float = STABILITY_TOLERANCE,
) -> pd.DataFrame:
    """How far every bond strays from its mean length, and when it first strays too far.

    The criterion of "Forces are not enough" (Fu et al., TMLR 2023): a trajectory is unstable from the first
    frame in which a bond differs from its mean length by more than 0.5 Å.

    Args:
        positions: Å.
        atoms: Structure that defines the bonds.
        time_fs: Time of each frame.
        reference_lengths: Mean length of each bond in reference data, Å; default: the mean over the trajectory.
        tolerance: Å.

    Returns:
        One row per bond: ``first``, ``second`` (atoms), ``bond`` (name), ``mean_A``, ``largest_deviation_A``,
        ``unstable_at_fs`` (NaN when stable).
    """
    pairs = bonds(atoms)
    lengths = bond_lengths(positions, pairs)
    mean = lengths.mean(axis=0) if reference_lengths is None else np.asarray(reference_lengths)
    deviation = np.abs(lengths - mean)
    broken = deviation > tolerance
    symbols = atoms.get_chemical_symbols()
    when = np.where(broken.any(axis=0), np.asarray(time_fs)[broken.argmax(axis=0)], np.nan)
    return pd.DataFrame(
        {
            "first": pairs[:, 0],
            "second": pairs[:, 1],
            "bond": [f"{symbols[i]}{i}-{symbols[j]}{j}" for i, j in pairs],
            "mean_A": mean,
            "largest_deviation_A": deviation.max(axis=0),
            "unstable_at_fs": when,
        }
    )
