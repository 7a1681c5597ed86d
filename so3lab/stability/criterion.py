"""When a molecule counts as stable, and what the number that survived says about the next one."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from so3lab.observables import STABILITY_TOLERANCE


class BondStability(NamedTuple):
    """What the bond criterion says about one trajectory."""

    stable_frames: int
    """Frames before the first unstable one."""
    deviations_A: Float[np.ndarray, " seen"]
    """Largest deviation of any bond in each frame, up to the first unstable one."""
    worst_bond: int
    """Index of the bond that strayed farthest."""


def first_unstable_frame(
    lengths: Float[np.ndarray, "frames bonds"],
    mean_lengths: Float[np.ndarray, " bonds"] | None = None,
    tolerance: float = STABILITY_TOLERANCE,
) -> BondStability:
    """Until which frame a trajectory is stable: the first in which a bond strays from its mean by more than 0.5 Å.

    Args:
        lengths: Bond lengths in every frame, Å.
        mean_lengths: Mean of each bond in reference data, Å. Without it a frame is compared with the mean of the frames
            before it, and deviations are given from the mean over the stable part.
        tolerance: Å.

    Source: Fu et al., TMLR 2023, section 4, "stability".
    """
    lengths = np.asarray(lengths, np.float64)
    if mean_lengths is None:
        counts = np.maximum(np.arange(len(lengths)), 1)[:, None]
        before = np.vstack([lengths[:1], np.cumsum(lengths, axis=0)[:-1]]) / counts
        strayed = np.abs(lengths - before) > tolerance
    else:
        strayed = np.abs(lengths - np.asarray(mean_lengths)) > tolerance
    unstable = np.flatnonzero(strayed.any(axis=1))
    stable = int(unstable[0]) if len(unstable) else len(lengths)
    if mean_lengths is None:
        mean_lengths = lengths[: max(stable, 1)].mean(axis=0)
    deviation = np.abs(lengths[: stable + 1] - mean_lengths)
    if not deviation.size:
        return BondStability(stable, np.zeros(len(deviation)), 0)
    return BondStability(stable, deviation.max(axis=1), int(np.unravel_index(deviation.argmax(), deviation.shape)[1]))


def survival_interval(survived: int, replicas: int, sigmas: float = 2.0) -> tuple[float, float]:
    r"""Interval of the true fraction that survives, when so many of so many did; sensible for none and all, too.

    .. math:: \frac{p + z^2 / 2n \pm z \sqrt{p (1 - p) / n + z^2 / 4n^2}}{1 + z^2 / n}

    which is [0.6, 1] when all six of six survive, and not a spurious certainty.

    Args:
        survived: Those that survived.
        replicas: All of them.
        sigmas: z, half the width in standard deviations.

    Source: E. B. Wilson, J. Am. Stat. Assoc. 22, 209 (1927).
    """
    if not 0 <= survived <= replicas or replicas < 1:
        raise ValueError(f"survived must be 0 to replicas, at least 1; got {survived} of {replicas}")
    share, z = survived / replicas, sigmas
    middle = share + z * z / (2 * replicas)
    half = z * np.sqrt(share * (1 - share) / replicas + (z / (2 * replicas)) ** 2)
    scale = 1.0 + z * z / replicas
    return max(0.0, float((middle - half) / scale)), min(1.0, float((middle + half) / scale))
