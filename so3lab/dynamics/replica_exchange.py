r"""Replica exchange: walkers that trade temperatures, so that the cold ones visit what only the hot ones reach.

Neighbours on a ladder of temperatures exchange with the probability

.. math:: \min\big(1, e^{(\beta_i - \beta_j)(U_i - U_j)}\big)

pairs with an even and an odd lower rung taking turns, and velocities are scaled to the new temperature.

Source: Sugita and Okamoto, Chem. Phys. Lett. 314, 141 (1999).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from so3lab import units

if TYPE_CHECKING:
    import pandas


def temperature_ladder(lowest_K: float, highest_K: float, rungs: int) -> list[float]:
    """Temperatures in K in geometric progression, which makes acceptance about equal where the heat capacity is."""
    if not 0 < lowest_K < highest_K or rungs < 2:
        raise ValueError(
            f"a ladder needs two rungs or more between rising temperatures, got {rungs} from {lowest_K} to "
            f"{highest_K} K"
        )
    return np.geomspace(lowest_K, highest_K, rungs).tolist()


class ReplicaExchange:
    """Who has which temperature, and how often neighbours exchanged.

    Args:
        temperatures_K: Of the walkers at the start, all different.
        seed: Of the random numbers, which depend on it and on the step alone.

    Raises:
        ValueError: If there are fewer than two temperatures, equal ones, or one that is not above zero.
    """

    def __init__(self, temperatures_K: Sequence[float], seed: int = 0):
        if len(temperatures_K) < 2 or len(set(temperatures_K)) < len(temperatures_K):
            raise ValueError(f"replica exchange needs two or more different temperatures_K, got {list(temperatures_K)}")
        if not min(temperatures_K) > 0:
            raise ValueError(f"temperatures_K of replica exchange must be above 0 K, got {float(min(temperatures_K))}")
        self._seed = seed
        self.rungs_K = np.sort(np.asarray(temperatures_K, float))
        self.rung_of: Int[np.ndarray, " walkers"] = np.argsort(np.argsort(temperatures_K))
        self.attempts = np.zeros(len(self.rungs_K) - 1, int)
        self.accepted = np.zeros(len(self.rungs_K) - 1, int)

    @property
    def temperatures_K(self) -> Float[np.ndarray, " walkers"]:
        """The temperature of each walker."""
        return self.rungs_K[self.rung_of]

    def exchange(self, energies: Float[np.ndarray, " walkers"], alive: np.ndarray, step: int, turn: int) -> bool:
        """Let neighbours exchange; returns whether any did.

        Args:
            energies: Potential energy of each walker in eV, biases included.
            alive: Walkers that take part.
            step: The step of now, for the random numbers.
            turn: Even: rungs 0-1, 2-3, ...; odd: 1-2, 3-4, ...
        """
        random = np.random.default_rng([self._seed, step]).random(len(self.attempts))
        walker_at, any_did = np.argsort(self.rung_of), False
        for low in range(turn % 2, len(self.attempts), 2):
            one, other = walker_at[low], walker_at[low + 1]
            if not (alive[one] and alive[other]):
                continue
            betas = 1.0 / (units.kB * self.rungs_K[low : low + 2])
            exponent = (betas[0] - betas[1]) * (energies[one] - energies[other])
            self.attempts[low] += 1
            if random[low] < np.exp(min(exponent, 0.0)):
                self.accepted[low] += 1
                self.rung_of[one], self.rung_of[other] = low + 1, low
                any_did = True
        return any_did

    def report(self) -> "pandas.DataFrame":
        """How often neighbours exchanged: ``lower_K``, ``upper_K``, ``attempts``, ``accepted``, ``acceptance``."""
        import pandas as pd  # takes longer than the first steps of a small molecule

        return pd.DataFrame(
            {
                "lower_K": self.rungs_K[:-1],
                "upper_K": self.rungs_K[1:],
                "attempts": self.attempts,
                "accepted": self.accepted,
                "acceptance": self.accepted / np.maximum(self.attempts, 1),
            }
        )

    def state(self) -> dict[str, np.ndarray]:
        """What :meth:`restore` needs."""
        names = ("rung_of", "attempts", "accepted")
        return {f"ladder_{name}": np.asarray(getattr(self, name), np.int64) for name in names}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go on from a state of :meth:`state`."""
        self.rung_of, self.attempts, self.accepted = (
            state[f"ladder_{name}"].copy() for name in ("rung_of", "attempts", "accepted")
        )
