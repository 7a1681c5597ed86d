"""How far is a structure from a reference, and how much does each atom move, once rotation is taken out?"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from so3lab.observables.checks import require_finite, times_of
from so3lab.structures.rotations import rotations_onto

MEAN_STRUCTURE_TOLERANCE = 1e-6
"""Å by which the mean structure may still move when it counts as found."""
MAX_ROUNDS = 100


def superpose(
    positions: Float[np.ndarray, "frames atoms 3"],
    reference: Float[np.ndarray, "atoms 3"],
    weights: Float[np.ndarray, " atoms"] | None = None,
) -> Float[np.ndarray, "frames atoms 3"]:
    r"""Frames moved and rotated, never reflected, so that they lie on a reference as well as possible.

    .. math:: \min_{Q, t} \sum_a w_a |Q x_a + t - y_a|^2, \qquad \det Q = 1

    Args:
        positions: Å; molecules whole, not cut by a cell.
        reference: Å.
        weights: Of the atoms, such as masses; None for all the same.

    Returns:
        Å, in the frame of the reference.

    Raises:
        ValueError: If a position is not finite, or the weights are negative or all zero.

    Source: :func:`so3lab.structures.rotations.rotations_onto`.
    """
    positions, reference = np.asarray(positions, np.float64), np.asarray(reference, np.float64)
    require_finite("positions", positions)
    share = _shares(weights, len(reference))
    moving = positions - np.einsum("a,fax->fx", share, positions)[:, None]
    centre = share @ reference
    correlation = np.einsum("a,fax,ay->fxy", share, moving, reference - centre)
    return moving @ rotations_onto(correlation) + centre


def rmsd(
    positions: Float[np.ndarray, "frames atoms 3"],
    reference: Float[np.ndarray, "atoms 3"],
    time_fs: Float[np.ndarray, " frames"],
    *,
    masses: Float[np.ndarray, " atoms"] | None = None,
    align: bool = True,
) -> pd.DataFrame:
    r"""Root mean square distance of the atoms of every frame from a reference.

    .. math:: \mathrm{RMSD} = \sqrt{\sum_a w_a |x_a - y_a|^2 / \sum_a w_a}

    Args:
        positions: Å; pass a part of the atoms, such as ``positions[:, heavy]``, to leave others out.
        reference: Å, the same atoms.
        time_fs: Time of each frame.
        masses: amu, weights of the alignment and of the mean; None counts atoms alike.
        align: Whether each frame is first superposed on the reference (:func:`superpose`).

    Returns:
        Columns ``time_fs`` and ``rmsd_A`` (Å).

    Raises:
        ValueError: If a position is not finite, the masses are negative or all zero, or there are not as many times as
            frames.
    """
    positions, reference = np.asarray(positions, np.float64), np.asarray(reference, np.float64)
    require_finite("positions", positions)
    placed = superpose(positions, reference, masses) if align else positions
    squares = np.sum((placed - reference) ** 2, axis=-1) @ _shares(masses, len(reference))
    return pd.DataFrame({"time_fs": times_of(time_fs, len(positions)), "rmsd_A": np.sqrt(squares)})


def rmsf(
    positions: Float[np.ndarray, "frames atoms 3"],
    symbols: Sequence[str],
    *,
    masses: Float[np.ndarray, " atoms"] | None = None,
) -> pd.DataFrame:
    r"""Root mean square distance of each atom from its mean place, in a trajectory superposed on its mean structure.

    .. math:: \mathrm{RMSF}_a = \sqrt{\langle |x_a - \langle x_a \rangle|^2 \rangle}

    Superposing and averaging are repeated until the mean structure stays.

    Args:
        positions: Å.
        symbols: Elements of the atoms, for the table.
        masses: amu, weights of the alignment; None counts atoms alike.

    Returns:
        One row per atom: ``atom`` (index), ``element``, ``rmsf_A`` (Å).

    Raises:
        ValueError: If the symbols are not as many as the atoms, a position is not finite, or the mean structure does
            not settle.
    """
    if len(symbols) != positions.shape[1]:
        raise ValueError(f"symbols must name {positions.shape[1]} atoms, got {len(symbols)}")
    mean = np.asarray(positions[0], np.float64)
    for _ in range(MAX_ROUNDS):
        placed = superpose(positions, mean, masses)
        before, mean = mean, placed.mean(axis=0)
        if np.abs(mean - before).max() < MEAN_STRUCTURE_TOLERANCE:
            break
    else:
        raise ValueError(
            "positions must have a mean structure, superposing them does not settle; a molecule that unfolds has none"
        )
    fluctuation = np.sqrt(np.mean(np.sum((placed - mean) ** 2, axis=-1), axis=0))
    return pd.DataFrame({"atom": np.arange(len(mean)), "element": list(symbols), "rmsf_A": fluctuation})


def _shares(weights: np.ndarray | None, atoms: int) -> np.ndarray:
    """Weights that sum to one."""
    if weights is None:
        return np.full(atoms, 1.0 / atoms)
    weights = np.asarray(weights, np.float64)
    if (weights < 0).any() or not weights.sum() > 0:
        raise ValueError(f"weights must not be negative and not all zero, got {weights.tolist()}")
    return weights / weights.sum()
