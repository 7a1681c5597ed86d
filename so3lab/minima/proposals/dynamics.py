"""Snapshots of dynamics at chosen temperatures, from minima that have seldom been visited."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from so3lab.engine.energy_model import EnergyModel
from so3lab.minima.accounts import Account, Minimum, Proposal
from so3lab.minima.proposals.trajectories import snapshots
from so3lab.potential.potential import Potential

FRAMES = 4
"""Snapshots of each run."""


class Snapshots:
    """Frames of Langevin dynamics.

    Args:
        potential: The force field.
        temperatures_K: Runs have these temperatures in turn.
        fs_between: Time between frames, fs.
    """

    name = "dynamics"

    def __init__(
        self,
        potential: Potential | EnergyModel,
        *,
        temperatures_K: Sequence[float] = (500.0, 1000.0),
        fs_between: float = 200.0,
    ):
        if not len(temperatures_K) or min(temperatures_K) <= 0:
            raise ValueError(f"temperatures_K must be positive temperatures in K, got {temperatures_K!r}")
        if not fs_between > 0:
            raise ValueError(f"fs_between must be a positive time in fs, got {fs_between}")
        self._potential, self._fs_between = potential, fs_between
        self.temperatures_K = [float(one) for one in temperatures_K]

    def propose(self, minima: Sequence[Minimum], count: int, rng: np.random.Generator) -> list[Proposal]:
        """Frames of as many runs as give about this count."""
        runs = max(1, count // FRAMES)
        weights = 1.0 / np.array([one.visits for one in minima], float)
        parents = [minima[number] for number in rng.choice(len(minima), runs, p=weights / weights.sum())]
        temperatures = [self.temperatures_K[run % len(self.temperatures_K)] for run in range(runs)]
        starts = [parent.atoms for parent in parents]
        found = snapshots(self._potential, starts, temperatures, fs_between=self._fs_between, frames=FRAMES, rng=rng)
        return [
            Proposal(frame, f"{self.name} {temperature:g} K", parent.number)
            for parent, temperature, frames in zip(parents, temperatures, found, strict=True)
            for frame in frames
        ]

    def learn(self, minima: Sequence[Minimum], accounts: Sequence[Account]) -> None:
        """Nothing: visits of the minima say all."""

    def state(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing."""
