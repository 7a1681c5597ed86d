"""Walkers that go from minimum to minimum, each with a window of energy that the search's success opens and closes.

A walker moves to the minimum that its proposal led to when that lies no more than its window higher. The window shrinks
with every step and grows with every refusal, so that about half of the steps are made, whatever the unit of energy.

Source: S. Goedecker, J. Chem. Phys. 120, 9911 (2004), section II; the factors are those of ASE's ``MinimaHopping``.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from so3lab.minima.accounts import Account, Minimum

AFTER_STEP, AFTER_REFUSAL = 0.98, 1 / 0.98
"""Factors of the window."""


class Walkers:
    """Several walkers on the minima of one search.

    Args:
        count: How many.
        window: eV, of each at the beginning.
    """

    def __init__(self, count: int, window: float):
        if count < 1:
            raise ValueError(f"walkers must be at least 1, got {count}")
        if not window > 0:
            raise ValueError(f"window must be a positive energy in eV, got {window}")
        self.at: list[int] = [0] * count
        """Number of the minimum at which each walker stands."""
        self.windows: list[float] = [window] * count

    def __len__(self) -> int:
        return len(self.at)

    def spread(self, minima: Sequence[Minimum], rng: np.random.Generator) -> None:
        """Move walkers that stand on a minimum visited far more often than others to one that is rarely visited.

        One walker in sixteen, on average: a search with many walkers else stays in the funnel that it began in.
        """
        visits = np.array([one.visits for one in minima], float)
        weights = 1.0 / visits**2
        for walker in range(len(self)):
            if rng.random() < 1 / 16:
                self.at[walker] = int(rng.choice(len(minima), p=weights / weights.sum()))

    def learn(self, minima: Sequence[Minimum], accounts: Sequence[Account]) -> None:
        """Step or stay, for each account of a walker."""
        for account in accounts:
            walker, found = account.walker, account.minimum
            if walker is None or found is None or found == self.at[walker]:
                continue
            if minima[found].energy - minima[self.at[walker]].energy < self.windows[walker]:
                self.at[walker] = found
                self.windows[walker] *= AFTER_STEP
            else:
                self.windows[walker] *= AFTER_REFUSAL

    def state(self) -> dict[str, Any]:
        """Places and windows."""
        return {"at": list(self.at), "windows": list(self.windows)}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.at, self.windows = [int(one) for one in state["at"]], [float(one) for one in state["windows"]]
