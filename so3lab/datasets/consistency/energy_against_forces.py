"""Do energies change between frames as forces say: with the right sign, in the same unit, from one zero?"""

import itertools
from typing import NamedTuple

import numpy as np
from ase import Atoms
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from so3lab.datasets.consistency.finding import Finding
from so3lab.datasets.consistency.frame_pairs import FramePairs, comparable_frames, joined_pairs
from so3lab.datasets.consistency.near_frames import near_pairs
from so3lab.datasets.consistency.strained_frames import FRAMES, strained_pairs
from so3lab.datasets.dataset import Dataset
from so3lab.datasets.file_units import ENERGY_UNITS, LENGTH_UNITS
from so3lab.datasets.frames import frames_named
from so3lab.structures.bonds import bonded_pairs

FEWEST_FRAMES = 4
"""Beyond one of each kind; fewer say nothing."""
LEAST_CORRELATION = 0.6
LEAST_EVIDENCE = 30.0
"""Explained over unexplained squares times frames; chance reaches it in less than one of a thousand sets."""
SLOPES = (0.3, 3.0)
"""Of energy changes over what forces say. Right labels have 0.6 to 1.3; units that do not belong together differ by
more than this, but for bohr."""
BOHR_SLOPES = (0.62, 1.6)
_BOHR_CORRELATION = 0.97
_BOHR_FRAMES = 20
_UNITS_OF_FORCES = ("eV", "kcal/mol", "kJ/mol", "hartree")
_KINDS = 40
_FEWEST_OF_A_KIND = 4
_FRAMES_IN_ALL = 160
_UNRELATED = 0.4
_SOFTEST = 0.6
_OUTLYING = 4.0  # times the usual disagreement of a frame
_LIKE_THE_FARTHEST = 0.2
_MOST_OUTLYING = 0.15
_UNRELATED_FRAMES = 24
_LEAST_SPREAD = 0.1  # eV
_LEAST_ZEROS = 1.0  # eV between two zeros of energy
_PAIRS_ACROSS = 3
_SCAN_STEP = 0.25  # Å of two atoms; along steep walls the mean of two forces says too much of more
_SAME_RATIO = 0.005
_BEYOND_STRAIN = 4.0
_LEVELLED = 0.75  # of frames that are all compared with each other have one of two zeros, if there are two
_ALIKE = 0.25  # in logarithms; slopes are not known better
_KNOWN = 1.0  # in logarithms; closer units of forces than this, bonds do not tell apart
_WRONG_SIGN = {
    True: "forces pull stretched bonds back, as they must, so energies have the wrong sign: multiply them by -1",
    False: "forces have the wrong sign: they are gradients; multiply them by -1",
}


class Agreement(NamedTuple):
    """How energy changes follow the forces."""

    frames: int
    """Less one for each kind."""
    slope: float
    """Of energy changes over what forces say; 1 where they agree."""
    correlation: float

    def surely_below(self, slope: float) -> bool:
        """Whether the slope is less, by twice its standard error."""
        if not self.correlation:
            return True
        error = abs(self.slope / self.correlation) * np.sqrt((1.0 - self.correlation**2) / self.frames)
        return bool(abs(self.slope) + 2.0 * error < slope)

    @property
    def certain(self) -> bool:
        """Whether there is enough to go by."""
        r2 = min(self.correlation**2, 1.0 - 1e-9)
        return (
            self.frames >= FEWEST_FRAMES
            and abs(self.correlation) >= LEAST_CORRELATION
            and self.frames * r2 / (1.0 - r2) >= LEAST_EVIDENCE
        )


def check_energy_against_forces(
    dataset: Dataset, kinds: list[FramePairs], *, forces_are_right: bool = False
) -> list[Finding]:
    """What is wrong between energies and forces of frames of the same atoms; nothing where there are few of them.

    Args:
        dataset: The set.
        kinds: Pairs of its frames, of :func:`pairs_of_frames`.
        forces_are_right: Whether bonds confirm sign and unit of the forces, so that energies are at fault.
    """
    groups = groups_of(kinds)
    for chosen in groups:
        if finding := _disagreement(dataset, chosen, forces_are_right):
            return [finding]
    held = [pairs for pairs in kinds if _in_one_piece(dataset, pairs)]
    together = [held] if len(held) > 1 else []  # many molecules of few frames
    apart = [[pairs] for pairs in kinds]
    for found in (
        *(_two_zeros(dataset, joined_pairs(chosen)) for chosen in (*apart, *together)),
        *(_unrelated(dataset, chosen) for chosen in (*apart, *together)),
    ):
        if found:
            return [found]
    return []


def groups_of(kinds: list[FramePairs]) -> list[list[FramePairs]]:
    """All kinds together, and each by itself."""
    return [kinds, *([pairs] for pairs in kinds)] if len(kinds) > 1 else [kinds] if kinds else []


def pairs_of_frames(dataset: Dataset) -> list[FramePairs]:
    """Pairs of frames of the largest kinds: over bonds and angles where those hold the forces, near ones otherwise."""
    found, left, kinds = [], _FRAMES_IN_ALL, comparable_frames(dataset)[:_KINDS]
    for frames in kinds:
        most = max(_FEWEST_OF_A_KIND, _FRAMES_IN_ALL // len(kinds))
        pairs = strained_pairs(dataset, frames, most)
        if pairs is None:
            pairs = near_pairs(dataset, frames)
        elif len(dataset.numbers[frames[0]]) == 2 and pairs.frames < min(len(frames), most, FRAMES):
            pairs = near_pairs(dataset, frames)  # a scan, whose bond is torn in some frames
            pairs = pairs.where(pairs.moved < _SCAN_STEP)
        if len(pairs.first) and np.any(pairs.expected):
            found.append(pairs)
            left -= pairs.frames
        if left < 2:
            break
    return found


def agreement(kinds: list[FramePairs]) -> Agreement:
    """Slope and correlation, through zero, of the pairs of some kinds of frames."""
    work, change = (
        np.concatenate([getattr(pairs, name) for pairs in kinds]) for name in ("expected", "energy_changes")
    )
    frames = sum(pairs.frames - 1 for pairs in kinds)
    norms = np.sqrt((work**2).sum() * (change**2).sum())
    if not norms:
        return Agreement(frames, 0.0, 0.0)
    return Agreement(frames, float((work @ change) / (work @ work)), float((work @ change) / norms))


def _nearer(kinds: list[FramePairs]) -> Agreement:
    """Of the half of all pairs that are nearer, between which forces change less: nearer to 1 where labels are right,
    and no nearer where they are not."""
    return agreement([pairs.where(pairs.moved <= np.median(pairs.moved)) for pairs in kinds])


def _disagreement(dataset: Dataset, kinds: list[FramePairs], forces_are_right: bool) -> Finding | None:
    found, nearer = agreement(kinds), _nearer(kinds)
    if nearer.certain and BOHR_SLOPES[0] < nearer.slope < BOHR_SLOPES[1]:
        return None
    where = _compared(dataset, kinds, found)
    size = abs(found.slope)
    units_fit = SLOPES[0] < size < SLOPES[1]
    if found.certain and found.slope < 0:
        rest = "" if units_fit else f"; {_units_like(dataset, size, forces_are_right)}"
        return Finding(f"{where}; {_WRONG_SIGN[forces_are_right]}{rest}", refused=True)
    if found.certain and not units_fit:
        return Finding(f"{where}; {_units_like(dataset, size, forces_are_right)}", refused=True)
    clear = found.frames >= _BOHR_FRAMES and found.correlation > _BOHR_CORRELATION
    if clear and not BOHR_SLOPES[0] < size < BOHR_SLOPES[1]:
        return Finding(f"{where}; {_units_like(dataset, size, forces_are_right)}")
    return None


def _unrelated(dataset: Dataset, kinds: list[FramePairs]) -> Finding | None:
    found, pairs = agreement(kinds), joined_pairs(kinds)
    spread = float(np.sqrt(np.mean(pairs.expected**2)))
    if found.certain or found.frames < _UNRELATED_FRAMES or spread < _LEAST_SPREAD:
        return None
    if outlying := _outlying(pairs):
        return outlying
    told = len(kinds) > 1 or _in_one_piece(dataset, pairs) or found.surely_below(_SOFTEST)
    if abs(found.correlation) > _UNRELATED or not told:
        return None
    where = _compared(dataset, kinds, found)
    return Finding(f"{where}: not at all; energies may belong to other frames, or be of another zero each")


def _in_one_piece(dataset: Dataset, pairs: FramePairs) -> bool:
    """Whether bonds hold all atoms, or there are none; what ions and solvents do to each other they do not tell."""
    frame = int(pairs.first[0])
    cell = None if dataset.cells is None else dataset.cells[frame]
    i, j, _ = bonded_pairs(Atoms(dataset.numbers[frame], dataset.positions[frame], cell=cell, pbc=dataset.pbc[frame]))
    size = len(dataset.numbers[frame])
    parts = connected_components(csr_array((np.ones(len(i)), (i, j)), shape=(size, size)), directed=False)[0]
    return parts == 1 or not len(i)


def _outlying(pairs: FramePairs) -> Finding | None:
    """Few frames without which energies follow the forces."""
    unexplained = np.abs(pairs.energy_changes - pairs.expected)
    frames = np.unique(np.concatenate([pairs.first, pairs.second]))
    off = np.array([np.median(unexplained[(pairs.first == frame) | (pairs.second == frame)]) for frame in frames])
    far = frames[off > max(_OUTLYING * np.median(off), _LIKE_THE_FARTHEST * off.max())]
    kept = pairs.where(~np.isin(pairs.first, far) & ~np.isin(pairs.second, far))
    if not 0 < len(far) <= _MOST_OUTLYING * len(frames) or not len(kept.first) or not agreement([kept]).certain:
        return None
    return Finding(
        f"the energy of {frames_named(far)} does not go with those of {len(frames) - len(far)} other frames of the "
        f"same atoms, which follow the forces: it is {np.max(off):.3g} eV off; was it taken from another calculation?"
    )


def _compared(dataset: Dataset, kinds: list[FramePairs], found: Agreement) -> str:
    return (
        f"between {found.frames + len(kinds)} frames of the same atoms, such as {kinds[0].first[0]} and "
        f"{kinds[0].second[0]} of {dataset.name!r}, energies change by {found.slope:.3g} times what the forces say "
        f"(correlation {found.correlation:.2f})"
    )


def _units_like(dataset: Dataset, slope: float, forces_are_right: bool) -> str:
    """Which units beside each other give such a slope, given those in which the set was read."""
    energy = dataset.meta.get("energy_unit_read", "eV")
    force = dataset.meta.get("force_unit_read", "eV/angstrom")
    top, _, bottom = force.rpartition("/")
    read = ENERGY_UNITS[top] / LENGTH_UNITS[bottom]
    as_written = slope / ENERGY_UNITS[energy] * read
    candidates = {}
    for e, f, x in itertools.product(ENERGY_UNITS, _UNITS_OF_FORCES, ("angstrom", "bohr")):
        true = ENERGY_UNITS[f] / LENGTH_UNITS[x]
        if (e == energy) != (f"{f}/{x}" == force) and not (forces_are_right and abs(np.log(true / read)) > _KNOWN):
            ratio = true / ENERGY_UNITS[e]
            candidates[f"energies in {e} beside forces in {f}/{x}"] = abs(np.log(as_written / ratio))
    candidates["energies per atom"] = abs(np.log(slope * float(np.median(dataset.sizes))))
    nearest = min(candidates.values())
    likely = [words for words, off in candidates.items() if off < min(nearest + _ALIKE, 0.4)]
    if not likely:
        return "they cannot both be right: check their units, and whether they belong to the same frames"
    return f"that is what {' or '.join(likely)} give, read as {energy} and {force}: convert one of them"


def _two_zeros(dataset: Dataset, pairs: FramePairs) -> Finding | None:
    """Whether energies of frames differ again and again by one constant that forces know nothing of."""
    unexplained = np.abs(pairs.energy_changes - pairs.expected)
    across = np.flatnonzero(unexplained > max(_LEAST_ZEROS, 6.0 * np.quantile(unexplained, 0.25)))
    if len(across) < _PAIRS_ACROSS:
        return None
    across = across[
        unexplained[across] > 0.5 * np.median(unexplained[across])
    ]  # others are strained, as hot frames are
    up = pairs.energy_changes[across] > 0
    low, high = (np.unique(np.where(up == side, pairs.first[across], pairs.second[across])) for side in (True, False))
    gaps = unexplained[across]
    strained = np.mean(gaps) < _BEYOND_STRAIN * np.sqrt(np.mean(pairs.expected**2))
    if strained or min(len(low), len(high)) < _PAIRS_ACROSS or np.std(gaps) > 0.1 * np.mean(gaps):
        return None
    all_compared = len(pairs.first) > 2 * pairs.frames
    if all_compared and len(low) + len(high) < _LEVELLED * pairs.frames:
        return None
    if _left_by_levels(pairs, low, high, float(np.mean(gaps))) > 0.15 * np.mean(gaps):
        return None
    return Finding(
        f"energies have two zeros: {frames_named(low)} lie {np.mean(gaps):.4g} eV below {frames_named(high)}, which "
        f"have the same atoms, and the forces explain nothing of it; {_why_two(dataset, low, high)}",
        refused=True,
    )


def _why_two(dataset: Dataset, low: np.ndarray, high: np.ndarray) -> str:
    """What to do about energies of two levels, which two units make of total energies, too."""
    ratio = np.median(dataset.energies[low]) / (np.median(dataset.energies[high]) or np.nan)
    for (one, larger), (other, smaller) in itertools.permutations(ENERGY_UNITS.items(), 2):
        if larger > smaller and abs(ratio * smaller / larger - 1.0) < _SAME_RATIO:
            return f"they are like energies in {other} beside others in {one}: convert one of them"
    return "put energies of different programs or methods on one zero, or take one of them"


def _left_by_levels(pairs: FramePairs, low: np.ndarray, high: np.ndarray, gap: float) -> float:
    """Root mean square in eV of what forces and one gap leave of the changes between frames of known level."""
    levels = [np.isin(frames, high).astype(float) for frames in (pairs.first, pairs.second)]
    known = [np.isin(frames, np.concatenate([low, high])) for frames in (pairs.first, pairs.second)]
    left = pairs.energy_changes - pairs.expected - gap * (levels[1] - levels[0])
    return float(np.sqrt(np.mean(left[known[0] & known[1]] ** 2)))
