r"""Do molecules of a set come from two sources whose energies count from different zeros, each wholly from one of them?

Energies of molecules are sums over their elements, but for some tenths of an eV per atom that bonds make:

.. math:: E \approx \sum_i \epsilon_{z_i}

Where two such sums explain a set far better than one does, differ by more than bonds ever do, and either could be asked
of the molecules of the other, there are two sources: programs, methods or units.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Integer

from so3lab.datasets.consistency.finding import Finding
from so3lab.datasets.dataset import Dataset
from so3lab.datasets.frames import frames_named

FEWEST_OF_AN_ELEMENT = 8
"""Molecules for each number that is fitted; of fewer, parts of one set differ by chance."""
LEAST_GAIN = 4.5
"""Times that two sums leave less than one. Parts of 170 molecules of one method reach 2, of 25 of them 3.5; homologous
series 20, but with less than the next."""
LEAST_GAP = 0.8
"""eV per atom between two sums. Bonds make 0.2; between GFN1- and GFN2-xTB lie 1.7, between total energies of density
functionals and of programs with other cores more."""
_MOST_REACH = 0.5
"""Leverage of the molecules of one part among those of the other; beyond it a sum says nothing of them."""
_SMALLEST = 4
"""Atoms; smaller molecules are torn or single bonds."""
_MOST = 1000
_ROUNDS = 30
_STARTS = (0.3, 0.5, 0.7)


class _Parts(NamedTuple):
    """Two parts of some molecules."""

    left: float
    """Root mean square in eV of what two sums leave of the energies."""
    first: Bool[np.ndarray, " molecules"]
    gap: float
    """eV per atom between both sums."""
    reach: float


def check_two_sources(dataset: Dataset) -> list[Finding]:
    """Molecules whose energies are those of two sources; of one charge and spin, and without cells."""
    chosen = _molecules(dataset)
    if len(chosen) < 2 * FEWEST_OF_AN_ELEMENT:
        return []
    elements = np.unique(np.concatenate([dataset.numbers[frame] for frame in chosen]))
    counts = np.array([[np.count_nonzero(dataset.numbers[frame] == z) for z in elements] for frame in chosen], float)
    energies = dataset.energies[chosen]
    if len(chosen) < FEWEST_OF_AN_ELEMENT * len(elements):
        return []
    found = _two_parts(counts, energies)
    if found is None or found.gap < LEAST_GAP or found.reach > _MOST_REACH:
        return []
    once = float(np.sqrt(np.sum(_left(counts, energies) ** 2) / (len(chosen) - len(elements))))
    if once < LEAST_GAIN * found.left:
        return []
    return [
        Finding(
            f"energies of molecules seem to have two zeros: {frames_named(np.sort(chosen[found.first]))} are "
            f"{found.gap:.3g} eV per atom off what elements contribute in {frames_named(np.sort(chosen[~found.first]))}"
            f", where bonds make {found.left:.2g} eV in all; put energies of different programs or methods on one "
            "zero, or take one of them"
        )
    ]


def _molecules(dataset: Dataset) -> Integer[np.ndarray, " molecules"]:
    """The frame of lowest energy of each molecule, of those of the most frequent charge and spin."""
    asked = ~dataset.pbc.any(axis=1) & (dataset.sizes >= _SMALLEST)
    if not asked.any():
        return np.array([], int)
    electrons, which = np.unique(
        np.stack([dataset.total_charges, dataset.unpaired_electrons], axis=1), axis=0, return_inverse=True
    )
    which = which.reshape(-1)
    asked &= which == np.bincount(which[asked], minlength=len(electrons)).argmax()
    frames = np.flatnonzero(asked)
    ordered = frames[np.argsort(dataset.energies[frames], kind="stable")]
    lowest = ordered[np.unique(dataset.molecules[ordered], return_index=True)[1]]
    if len(lowest) > _MOST:
        lowest = lowest[np.linspace(0, len(lowest) - 1, _MOST).astype(int)]
    return lowest


def _two_parts(counts: Float[np.ndarray, "molecules elements"], energies: np.ndarray) -> _Parts | None:
    """The best two parts, each with a sum of its own; a molecule belongs to the sum that is nearer to it."""
    residual, size = _left(counts, energies), counts.sum(axis=1)
    fewest = max(2 * counts.shape[1], len(counts) // 10)
    best: _Parts | None = None
    for values in (residual / size, residual):
        for start in _STARTS:
            first = values > np.quantile(values, start)
            for _ in range(_ROUNDS):
                if min(first.sum(), (~first).sum()) < fewest:
                    break
                sums = [counts @ _fit(counts[part], energies[part]) for part in (first, ~first)]
                nearer = np.abs(energies - sums[0]) < np.abs(energies - sums[1])
                left = float(np.sqrt(np.sum(np.where(nearer, energies - sums[0], energies - sums[1]) ** 2)))
                if (nearer == first).all():
                    left /= np.sqrt(max(1, len(counts) - 2 * counts.shape[1]))
                    if best is None or left < best.left:
                        gap = float(np.median(np.abs(sums[0] - sums[1]) / size))
                        best = _Parts(left, first, gap, _reach(counts, first))
                    break
                first = nearer
    return best


def _fit(counts: np.ndarray, energies: np.ndarray) -> Float[np.ndarray, " elements"]:
    return np.linalg.lstsq(counts, energies, rcond=None)[0]


def _left(counts: np.ndarray, energies: np.ndarray) -> Float[np.ndarray, " molecules"]:
    """What one sum leaves."""
    return energies - counts @ _fit(counts, energies)


def _reach(counts: np.ndarray, first: np.ndarray) -> float:
    """Leverage of the usual molecule of one part among those of the other, the larger of both."""
    found = []
    for own, other in ((first, ~first), (~first, first)):
        inverse = np.linalg.inv(counts[own].T @ counts[own] + 1e-9 * np.eye(counts.shape[1]))
        found.append(np.median(np.einsum("ij,jk,ik->i", counts[other], inverse, counts[other])))
    return float(max(found))
