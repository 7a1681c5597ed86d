"""Do energies change between near frames as the forces say: with the right sign, in the same unit, from one zero?"""

import itertools
from typing import NamedTuple

import numpy as np

from so3lab.datasets.consistency.finding import Finding, frames_named
from so3lab.datasets.consistency.near_frames import NearPairs, near_pairs
from so3lab.datasets.dataset import Dataset
from so3lab.datasets.file_units import ENERGY_UNITS, LENGTH_UNITS

FEWEST_PAIRS = 6
"""Fewer near pairs say nothing."""
LEAST_CORRELATION = 0.7
LEAST_EVIDENCE = 50.0
"""Explained over unexplained squares times pairs; chance reaches it in less than one of a thousand sets."""
SLOPES = (0.4, 2.5)
"""Of energy changes over what forces say. Right labels of frames 0.6 Å apart have 0.8 to 1; units that do not belong
together differ by more than this, but for bohr."""
BOHR_SLOPES = (0.62, 1.6)
_BOHR_MOVED = 0.3  # Å; nearer frames, between which slopes are within a few percent of 1
_BOHR_CORRELATION = 0.95
_UNITS_OF_FORCES = ("eV", "kcal/mol", "kJ/mol", "hartree")
_UNRELATED = 0.3
_UNRELATED_PAIRS = 20
_LEAST_ZEROS = 1.0  # eV between two zeros of energy
_PAIRS_ACROSS = 3


class Agreement(NamedTuple):
    """How energy changes follow the forces."""

    pairs: int
    slope: float
    """Of energy changes over what forces say; 1 where they agree."""
    correlation: float

    @property
    def certain(self) -> bool:
        """Whether there is enough to go by."""
        r2 = min(self.correlation**2, 1.0 - 1e-9)
        return (
            self.pairs >= FEWEST_PAIRS
            and abs(self.correlation) >= LEAST_CORRELATION
            and (self.pairs - 1) * r2 / (1.0 - r2) >= LEAST_EVIDENCE
        )


def check_energy_against_forces(dataset: Dataset) -> list[Finding]:
    """What is wrong between energies and forces of near frames; nothing where there are few of them."""
    pairs = near_pairs(dataset)
    if len(pairs.first) < FEWEST_PAIRS or not np.any(pairs.expected):
        return []
    if zeros := _two_zeros(pairs):
        return [zeros]
    for chosen in (np.ones(len(pairs.first), bool), *_by_molecule(dataset, pairs)):
        if finding := _disagreement(dataset, pairs.where(chosen)):
            return [finding]
    return []


def agreement(pairs: NearPairs) -> Agreement:
    """Slope (a ratio of sums, which few outliers leave) and correlation through zero."""
    work, change = pairs.expected, pairs.energy_changes
    norms = np.sqrt((work**2).sum() * (change**2).sum())
    if not norms:
        return Agreement(len(work), 0.0, 0.0)
    slope = (np.sign(work) * change).sum() / np.abs(work).sum()
    return Agreement(len(work), float(slope), float((work * change).sum() / norms))


def _by_molecule(dataset: Dataset, pairs: NearPairs) -> list[np.ndarray]:
    """Pairs of one molecule each, where a set mixes several with enough pairs."""
    molecule = dataset.molecules[pairs.first]
    kinds, counts = np.unique(molecule, return_counts=True)
    return [molecule == kind for kind in kinds[counts >= FEWEST_PAIRS]] if len(kinds) > 1 else []


def _disagreement(dataset: Dataset, pairs: NearPairs) -> Finding | None:
    found = agreement(pairs)
    where = (
        f"between {found.pairs} pairs of near frames, such as {pairs.first[0]} and {pairs.second[0]} of "
        f"{dataset.name!r}, energies change by {found.slope:.3g} times what the forces say "
        f"(-F·Δr; correlation {found.correlation:.2f})"
    )
    if found.certain and found.slope < 0:
        reason = "forces have the wrong sign: they are gradients; multiply them by -1"
        return Finding(f"{where}; {reason}", refused=True)
    if found.certain and not SLOPES[0] < found.slope < SLOPES[1]:
        return Finding(f"{where}; {_units_like(dataset, found.slope)}", refused=True)
    nearest = agreement(pairs.where(pairs.moved < _BOHR_MOVED))
    if nearest.certain and nearest.correlation > _BOHR_CORRELATION:
        if not BOHR_SLOPES[0] < nearest.slope < BOHR_SLOPES[1]:
            return Finding(f"{where}; {_units_like(dataset, nearest.slope)}")
        return None
    spread = float(np.sqrt(np.mean(pairs.expected**2)))
    unrelated = abs(found.correlation) < _UNRELATED and np.median(pairs.moved) < _BOHR_MOVED
    if unrelated and found.pairs >= _UNRELATED_PAIRS and spread > 0.05:
        return Finding(f"{where}: not at all; energies may belong to other frames, or be of another zero each")
    return None


def _units_like(dataset: Dataset, slope: float) -> str:
    """Which units beside each other give such a slope, given those in which the set was read."""
    energy = dataset.meta.get("energy_unit_read", "eV")
    force = dataset.meta.get("force_unit_read", "eV/angstrom")
    top, _, bottom = force.rpartition("/")
    as_written = slope / ENERGY_UNITS[energy] * (ENERGY_UNITS[top] / LENGTH_UNITS[bottom])
    candidates = {}
    for e, f, x in itertools.product(ENERGY_UNITS, _UNITS_OF_FORCES, ("angstrom", "bohr")):
        if (e == energy) != (f"{f}/{x}" == force):
            ratio = ENERGY_UNITS[f] / LENGTH_UNITS[x] / ENERGY_UNITS[e]
            candidates[f"energies in {e} beside forces in {f}/{x}"] = abs(np.log(as_written / ratio))
    nearest = min(candidates.values())
    likely = [words for words, off in candidates.items() if off < min(nearest + 0.1, 0.35)]
    if not likely:
        return "they cannot both be right: check their units, and whether they belong to the same frames"
    return f"that is what {' or '.join(likely)} give, read as {energy} and {force}: convert one of them"


def _two_zeros(pairs: NearPairs) -> Finding | None:
    """Whether energies of near frames differ again and again by one constant that forces know nothing of."""
    unexplained = np.abs(pairs.energy_changes - pairs.expected)
    across = np.flatnonzero(unexplained > max(_LEAST_ZEROS, 6.0 * np.quantile(unexplained, 0.25)))
    if len(across) < _PAIRS_ACROSS:
        return None
    up = pairs.energy_changes[across] > 0
    low, high = (np.unique(np.where(up == side, pairs.first[across], pairs.second[across])) for side in (True, False))
    gaps = unexplained[across]
    if min(len(low), len(high)) < _PAIRS_ACROSS or np.std(gaps) > 0.1 * np.mean(gaps):
        return None
    return Finding(
        f"energies have two zeros: {frames_named(low)} lie {np.mean(gaps):.4g} eV below {frames_named(high)}, which "
        f"look nearly the same, and the forces explain nothing of it; put energies of different programs or methods on "
        f"one zero, or take one of them",
        refused=True,
    )
