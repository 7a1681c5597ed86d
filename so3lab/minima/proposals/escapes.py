"""Minima hopping: walkers leave their minima by short, hot dynamics, hotter where they have been before.

Source: S. Goedecker, J. Chem. Phys. 120, 9911 (2004); the factors of the feedback are those of ASE's ``MinimaHopping``.
An escape lasts a fixed time here, so that those of all walkers are one batch.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from so3lab.engine.energy_model import EnergyModel
from so3lab.minima.accounts import Account, Minimum, Proposal
from so3lab.minima.proposals.trajectories import snapshots
from so3lab.minima.proposals.walkers import Walkers
from so3lab.potential.potential import Potential

HOTTER, COLDER = 1.1, 1 / 1.1
"""Factors of the temperature after a known minimum, and after a new one."""
COLDEST_K, HOTTEST_K = 100.0, 3000.0
ESCAPE_FS = 120.0


class Hopping:
    """Escapes by dynamics with history feedback.

    Args:
        potential: The force field.
        temperature_K: Of the first escapes.
        walkers: How many at once.
        window: eV by which a walker may climb at the beginning.
    """

    name = "hopping"

    def __init__(
        self,
        potential: Potential | EnergyModel,
        *,
        temperature_K: float = 800.0,
        walkers: int = 16,
        window: float = 0.2,
    ):
        if not COLDEST_K <= temperature_K <= HOTTEST_K:
            raise ValueError(f"temperature_K must lie between {COLDEST_K:g} and {HOTTEST_K:g} K, got {temperature_K}")
        self._potential = potential
        self.walkers = Walkers(walkers, window)
        self.temperatures_K: list[float] = [float(temperature_K)] * walkers

    def propose(self, minima: Sequence[Minimum], count: int, rng: np.random.Generator) -> list[Proposal]:
        """The end of one escape of every walker, whatever the count."""
        parents = [minima[at] for at in self.walkers.at]
        starts = [parent.atoms for parent in parents]
        ends = snapshots(self._potential, starts, self.temperatures_K, fs_between=ESCAPE_FS, frames=1, rng=rng)
        return [
            Proposal(frames[0], self.name, parent.number, walker)
            for walker, (parent, frames) in enumerate(zip(parents, ends, strict=True))
            if frames
        ]

    def learn(self, minima: Sequence[Minimum], accounts: Sequence[Account]) -> None:
        """Walkers get hotter where they have been, colder where nobody has been; then they step or stay."""
        for account in accounts:
            if account.walker is not None:
                factor = COLDER if account.outcome == "new" else HOTTER if account.outcome == "duplicate" else 1.0
                temperature = factor * self.temperatures_K[account.walker]
                self.temperatures_K[account.walker] = float(np.clip(temperature, COLDEST_K, HOTTEST_K))
        self.walkers.learn(minima, accounts)

    def state(self) -> dict[str, Any]:
        """Walkers and their temperatures."""
        return {"walkers": self.walkers.state(), "temperatures_K": list(self.temperatures_K)}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.walkers.restore(state["walkers"])
        self.temperatures_K = [float(one) for one in state["temperatures_K"]]
