"""Which minima belong together below an energy, and how is the tree of their superbasins laid out?"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

NOISE = 5e-3
"""eV by which a saddle may lie below one of its minima and count as level with it: shallow ones do, in single
precision."""
_SAME_LEVEL = 1e-6  # eV


@dataclass(frozen=True, eq=False)
class DisconnectivityTree:
    """Superbasins of a landscape: minima are the first nodes, in their order, superbasins follow by energy.

    A superbasin is a set of minima that paths join without rising above its energy; its node stands at the lowest
    saddle energy at which this is so.
    """

    energies: Float[np.ndarray, " nodes"]
    """eV; of minima, or of the saddles at which superbasins unite."""
    parents: Int[np.ndarray, " nodes"]
    """The superbasin that each node is a part of at the next higher energy; -1 where no path leads on."""
    x: Float[np.ndarray, " nodes"]
    """Where nodes are drawn: minima at whole numbers, superbasins above their lowest minimum."""
    minima: int
    """How many of the nodes are minima."""
    saddles: Int[np.ndarray, " nodes"]
    """Over which superbasins unite, by their places among those given; -1 for minima."""

    @property
    def roots(self) -> list[int]:
        """Nodes without a parent: one for each part of the landscape that no known path joins to another."""
        return np.flatnonzero(self.parents < 0).tolist()

    def superbasins(self, energy: float) -> list[list[int]]:
        """Minima below an energy, in groups within which paths stay below it; the group of the lowest one first.

        Args:
            energy: eV.
        """
        top = np.arange(len(self.energies))
        for node in reversed(range(len(top))):  # parents have higher numbers
            parent = self.parents[node]
            if parent >= 0 and self.energies[parent] <= energy:
                top[node] = top[parent]
        groups: dict[int, list[int]] = {}
        for minimum in np.argsort(self.energies[: self.minima], kind="stable").tolist():
            if self.energies[minimum] <= energy:
                groups.setdefault(int(top[minimum]), []).append(minimum)
        return list(groups.values())

    def table(self) -> pd.DataFrame:
        """One row per node: ``node``, ``parent`` (-1 for none), ``x``, ``energy_eV``, ``minimum`` and ``saddle``
        (numbers; -1 for superbasins and for minima), and ``size``, how many minima there are in it."""
        nodes = np.arange(len(self.energies))
        size = (nodes < self.minima).astype(int)
        for node, parent in enumerate(self.parents.tolist()):
            if parent >= 0:
                size[parent] += size[node]
        return pd.DataFrame(
            {
                "node": nodes,
                "parent": self.parents,
                "x": self.x,
                "energy_eV": self.energies,
                "minimum": np.where(nodes < self.minima, nodes, -1),
                "saddle": self.saddles,
                "size": size,
            }
        )


def disconnectivity_tree(
    energies: Sequence[float] | Float[np.ndarray, " minima"],
    saddles: Iterable[tuple[int, int, float]],
    *,
    step: float | None = None,
) -> DisconnectivityTree:
    """The tree of superbasins, from the energies of minima and of the saddles between them.

    Superbasins unite exactly where a saddle is, so that no choice of levels hides or makes a barrier. With a ``step``
    they unite at the next multiple of it above the lowest minimum, which draws large landscapes more quietly.

    Args:
        energies: Of the minima, eV.
        saddles: Numbers of the two minima that each joins, and its energy, eV. Several may join the same two, and one
            may lead from a minimum to a copy of itself, which joins nothing.
        step: eV between levels; None for levels at the saddles themselves.

    Raises:
        ValueError: If there is no minimum, a number names none, an energy is not finite, a saddle lies below one of its
            minima, or the step is not positive.

    Source: O. M. Becker and M. Karplus, J. Chem. Phys. 106, 1495 (1997).
    """
    lowest_energies = np.asarray(energies, float)
    joining = [(int(a), int(b), float(energy)) for a, b, energy in saddles]
    _check(lowest_energies, joining, step)
    heights = lowest_energies.tolist()
    levels = [(a, b, _level(e, heights, step), n) for n, (a, b, e) in enumerate(joining) if a != b]
    parents, children, over = _united(heights, levels)
    x = _places(heights, parents, children, len(lowest_energies))
    return DisconnectivityTree(np.array(heights), np.array(parents, int), x, len(lowest_energies), np.array(over, int))


def _check(energies: np.ndarray, saddles: list[tuple[int, int, float]], step: float | None) -> None:
    if energies.ndim != 1 or not len(energies) or not np.isfinite(energies).all():
        raise ValueError(f"energies must be finite numbers in eV, one for each minimum, got shape {energies.shape}")
    if step is not None and not step > 0:
        raise ValueError(f"step must be positive (eV), or None for levels at the saddles, got {step}")
    for a, b, energy in saddles:
        if not (0 <= a < len(energies) and 0 <= b < len(energies)):
            raise ValueError(f"saddles must join minima 0 to {len(energies) - 1}, got {a} and {b}")
        higher = max(energies[a], energies[b])
        if not np.isfinite(energy) or energy < higher - NOISE:
            raise ValueError(
                f"a saddle must lie above the minima that it joins; the one between {a} and {b} is at {energy} eV, and "
                f"the higher of the two at {higher} eV"
            )


def _level(energy: float, energies: list[float], step: float | None) -> float:
    if step is None:
        return energy
    lowest = min(energies)
    return lowest + step * float(np.ceil((energy - lowest) / step - 1e-9))


def _united(
    heights: list[float], saddles: list[tuple[int, int, float, int]]
) -> tuple[list[int], dict[int, list[int]], list[int]]:
    """Parents of all nodes, children of superbasins, whose energies are added to the heights, and saddles of nodes."""
    member_of = list(range(len(heights)))
    parents, over = [-1] * len(heights), [-1] * len(heights)
    top = dict(enumerate(range(len(heights))))
    children: dict[int, list[int]] = {}

    def representative(minimum: int) -> int:
        while member_of[minimum] != minimum:
            member_of[minimum] = member_of[member_of[minimum]]
            minimum = member_of[minimum]
        return minimum

    by_energy = sorted(saddles, key=lambda saddle: saddle[2])
    for _, level in groupby(by_energy, key=lambda saddle: round(saddle[2] / _SAME_LEVEL)):
        united: dict[int, list[int]] = {}
        last: dict[int, int] = {}
        energy = -np.inf
        for first, second, height, number in level:
            energy = max(energy, height)
            a, b = representative(first), representative(second)
            if a != b:
                member_of[b] = a
                united[a] = united.pop(a, [top[a]]) + united.pop(b, [top[b]])
                last[a] = number
        for set_, parts in united.items():
            node = len(heights)
            heights.append(max(energy, *(heights[part] for part in parts)))
            parents.append(-1)
            over.append(last[set_])
            for part in parts:
                parents[part] = node
            children[node], top[set_] = parts, node
    return parents, children, over


def _places(heights: list[float], parents: list[int], children: dict[int, list[int]], minima: int) -> np.ndarray:
    """Minima side by side, the lowest of each superbasin in its middle; superbasins above their lowest minimum."""
    lowest = list(range(minima))
    for node in sorted(children):
        lowest.append(min((lowest[part] for part in children[node]), key=lambda minimum: heights[minimum]))
    x = np.zeros(len(heights))
    roots = [node for node, parent in enumerate(parents) if parent < 0]
    ahead = sorted(roots, key=lambda node: heights[lowest[node]], reverse=True)
    count = 0
    while ahead:
        node = ahead.pop()
        if node < minima:
            x[node], count = count, count + 1
        else:
            ahead += reversed(_around(sorted(children[node], key=lambda part: heights[lowest[part]]), node))
    x[minima:] = x[lowest[minima:]]
    return x


def _around(parts: list[int], node: int) -> list[int]:
    """The first part in the middle, the others on both sides in turn, so that a funnel looks like one."""
    sides: tuple[list[int], list[int]] = ([], [])
    for number, part in enumerate(parts[1:]):
        sides[(number + node) % 2].append(part)
    return [*reversed(sides[0]), parts[0], *sides[1]]
