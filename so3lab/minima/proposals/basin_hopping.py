"""Basin hopping: walkers leave their minima by moves of their atoms, whatever these are.

Source: D. J. Wales and J. P. K. Doye, J. Phys. Chem. A 101, 5111 (1997).
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from so3lab.minima.accounts import Account, Minimum, Proposal
from so3lab.minima.proposals.walkers import Walkers


class BasinHopping(ABC):
    """A proposer whose walkers move atoms in turn.

    Args:
        walkers: Those that hop.
    """

    name: str

    def __init__(self, walkers: Walkers):
        self.walkers = walkers

    @abstractmethod
    def moved(self, positions: Float[np.ndarray, "atoms 3"], rng: np.random.Generator) -> Float[np.ndarray, "atoms 3"]:
        """Where a move leads from the positions of a minimum, in Å."""

    def propose(self, minima: Sequence[Minimum], count: int, rng: np.random.Generator) -> list[Proposal]:
        """One for each walker in turn."""
        self.walkers.spread(minima, rng)
        found = []
        for number in range(count):
            walker = number % len(self.walkers)
            parent = minima[self.walkers.at[walker]]
            atoms = parent.atoms.copy()
            atoms.positions = self.moved(parent.atoms.positions, rng)
            found.append(Proposal(atoms, self.name, parent.number, walker))
        return found

    def learn(self, minima: Sequence[Minimum], accounts: Sequence[Account]) -> None:
        """Walkers step or stay."""
        self.walkers.learn(minima, accounts)

    def state(self) -> dict[str, Any]:
        """That of the walkers."""
        return self.walkers.state()

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.walkers.restore(state)
