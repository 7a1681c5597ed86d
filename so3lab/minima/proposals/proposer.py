"""What is a proposer?

It proposes structures, is told what became of them, and can be stored between rounds. All its chances come from the
generator that it is handed, so that a round that was cut short is repeated as it was.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from so3lab.minima.accounts import Account, Minimum, Proposal


class Proposer(Protocol):
    """Proposes structures to a search."""

    name: str
    """Origin of what it proposes."""

    def propose(self, minima: Sequence[Minimum], count: int, rng: np.random.Generator) -> list[Proposal]:
        """About so many structures; none when it has nothing to say any more.

        Args:
            minima: All that have been found, at least one.
            count: How many are welcome.
            rng: Of this round.
        """

    def learn(self, minima: Sequence[Minimum], accounts: Sequence[Account]) -> None:
        """Hear what became of the last proposals; the minima hold the new ones."""

    def state(self) -> dict[str, Any]:
        """What must be known to go on, as JSON holds it."""

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from there."""
