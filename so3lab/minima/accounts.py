"""What is told of every proposal of a search, and what the numbers of visits say about minima that are still unseen."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import ase

Outcome = Literal["new", "duplicate", "reacted", "inverted", "not converged"]
OUTCOMES: tuple[Outcome, ...] = ("new", "duplicate", "reacted", "inverted", "not converged")


@dataclass(frozen=True)
class Proposal:
    """A structure to be relaxed."""

    atoms: ase.Atoms
    origin: str
    """Who proposes it, such as ``torsions``."""
    parent: int | None = None
    """Number of the minimum that it comes from."""
    walker: int | None = None
    """Which walker of its proposer it belongs to."""


@dataclass
class Minimum:
    """A minimum that has been found."""

    number: int
    """In the order in which they were found, from 0."""
    atoms: ase.Atoms
    """With energy and forces in its calculator, as the minimiser left them: never turned or averaged."""
    energy: float
    """eV."""
    origin: str
    parent: int | None
    visits: int = 1
    """How many proposals led here."""
    mirror_image_of: int | None = None
    """The minimum whose mirror image this is, where mirror images are kept."""


@dataclass(frozen=True)
class Account:
    """What became of one proposal."""

    proposal: int
    """Its number in the search, from 0."""
    origin: str
    parent: int | None
    walker: int | None
    outcome: Outcome
    atoms: ase.Atoms
    """The relaxed structure."""
    energy: float
    """eV."""
    minimum: int | None = None
    """Number of the minimum that is new, or that this is a duplicate of."""
    energy_difference: float | None = None
    """eV by which a duplicate lies above the minimum that it resembles."""
    rmsd: float | None = None
    """Å from that minimum."""
    mirrored: bool = False
    """Whether it is a mirror image: of the duplicate's minimum, or, being new, of a kept one."""
    why: str = ""
    """In words: bonds that changed, forces that are left."""

    @property
    def sentence(self) -> str:
        """The outcome in words."""
        if self.outcome == "duplicate":
            assert self.energy_difference is not None
            what = "mirror image of" if self.mirrored else "same as"
            return f"{what} minimum {self.minimum} ({1000 * self.energy_difference:+.2f} meV, RMSD {self.rmsd:.3f} Å)"
        if self.outcome == "new":
            return f"new minimum {self.minimum} at {self.energy:.6f} eV" + (", a mirror image" if self.mirrored else "")
        return f"{self.outcome}: {self.why}" if self.why else self.outcome


@dataclass
class Ledger:
    """How many proposals of each origin ended how."""

    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    """By origin and outcome."""

    def add(self, account: Account) -> None:
        """Count one."""
        of_origin = self.counts.setdefault(account.origin, dict.fromkeys(OUTCOMES, 0))
        of_origin[account.outcome] += 1

    @property
    def proposals(self) -> int:
        """All of them."""
        return sum(sum(of_origin.values()) for of_origin in self.counts.values())

    def total(self, outcome: Outcome) -> int:
        """Of all origins."""
        return sum(of_origin[outcome] for of_origin in self.counts.values())

    def rows(self) -> list[dict[str, Any]]:
        """One row per origin, for tables."""
        return [{"origin": origin, **of_origin} for origin, of_origin in sorted(self.counts.items())]


def unseen(visits: Iterable[int]) -> float:
    r"""How many minima the search could find and has not yet seen, estimated from how often it came to the others.

    .. math:: \hat f_0 = \frac{f_1 (f_1 - 1)}{2 (f_2 + 1)}

    with the numbers :math:`f_1` and :math:`f_2` of minima that were visited once and twice. It is a lower bound where
    minima differ in how easily they are found, which they do, and says nothing of what no proposal can reach.

    Args:
        visits: Of each minimum.

    Source: A. Chao, Scand. J. Statist. 11, 265 (1984), in the form without bias for :math:`f_2 = 0`.
    """
    seen = list(visits)
    once, twice = seen.count(1), seen.count(2)
    return once * (once - 1) / (2.0 * (twice + 1))
