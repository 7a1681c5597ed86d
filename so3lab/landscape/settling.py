"""Which minima lie on the two sides of saddles, and which of them are new?"""

from collections.abc import Sequence
from dataclasses import replace

import ase

from so3lab.engine.energy_model import EnergyModel
from so3lab.landscape.alignment import renumbered
from so3lab.landscape.database import Name
from so3lab.landscape.saddles import Climbed
from so3lab.landscape.sliding import Crest, slide
from so3lab.minima.accounts import Minimum
from so3lab.minima.identity import DuplicateRule, KnownMinima
from so3lab.minima.judging import Compound, Verdict, judge
from so3lab.minimize import Relaxed, minimize
from so3lab.potential.potential import Potential

ENDS = {"minimum": "ended in a minimum", "lost": "fell apart, or climbed without end"}


class Settling:
    """Minima that are known, and those to which saddles lead.

    Args:
        potential: Whose minima they are.
        rule: When two are the same.
        search: Name under which new ones are stored.
        max_force, max_gain_meV: When a minimum has converged, see :func:`so3lab.minimize.minimize`.
    """

    def __init__(
        self,
        potential: Potential | EnergyModel,
        rule: DuplicateRule,
        search: str,
        *,
        max_force: float,
        max_gain_meV: float,
    ):
        self._potential, self._search = potential, search
        self._max_force, self._max_gain_meV = max_force, max_gain_meV
        self._mirror_images = rule.mirror_images == "merged"
        self._known = KnownMinima(rule)
        self._compound: Compound | None = None
        self.minima: list[Minimum] = []
        self.names: list[Name] = []
        """Of the minima; the first one of each."""
        self.number_of: dict[Name, int] = {}
        """Places of the minima by all their names."""
        self.stored = 0
        """Minima that are, or will be, stored under the search's own name."""

    @property
    def has_bonds(self) -> bool:
        """Whether they are of molecules; otherwise of a cluster of atoms."""
        return self._compound is not None and self._compound.has_bonds

    def take_in(self, minimum: Minimum, name: Name) -> None:
        """Know a minimum by its name in the database, with its atoms in the order of the first one's."""
        if self._compound is None:
            self._compound = Compound(minimum.atoms, self._mirror_images)
        elif self._compound.has_bonds:
            minimum = replace(minimum, atoms=renumbered(minimum.atoms, self._compound.atoms))
        self._known.add(minimum.atoms, minimum.energy)
        self.number_of[name] = len(self.minima)
        self.minima.append(minimum)
        self.names.append(name)

    def stays(self, atoms: ase.Atoms) -> bool:
        """Whether a structure on its way is still of the compound."""
        return self._compound is None or not self._compound.reaction(atoms)

    def why_no_saddle(self, one: Climbed) -> str:
        """Why a search ended in no saddle of the compound; empty where it did."""
        assert self._compound is not None
        if one.why == "strayed":
            return self._compound.reaction(one.atoms)
        if one.why != "saddle":
            return ENDS.get(one.why, one.why)
        return "" if self._compound.has_bonds else self._compound.reaction(one.atoms)

    def sides(self, climbed: Sequence[Climbed]) -> list[tuple[int, int] | str]:
        """Numbers of the minima on the two sides of each saddle, new ones taken in; or why there are none.

        Args:
            climbed: Saddles.
        """
        crests = [Crest(one.atoms, one.mode, one.curvature) for one in climbed]
        pairs = slide(self._potential, crests, max_force=self._max_force, max_gain_meV=self._max_gain_meV)
        sides = [side for pair in pairs for side in pair]
        verdicts = [self._verdict(side) for side in sides]
        unknown = [
            number
            for number, verdict in enumerate(verdicts)
            if verdict.outcome == "new" and verdicts[number ^ 1].outcome in ("new", "duplicate")
        ]
        for number, side in zip(unknown, self._confirmed([sides[number] for number in unknown]), strict=True):
            verdicts[number] = self._verdict(side)
            if verdicts[number].outcome == "new":
                own = Name(self._search, self.stored)
                self.take_in(Minimum(own.number, side.atoms, side.energy, "saddle", None, visits=0), own)
                self.stored += 1
                verdicts[number] = self._verdict(side)
        return [_joined(*both) for both in zip(verdicts[::2], verdicts[1::2], strict=True)]

    def _verdict(self, side: Relaxed) -> Verdict:
        assert self._compound is not None
        return judge(side, self._compound, self._known)

    def _confirmed(self, sides: Sequence[Relaxed]) -> list[Relaxed]:
        """What seems to be new relaxed on, until the exact Hessian says that it is a minimum."""
        if not sides:
            return []
        again = minimize(
            self._potential, [one.atoms for one in sides], max_force=self._max_force, max_gain_meV=self._max_gain_meV,
            confirm=True, batch=1,
        )  # fmt: skip
        return sorted(again, key=lambda one: one.number)


def _joined(first: Verdict, second: Verdict) -> tuple[int, int] | str:
    for one in (first, second):
        if one.match is None:
            return f"one side is none of the compound's minima ({one.outcome}: {one.why})"
    assert first.match is not None
    assert second.match is not None
    return first.match.number, second.match.number
