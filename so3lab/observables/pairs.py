"""How are the distances between atoms distributed, in a molecule and in a cell?"""

import ase
import numpy as np
import pandas as pd
from jaxtyping import Float

from so3lab.structures.neighbors import pair_list

RANGE_OF_H = 10.0
BINS_OF_H = 500


def pair_distance_histogram(
    positions: Float[np.ndarray, "frames atoms 3"], bins: int = BINS_OF_H, longest: float = RANGE_OF_H
) -> pd.DataFrame:
    r"""Distribution h(r) of all interatomic distances, normalised to one pair.

    .. math:: h(r) = \frac{1}{N(N-1)} \sum_{i \ne j} \langle \delta(r - |R_i - R_j|) \rangle

    Source: Fu et al., TMLR 2023, eq. 1.

    Args:
        positions: Å.
        bins: Number of bins.
        longest: Upper end of the last bin, Å.

    Returns:
        Columns ``r`` (bin centres, Å) and ``h`` (1/Å); the integral is the share of distances below ``longest``.
    """
    positions = np.asarray(positions, np.float64)
    i, j = np.triu_indices(positions.shape[1], k=1)
    edges = np.linspace(0.0, longest, bins + 1)
    counts = np.zeros(bins)
    for block in np.array_split(positions, max(1, len(positions) * len(i) // 2_000_000)):
        distances = np.linalg.norm(block[:, i] - block[:, j], axis=-1)
        counts += np.histogram(distances, edges)[0]
    width = edges[1] - edges[0]
    return pd.DataFrame({"r": edges[:-1] + 0.5 * width, "h": counts / (len(positions) * len(i) * width)})


def histogram_error(simulated: pd.DataFrame, reference: pd.DataFrame) -> float:
    """Mean absolute difference of two h(r) integrated over r: 0 for equal, 2 for disjoint distributions."""
    if not np.allclose(simulated["r"], reference["r"]):
        raise ValueError("the two histograms must have the same bins")
    width = float(reference["r"].iloc[1] - reference["r"].iloc[0])
    return float(np.sum(np.abs(simulated["h"] - reference["h"])) * width)


def radial_distribution(
    positions: Float[np.ndarray, "frames atoms 3"],
    atoms: ase.Atoms,
    first: str | None = None,
    second: str | None = None,
    *,
    longest: float = 6.0,
    bins: int = 120,
    cells: Float[np.ndarray, "cells 3 3"] | None = None,
) -> pd.DataFrame:
    r"""Radial distribution function g(r) of a periodic system: density around an atom over the mean density.

    .. math:: g(r) = \frac{1}{N_1 N_2}\,\frac{\langle V n(r) \rangle}{4 \pi r^2 \Delta r}

    with n(r) the number of ordered pairs of the two kinds in a shell, all periodic images counted.

    Source: Allen and Tildesley, Computer Simulation of Liquids, 2nd ed. (2017), section 2.6.

    Args:
        positions: Å; atoms may have left the cell.
        atoms: Structure that gives elements and, without ``cells``, the cell.
        first: Element of the central atoms; None for all.
        second: Element of those around them; None for all.
        longest: Upper end of the last bin, Å; beyond half the cell, images are counted as neighbours.
        bins: Number of bins.
        cells: Cell of each frame where it changes, Å, rows.

    Returns:
        Columns ``r`` (bin centres, Å) and ``g``.

    Raises:
        ValueError: If the structure is not periodic in all directions, lacks one of the elements or a pair of them, or
            there are not as many cells as frames.
    """
    if not atoms.pbc.all():
        raise ValueError(f"atoms.pbc must be True in all directions for g(r), got {atoms.pbc.tolist()}")
    symbols = np.array(atoms.get_chemical_symbols())
    kinds = [np.ones(len(atoms), bool) if kind is None else symbols == kind for kind in (first, second)]
    for kind, mask in zip((first, second), kinds, strict=True):
        if not mask.any():
            raise ValueError(f"atoms must hold {kind}, got {atoms.get_chemical_formula()}")
    edges = np.linspace(0.0, longest, bins + 1)
    counts, one, other = np.zeros(bins), kinds[0], kinds[1]
    same = np.sum(one & other)  # an atom is not its own neighbour
    pairs = one.sum() * other.sum() - same
    if not pairs:
        raise ValueError(f"atoms must hold two atoms of {first or symbols[0]}, got one")
    if cells is None:
        cells = np.broadcast_to(np.asarray(atoms.cell), (len(positions), 3, 3))
    if np.shape(cells) != (len(positions), 3, 3):
        raise ValueError(f"cells must be one for each of {len(positions)} frames, got shape {np.shape(cells)}")
    for frame, cell in zip(np.asarray(positions, np.float64), np.asarray(cells, np.float64), strict=True):
        i, j, images = pair_list(frame, longest, cell, atoms.pbc)
        distances = np.linalg.norm(frame[j] - frame[i] + images @ cell, axis=1)
        ordered = (one[i] & other[j]).astype(int) + (one[j] & other[i])
        volume = np.abs(np.linalg.det(cell))
        counts += volume * np.histogram(distances, edges, weights=ordered)[0]
    shells = 4.0 / 3.0 * np.pi * np.diff(edges**3)
    g = counts / (len(positions) * pairs * shells)
    return pd.DataFrame({"r": 0.5 * (edges[1:] + edges[:-1]), "g": g})
