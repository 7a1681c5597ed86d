"""Do bonds say of the forces of each part of a set what they say of the whole: of each source, molecule and frame?"""

from collections.abc import Iterator

import numpy as np

from so3lab.datasets.consistency.bond_stretches import (
    LEAST_SPREAD,
    Bond,
    Environment,
    by_kind,
    check_forces_along_bonds,
    check_forces_per_bohr,
    usual_stiffness,
)
from so3lab.datasets.consistency.finding import Finding
from so3lab.datasets.dataset import Dataset
from so3lab.datasets.frames import frames_named

_STRETCHES = 8
"""Parts of frames that follow each other."""
_FEWEST_FRAMES = 3
_MOST_SOURCES = 24
_FEWEST_BONDS = 5
"""Of one frame that shall tell something by itself."""
_APART = 4.0
"""Spreads between two levels; halves of what has one are less than 3 apart."""
_WEAK, _STRONG = 0.15, 4.0
"""Times the stiffness of bonds, beyond which a frame may be one of other units."""


def check_forces_of_parts(dataset: Dataset, bonds: dict[int, list[Bond]]) -> list[Finding]:
    """Forces of some frames that have the wrong sign or unit though those of the whole have not.

    Args:
        dataset: The set.
        bonds: Those of some of its frames, from all parts.
    """
    parts = [frames for frames in _parts(dataset, bonds) if _FEWEST_FRAMES <= len(frames) < len(bonds)]
    kinds = [by_kind(bonds[i] for i in frames) for frames in parts]
    for check in (check_forces_along_bonds, check_forces_per_bohr):
        for frames, of_part in zip(parts, kinds, strict=True):
            words = f"{frames_named(frames)} of {dataset.name!r}"
            if found := check(dataset, of_part, frames=words):
                return found
    return []


def _parts(dataset: Dataset, bonds: dict[int, list[Bond]]) -> Iterator[list[int]]:
    """Frames of one molecule, of one source as labels name them, next to each other, or that look alike by bonds."""
    frames = np.array(sorted(bonds))
    columns = [dataset.molecules, *(column for column in dataset.labels.values() if column.ndim == 1)]
    for column in columns:
        values = column[frames]
        if len(np.unique(values)) <= _MOST_SOURCES:
            yield from (frames[values == value].tolist() for value in np.unique(values))
    yield from (part.tolist() for part in np.array_split(frames, _STRETCHES) if len(part))
    rest = {
        kind: float(np.median([length for length, _ in values]))
        for kind, values in by_kind(bonds.values()).items()
        if len(values) >= _FEWEST_FRAMES
    }
    stiffness = {i: found for i in bonds if (found := _stiffness(bonds[i], rest)) is not None}
    yield [i for i, found in stiffness.items() if found < 0.0]
    yield [i for i, found in stiffness.items() if 0.0 <= found < _WEAK]
    yield [i for i, found in stiffness.items() if found > _STRONG]
    yield from _two_levels({i: float(np.log(found)) for i, found in stiffness.items() if found > 0.0})


def _stiffness(bonds: list[Bond], rest: dict[Environment, float]) -> float | None:
    """Of the bonds of one frame, over what the rule says; None where it has few, or they are at rest."""
    known = [(length - rest[kind], along, kind, length) for kind, length, along in bonds if kind in rest]
    of_hydrogen = [values for values in known if values[2][0][0] == 1]
    known = of_hydrogen if len(of_hydrogen) >= _FEWEST_BONDS else known
    if len(known) < _FEWEST_BONDS:
        return None
    stretches, along = np.array([values[:2] for values in known]).T
    if np.sqrt(np.mean(stretches**2)) < LEAST_SPREAD:
        return None
    rule = np.array([usual_stiffness(kind[0][0], kind[1][0], length) for *_, kind, length in known])
    return -float(stretches @ along) / float(rule @ stretches**2)


def _two_levels(values: dict[int, float]) -> Iterator[list[int]]:
    """Frames of the lower and of the higher of two values, where there are two that differ by more than they spread."""
    frames = sorted(values, key=values.__getitem__)
    ordered = np.array([values[i] for i in frames])
    few = max(_FEWEST_FRAMES, len(frames) // 10)
    splits = range(few, len(frames) - few + 1)
    if not splits:
        return
    spreads = [
        np.sqrt((at * ordered[:at].var() + (len(frames) - at) * ordered[at:].var()) / len(frames)) for at in splits
    ]
    best = splits[int(np.argmin(spreads))]
    if ordered[best:].mean() - ordered[:best].mean() > _APART * min(spreads):
        yield from (sorted(frames[:best]), sorted(frames[best:]))
