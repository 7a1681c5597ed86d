r"""Do energies change between frames of nearly the same cell as their stresses say: sign, unit and order of entries?

Between cells with rows :math:`h_a` and :math:`h_b`, atoms move with the cell and beside it:

.. math:: \Delta E \approx \tfrac12 (V_a \sigma_a + V_b \sigma_b) : \varepsilon - \tfrac12 (F_a + F_b) \cdot \Delta u,
          \qquad \varepsilon = \mathrm{sym}\big[\big(\tfrac12 (h_a + h_b)\big)^{-1} (h_b - h_a)\big]
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from so3lab.datasets.consistency.energy_against_forces import Agreement
from so3lab.datasets.consistency.finding import Finding
from so3lab.datasets.dataset import Dataset

LARGEST_STRAIN = 0.06
FURTHEST = 0.6
"""Å that an atom may have moved beside the cell."""
SLOPES = (0.2, 5.0)
"""Of energy changes over what stresses say; units differ by more, stresses of incomplete plane waves by less."""
LARGEST_USUAL = 1.0
"""eV/Å³, 160 GPa; stresses of solids at rest and of liquids are less."""
_SMALLEST_STRAIN = 1e-4
_FRAMES = 80
_UNITS = {"GPa": 160.21766, "kbar": 1602.1766, "bar": 1602176.6, "MPa": 160217.66, "hartree/bohr³": 1 / 183.6315}
"""Numbers of 1 eV/Å³ in other units."""
_ORDERS = {"xx, yy, zz, xy, yz, xz (VASP)": (1, 2, 0), "xx, yy, zz, xy, xz, yz (LAMMPS)": (2, 1, 0)}
"""Places in ASE's yz, xz, xy from which the right entries come if the file has another order."""
_SHEAR = ((1, 2), (0, 2), (0, 1))
_BETTER = 4.0


class _Pairs(NamedTuple):
    """Pairs of frames of nearly the same cell."""

    first: list[int]
    second: list[int]
    rest: Float[np.ndarray, " pairs"]
    """eV by which energies change beside what forces say."""
    strains: Float[np.ndarray, "pairs 3 3"]
    virials: Float[np.ndarray, "pairs 3 3"]
    """Mean of stress times volume, eV."""

    def work(self, virials: Float[np.ndarray, "pairs 3 3"]) -> Float[np.ndarray, " pairs"]:
        """eV that stresses say."""
        return np.einsum("pij,pij->p", virials, self.strains)


def check_stress_against_energy(dataset: Dataset) -> list[Finding]:
    """What is wrong between stresses and energies of near cells; of one cell alone only their size can be judged."""
    if dataset.stresses is None:
        return []
    pairs = _near_cells(dataset)
    if len(pairs.first) and np.any(pairs.virials):
        work = pairs.work(pairs.virials)
        found = _agreement(work, pairs.rest)
        if finding := _wrong_order(pairs, work) or _disagreement(dataset, pairs, found):
            return [finding]
        if found.certain:
            return []
    size = float(np.sqrt(np.nanmean(dataset.stresses**2)))
    if size > LARGEST_USUAL:
        return [
            Finding(
                f"stresses are {size:.3g} eV/Å³ ({size * _UNITS['GPa']:.4g} GPa) in the mean: their numbers are "
                "probably kbar or GPa, or virials; divide by 1602.18 (kbar) or 160.218 (GPa)"
            )
        ]
    return []


def _near_cells(dataset: Dataset) -> _Pairs:
    """Each frame with the one that is most like it among those with another cell."""
    assert dataset.stresses is not None
    usable = np.flatnonzero(np.isfinite(dataset.stresses).all(axis=(1, 2)))
    rows: list[tuple[int, int, float, np.ndarray, np.ndarray]] = []
    for molecule in np.unique(dataset.molecules[usable]):
        frames = usable[dataset.molecules[usable] == molecule]
        frames = frames[np.linspace(0, len(frames) - 1, min(len(frames), _FRAMES)).astype(int)]
        for place, one in enumerate(frames):
            found = [pair for other in frames[place + 1 :] if (pair := _pair(dataset, int(one), int(other)))]
            if found:
                rows.append(min(found, key=lambda pair: float(np.abs(pair[3]).max())))
    columns = list(zip(*rows, strict=True)) or [(), (), (), (), ()]
    shape = (len(rows), 3, 3)
    return _Pairs(
        list(columns[0]), list(columns[1]), np.array(columns[2], float), np.reshape(columns[3], shape),
        np.reshape(columns[4], shape),
    )  # fmt: skip


def _pair(dataset: Dataset, one: int, other: int) -> tuple[int, int, float, np.ndarray, np.ndarray] | None:
    assert dataset.cells is not None
    assert dataset.stresses is not None
    a, b = dataset.cells[one], dataset.cells[other]
    middle = 0.5 * (a + b)
    gradient = np.linalg.solve(middle, b - a)
    strain = 0.5 * (gradient + gradient.T)
    if not _SMALLEST_STRAIN < np.abs(strain).max() < LARGEST_STRAIN or np.abs(gradient).max() > 2 * LARGEST_STRAIN:
        return None
    steps = dataset.positions[other] @ np.linalg.inv(b) - dataset.positions[one] @ np.linalg.inv(a)
    steps -= np.round(steps)
    moves = (steps - steps.mean(axis=0)) @ middle
    if np.linalg.norm(moves, axis=1).max() > FURTHEST:
        return None
    by_forces = -0.5 * np.sum((dataset.forces[one] + dataset.forces[other]) * moves)
    volumes = abs(np.linalg.det(a)), abs(np.linalg.det(b))
    virial = 0.5 * (volumes[0] * dataset.stresses[one] + volumes[1] * dataset.stresses[other])
    change = float(dataset.energies[other] - dataset.energies[one])
    return one, other, change - float(by_forces), strain, virial


def _agreement(work: np.ndarray, change: np.ndarray) -> Agreement:
    norms = np.sqrt((work**2).sum() * (change**2).sum())
    if not norms:
        return Agreement(len(work), 0.0, 0.0)
    slope = (np.sign(work) * change).sum() / np.abs(work).sum()
    return Agreement(len(work), float(slope), float((work * change).sum() / norms))


def _disagreement(dataset: Dataset, pairs: _Pairs, found: Agreement) -> Finding | None:
    if not found.certain or SLOPES[0] < found.slope < SLOPES[1]:
        return None
    where = (
        f"between {found.frames} pairs of frames with nearly the same cell, such as {pairs.first[0]} and "
        f"{pairs.second[0]} of {dataset.name!r}, energies change by {found.slope:.3g} times what the stress says "
        f"(V σ:ε; correlation {found.correlation:.2f})"
    )
    reasons = _reasons(dataset, abs(found.slope))
    if found.slope < 0 and "virial" not in " ".join(reasons):
        reasons = [
            "the stress has the wrong sign: pressure, or a virial without its minus; multiply it by -1",
            *reasons,
        ]
    return Finding(f"{where}; {'; and '.join(reasons)}", refused=True)


def _reasons(dataset: Dataset, slope: float) -> list[str]:
    """What the size of a slope says of units; nothing where it is about 1."""
    if SLOPES[0] < slope < SLOPES[1]:
        return []
    assert dataset.cells is not None
    volume = float(np.median(np.abs(np.linalg.det(dataset.cells))))
    candidates = {f"the stress is in {unit}: divide it by {number:g}": 1 / number for unit, number in _UNITS.items()}
    candidates["it is a virial under the name of a stress: call it virial, or divide it by minus the volume"] = (
        1 / volume
    )
    candidates["it is a stress under the name of a virial"] = volume
    words, ratio = min(candidates.items(), key=lambda item: abs(np.log(slope / item[1])))
    if abs(np.log(slope / ratio)) > np.log(2.0):
        return ["they cannot both be right: check unit and definition of the stress"]
    return [words]


def _wrong_order(pairs: _Pairs, work: np.ndarray) -> Finding | None:
    """Whether another order of the three shear entries explains the energies much better."""
    left = float(np.sum((pairs.rest - work) ** 2))
    for name, places in _ORDERS.items():
        other = pairs.virials.copy()
        for place, (row, column) in zip(places, _SHEAR, strict=True):
            source = _SHEAR[place]
            other[:, row, column] = other[:, column, row] = pairs.virials[:, source[0], source[1]]
        found = _agreement(pairs.work(other), pairs.rest)
        better = left > _BETTER * float(np.sum((pairs.rest - pairs.work(other)) ** 2))
        if better and found.certain and SLOPES[0] < found.slope < SLOPES[1]:
            return Finding(
                f"energies of {len(work)} pairs of frames with nearly the same cell follow the stress if its six "
                f"numbers are in the order {name}: write them as xx, yy, zz, yz, xz, xy, or as a tensor",
                refused=True,
            )
    return None
