"""What a trajectory says: structure, stability and drift, as pure functions of arrays that give tables."""

import ase
import numpy as np
import pandas as pd
from ase.neighborlist import natural_cutoffs
from jaxtyping import Float, Int

from so3lab import units
from so3lab.neighbors import pair_list

STABILITY_TOLERANCE = 0.5
"""Largest change of a bond length in Å before a trajectory counts as unstable (Fu et al., 2023)."""
RANGE_OF_H = 10.0
BINS_OF_H = 500


def kinetic_temperature(
    velocities: Float[np.ndarray, "frames atoms 3"], masses: Float[np.ndarray, " atoms"], freedom: int
) -> Float[np.ndarray, " frames"]:
    r"""Temperature in K from :math:`2 E_\mathrm{kin} / (f k_B)`.

    Args:
        velocities: Å per ASE time unit.
        masses: amu.
        freedom: Degrees of freedom f that carry kinetic energy
            (:func:`so3lab.integrators.degrees_of_freedom`).
    """
    kinetic = 0.5 * np.sum(masses[:, None] * np.asarray(velocities, np.float64) ** 2, axis=(1, 2))
    return 2.0 * kinetic / (freedom * units.kB)


def energy_drift(time_fs: Float[np.ndarray, " frames"], total_energy: Float[np.ndarray, " frames"]) -> float:
    """Slope in eV/ps of the straight line that fits the total energy best.

    Raises:
        ValueError: If there are fewer than two frames.
    """
    if len(time_fs) < 2:
        raise ValueError(f"energy drift needs at least two frames, got {len(time_fs)}")
    return float(np.polyfit(np.asarray(time_fs) / 1000.0, np.asarray(total_energy), 1)[0])


def bonds(atoms: ase.Atoms, tolerance: float = 1.15) -> Int[np.ndarray, "bonds 2"]:
    """Pairs closer than ``tolerance`` times the sum of their covalent radii (ASE's natural cutoffs)."""
    radii = np.array(natural_cutoffs(atoms))
    i, j = np.triu_indices(len(atoms), k=1)
    distances = atoms.get_all_distances(mic=bool(atoms.pbc.any()))[i, j]
    return np.stack([i, j], axis=1)[distances < tolerance * (radii[i] + radii[j])]


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
) -> pd.DataFrame:
    r"""Radial distribution function g(r) of a periodic system: density around an atom over the mean density.

    .. math:: g(r) = \frac{V}{N_1 N_2}\,\frac{\langle n(r) \rangle}{4 \pi r^2 \Delta r}

    with n(r) the number of ordered pairs of the two kinds in a shell, all periodic images counted.

    Source: Allen and Tildesley, Computer Simulation of Liquids, 2nd ed. (2017), section 2.6.

    Args:
        positions: Å; atoms may have left the cell.
        atoms: Structure that gives elements and the cell, which stays the same.
        first: Element of the central atoms; None for all.
        second: Element of those around them; None for all.
        longest: Upper end of the last bin, Å; beyond half the cell, images are counted as neighbours.
        bins: Number of bins.

    Returns:
        Columns ``r`` (bin centres, Å) and ``g``.

    Raises:
        ValueError: If the structure is not periodic in all directions, or lacks one of the elements.
    """
    if not atoms.pbc.all():
        raise ValueError(f"atoms.pbc must be True in all directions for g(r), got {atoms.pbc.tolist()}")
    symbols = np.array(atoms.get_chemical_symbols())
    kinds = [np.ones(len(atoms), bool) if kind is None else symbols == kind for kind in (first, second)]
    for kind, mask in zip((first, second), kinds, strict=True):
        if not mask.any():
            raise ValueError(f"atoms must hold {kind}, got {atoms.get_chemical_formula()}")
    edges = np.linspace(0.0, longest, bins + 1)
    counts, cell = np.zeros(bins), np.asarray(atoms.cell)
    one, other = kinds
    for frame in np.asarray(positions, np.float64):
        i, j, images = pair_list(frame, longest, cell, atoms.pbc)
        distances = np.linalg.norm(frame[j] - frame[i] + images @ cell, axis=1)
        ordered = (one[i] & other[j]).astype(int) + (one[j] & other[i])
        counts += np.histogram(distances, edges, weights=ordered)[0]
    shells = 4.0 / 3.0 * np.pi * np.diff(edges**3)
    same = np.sum(one & other)  # an atom is not its own neighbour
    pairs = one.sum() * other.sum() - same
    g = counts / (len(positions) * pairs * shells) * atoms.cell.volume
    return pd.DataFrame({"r": 0.5 * (edges[1:] + edges[:-1]), "g": g})
