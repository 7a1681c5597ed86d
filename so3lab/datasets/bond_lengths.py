"""Are atoms of a set apart as atoms are in Å, in all of its frames and in each?"""

import numpy as np
from ase.data import covalent_radii
from jaxtyping import Bool, Float, Integer

from so3lab.datasets.consistency.bond_stretches import bonds_by_kind, mostly_strained
from so3lab.datasets.dataset import Dataset
from so3lab.datasets.frames import frames_named
from so3lab.structures.elements import are_covalent
from so3lab.units import bohr

_TORN = 1.5
"""Times the distance of a neighbour in other frames; heat makes 1.2 of it."""
_NOBLE_GASES = (2, 10, 18, 36, 54, 86)
_FEWEST_OFF = 3
"""Frames in another unit; of fewer nobody knows what they are."""
_LONG, _USUALLY_SHORTER = 1.35, 1.2
"""Bond lengths to the nearest atom of most atoms of a frame in bohr are more, in Å less; scans have frames between."""
_SHORT, _USUALLY_LONGER = 0.7, 0.85
"""The same of lengths that are too short."""
_MOST = 0.7
"""Share of the atoms of a frame; others are pushed together or torn off."""
_SAME_FACTOR = 0.12
"""By which frames in one unit differ from each other, and from the factor between two units, in logarithms."""


def require_bond_lengths(
    dataset: Dataset, distances: Float[np.ndarray, " all_atoms"], neighbours: Integer[np.ndarray, " all_atoms"]
) -> None:
    """Compare distances of nearest atoms with the sum of both covalent radii, over the set and frame by frame.

    Args:
        dataset: The set.
        distances: Å from each atom of all frames to its nearest one; infinite without one.
        neighbours: Which that is, within its frame.

    Raises:
        ValueError: If lengths of all frames, or of some of them, are in another unit.
    """
    numbers = np.concatenate(dataset.numbers)
    sizes = dataset.sizes
    starts = np.cumsum(sizes) - sizes
    partners = numbers[np.repeat(starts, sizes) + np.maximum(neighbours, 0)]
    bonded = np.isfinite(distances) & ~np.isin(numbers, _NOBLE_GASES) & ~np.isin(partners, _NOBLE_GASES)
    if not bonded.any():
        return
    ratio = distances / (covalent_radii[numbers] + covalent_radii[partners])
    typical = float(np.median(ratio[bonded]))
    found = (
        f"in {dataset.name!r} neighbouring atoms are {np.median(distances[bonded]):.3g} Å apart, "
        f"{typical:.2f} times a bond length"
    )
    asked = bonded & are_covalent(numbers) & are_covalent(partners)
    _require_one_unit(dataset, np.where(asked, ratio, np.nan), starts)
    if np.quantile(ratio[bonded], 0.1) > 1.5 and not _torn(dataset, distances):
        raise ValueError(f"{found}; positions are probably in bohr: pass length_unit='bohr'")
    if typical < 0.65 and not (dataset.max_atoms == 2 and mostly_strained(bonds_by_kind(dataset))):
        raise ValueError(
            f"{found}; positions were probably read in the wrong unit: check length_unit "
            f"(0.53 times: they are in angstrom already; 0.1 times: they are in nm)"
        )


def _require_one_unit(
    dataset: Dataset, ratio: Float[np.ndarray, " all_atoms"], starts: Integer[np.ndarray, " frames"]
) -> None:
    """Refuse frames whose bonds are all longer, or shorter, than those of the others by the factor of a bohr."""
    known = np.add.reduceat(np.isfinite(ratio).astype(int), starts)
    told = known >= np.maximum(2, dataset.sizes / 2)
    mean = np.exp(np.add.reduceat(np.log(np.where(np.isfinite(ratio), ratio, 1.0)), starts) / np.maximum(known, 1))

    def most(atoms: Bool[np.ndarray, " all_atoms"]) -> Bool[np.ndarray, " frames"]:
        return told & (np.add.reduceat(atoms.astype(int), starts) >= _MOST * known)

    in_bohr, converted_twice = most(ratio > _LONG), most(ratio < _SHORT)
    if _by_one_factor(mean, in_bohr, most(ratio < _USUALLY_SHORTER), told, 1.0 / bohr):
        raise ValueError(_named(dataset, mean, in_bohr, told, "in bohr: convert them to Å"))
    if _by_one_factor(mean, converted_twice, most(ratio > _USUALLY_LONGER), told, bohr):
        likely = "converted from bohr twice: divide them by 0.529"
        raise ValueError(_named(dataset, mean, converted_twice, told, likely))


def _by_one_factor(
    mean: Float[np.ndarray, " frames"],
    off: Bool[np.ndarray, " frames"],
    usual: Bool[np.ndarray, " frames"],
    told: Bool[np.ndarray, " frames"],
    factor: float,
) -> bool:
    """Whether some frames are off from the usual ones by a factor, and none stands between them."""
    if off.sum() < _FEWEST_OFF or not usual.any() or (told & ~off & ~usual).any():
        return False
    logs = np.log(mean[off])
    away = np.median(logs) - np.log(np.median(mean[usual])) - np.log(factor)
    return bool(abs(away) < _SAME_FACTOR and np.std(logs) < _SAME_FACTOR)


def _named(dataset: Dataset, mean: np.ndarray, off: np.ndarray, told: np.ndarray, likely: str) -> str:
    frames = np.flatnonzero(off)
    return (
        f"in {len(frames)} of {len(dataset)} frames of {dataset.name!r} ({frames_named(frames)}) atoms are "
        f"{np.median(mean[off]) / np.median(mean[told & ~off]):.2f} times as far apart as in the others; positions "
        f"of these frames are probably {likely}"
    )


def _torn(dataset: Dataset, distances: np.ndarray) -> bool:
    """Whether the same atoms are farther from their nearest in some frames than in others, as along a dissociation."""
    largest = np.flatnonzero(dataset.molecules == np.bincount(dataset.molecules).argmax())
    size, starts = int(dataset.sizes[largest[0]]), np.cumsum(dataset.sizes) - dataset.sizes
    near = distances[starts[largest][:, None] + np.arange(size)]
    near = near[:, np.isfinite(near).all(axis=0)]
    if not near.size:
        return False
    low, high = np.quantile(near, (0.05, 0.95), axis=0)
    return bool(np.median(high / low) > _TORN)
