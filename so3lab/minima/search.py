"""Search for the minima of a compound: propose, relax in batches, say what became of each, remember, go on.

A search goes in rounds. Each has its own random numbers, which follow from the seed and its number, and is stored as a
whole, so that a search that was killed goes on to the same minima as one that was not. What a round has relaxed is kept
until then, and is not relaxed again; the rest of it, in a batch of other neighbours, is the same but for rounding.
"""

import functools
import hashlib
import json
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import ase
import jax
import numpy as np

from so3lab.engine.energy_model import EnergyModel
from so3lab.machine.checksum import checksum
from so3lab.machine.executors import Workers
from so3lab.minima.accounts import Account, Ledger, Minimum, Proposal, unseen
from so3lab.minima.confirming import shaken
from so3lab.minima.database import SEARCH, MinimaDatabase
from so3lab.minima.identity import DuplicateRule, KnownMinima
from so3lab.minima.judging import Compound, Verdict, judge
from so3lab.minima.proposals import Given, Proposer, check_electrons, proposers_for
from so3lab.minima.spreading import SpreadRelaxation
from so3lab.minima.unfinished import Unfinished
from so3lab.minimize import Relaxed, minimize
from so3lab.potential.potential import Potential

ROUND = 32
"""Proposals of a round."""
VISITS_TO_JUDGE = 20
"""Below which nothing is said of saturation."""
Relax = Callable[[Sequence[ase.Atoms]], Iterable[Relaxed]]


class Search:
    """A search for minima that can be stopped, stored and resumed.

    ``for account in Search(potential, atoms, out="minima.db").run(minutes=10): ...`` streams what became of each
    proposal; :attr:`minima` holds what has been found.

    Args:
        potential: A potential, or an :class:`~so3lab.engine.energy_model.EnergyModel` of any origin.
        atoms: Where the search begins: a molecule, several, or a cluster, without a cell.
        proposals: Names of proposers (:data:`so3lab.minima.proposals.NAMES`) or proposers of your own, which take
            turns; default: those that suit the structure.
        smiles: Of the compound, for embeddings.
        given: More structures of the compound, in any numbering, which are relaxed first.
        rule: When two minima are the same.
        out: Database, a file or a URL; None keeps the minima in memory.
        resume: Whether to go on with the same search in the database, if it is there.
        seed: Of all chances.
        max_force, max_gain_meV: When a relaxation has converged, see :func:`so3lab.minimize.minimize`.
        round_size: Proposals that are relaxed together.
        confirm: Whether what seems to be a new minimum is shaken and relaxed again, which finds out saddles.
        relax: Relaxes structures in place of :func:`so3lab.minimize.minimize`.
        executor: Relaxes them in pieces on other processes or machines, see
            :class:`~so3lab.minima.spreading.SpreadRelaxation`.

    Raises:
        ValueError: If an argument is not acceptable, or the database holds the same search and ``resume`` is false.
    """

    def __init__(
        self,
        potential: Potential | EnergyModel,
        atoms: ase.Atoms,
        *,
        proposals: Sequence[str | Proposer] = (),
        smiles: str | None = None,
        given: Sequence[ase.Atoms] = (),
        rule: DuplicateRule | None = None,
        out: str | Path | None = None,
        resume: bool = False,
        seed: int = 0,
        max_force: float = 0.01,
        max_gain_meV: float = 0.03,
        round_size: int = ROUND,
        confirm: bool = True,
        relax: Relax | None = None,
        executor: Workers | None = None,
    ):
        _check(atoms, seed, round_size)
        self.rule = rule or DuplicateRule()
        self.minima: list[Minimum] = []
        self.ledger = Ledger()
        self._start = atoms.copy()
        self._known = KnownMinima(self.rule)
        self._compound: Compound | None = None
        self._round = 0
        self._unfinished = Unfinished()
        self._seed, self._round_size, self._confirm = seed, round_size, confirm
        self._relax: Relax = relax or functools.partial(
            minimize, potential, max_force=max_force, max_gain_meV=max_gain_meV
        )
        self._spread = None if executor is None else SpreadRelaxation(executor, self._relax)
        check_electrons(given, atoms)
        self._proposers = _proposers(potential, atoms, proposals, smiles, given)
        self.settings: dict[str, Any] = {
            "model": checksum_of(potential),
            "start": checksum(atoms.numbers, atoms.positions),
            "seed": seed,
            "round_size": round_size,
            "confirm": confirm,
            "rule": asdict(self.rule),
            "minimiser": {"max_force": max_force, "max_gain_meV": max_gain_meV},
            "smiles": smiles or "",
            "proposers": [one.name for one in self._proposers],
            "given": checksum(*(one.positions for one in given)),
        }
        digest = hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode()).hexdigest()[:12]
        self.name = f"{SEARCH}{digest}"
        """The same for the same model, start, settings and seed."""
        self._database = None if out is None else MinimaDatabase(out)
        if self._database is not None:
            self._open(self._database, resume)

    def _open(self, database: MinimaDatabase, resume: bool) -> None:
        database.check_writable()
        stored = database.find(self.name)
        self._unfinished = Unfinished(
            None if stored is None else stored.running, functools.partial(database.keep, self.name)
        )
        if stored is None:
            if database.models() - {self.settings["model"]}:
                raise ValueError(f"{database.name} holds minima of another model than the one given; take another file")
            database.begin(self.name, self._start, self.settings)
            return
        if stored.progress and not resume:  # one that ended before its first round has nothing to go on with
            raise ValueError(
                f"{database.name} already holds this search, of the same model, start, settings and seed; go on with "
                "resume=True (--resume), or take another seed or another file"
            )
        for _, minimum, _ in database.minima(self.name):
            self._take_in(minimum)
        if progress := stored.progress:
            self._round = int(progress["round"])
            self.ledger = Ledger({origin: dict(counts) for origin, counts in progress["ledger"].items()})
            for proposer, state in zip(self._proposers, progress["proposers"], strict=True):
                proposer.restore(state)

    @property
    def unseen(self) -> float:
        """Estimated number of minima that are still to be found, see :func:`so3lab.minima.unseen`."""
        return unseen(one.visits for one in self.minima)

    @property
    def saturation(self) -> float:
        """Estimated share of the minima that have been found, 0 to 1; 0 while there are too few visits to say."""
        visits = [one.visits for one in self.minima]
        if sum(visits) < VISITS_TO_JUDGE:
            return 0.0
        return min(len(visits) / (len(visits) + self.unseen), 1.0 - visits.count(1) / sum(visits))

    def run(
        self,
        *,
        minutes: float | None = None,
        minima: int | None = None,
        proposals: int | None = None,
        saturation: float | None = None,
    ) -> Generator[Account]:
        """Search on, and yield what became of each proposal, once its round is stored; new minima are among them.

        It ends after the round in which a budget is used up, or when no proposer has anything to propose. Without
        a budget it goes on until it is closed.

        Args:
            minutes: From now.
            minima: Found in all.
            proposals: Made in all.
            saturation: Share of all minima that are estimated to have been found, such as 0.95.

        Raises:
            ValueError: If a budget is not positive, or the start does not relax to a minimum of its own compound.
        """
        check_budget(minutes=minutes, minima=minima, proposals=proposals, saturation=saturation)
        end = np.inf if minutes is None else time.monotonic() + 60.0 * minutes
        try:
            while not (
                time.monotonic() >= end
                or (minima is not None and len(self.minima) >= minima)
                or (proposals is not None and self.ledger.proposals >= proposals)
                or (saturation is not None and self.saturation >= saturation)
            ):
                accounts = self._next_round()
                if not accounts:
                    return
                yield from accounts
        finally:
            if self._spread is not None:
                self._spread.close()

    def _next_round(self) -> list[Account]:
        """Propose, relax, judge, store."""
        proposer, proposed = None, [Proposal(self._start, "start")]
        if self._round:
            proposer, proposed = self._proposed()
            if proposer is None:
                return []
        before, visits = len(self.minima), [one.visits for one in self.minima]
        relaxed = self._confirmed(self._relaxed([one.atoms for one in proposed]))
        accounts = [self._account(*of_one) for of_one in zip(proposed, relaxed, strict=True)]
        if proposer is not None:
            proposer.learn(self.minima, accounts)
        self._round += 1
        if self._database is not None:
            again = [one for one, old in zip(self.minima, visits, strict=False) if one.visits != old]
            self._database.commit(self.name, self.minima[before:], again, self._progress())
            self._unfinished.clear()
        return accounts

    def _proposed(self) -> tuple[Proposer | None, list[Proposal]]:
        """Proposals of the proposer whose turn it is; of the next one that has any."""
        rng = np.random.default_rng([self._seed, self._round])
        given = [one for one in self._proposers if isinstance(one, Given)]
        others = [one for one in self._proposers if not isinstance(one, Given)]
        turn = (self._round - 1) % max(1, len(others))
        for proposer in [*given, *others[turn:], *others[:turn]]:
            if found := proposer.propose(self.minima, self._round_size, rng):
                return proposer, found
        return None, []

    def _relaxed(self, structures: Sequence[ase.Atoms]) -> list[Relaxed | None]:
        """Each relaxed, in their order; None for those that are not made of the same atoms."""
        compound = self._compound
        usable = [n for n, atoms in enumerate(structures) if compound is None or compound.same_atoms(atoms)]
        result: list[Relaxed | None] = [None] * len(structures)
        for number in usable:
            result[number] = self._unfinished.find(structures[number])
        left = [number for number in usable if result[number] is None]
        if left:
            with self._unfinished.stored_if_interrupted():
                for one in (self._spread or self._relax)([structures[number] for number in left]):
                    result[left[one.number]] = one
                    self._unfinished.add(structures[left[one.number]], one)
        return result

    def _confirmed(self, relaxed: list[Relaxed | None]) -> list[Relaxed | None]:
        """What seems to be new shaken and relaxed again; where it then falls, it had not been a minimum."""
        compound = self._compound
        seems_new = [
            number
            for number, one in enumerate(relaxed)
            if one is not None
            and one.converged
            and (compound is None or judge(one, compound, self._known).outcome == "new")
        ]
        if not self._confirm or not seems_new:
            return relaxed
        rng = np.random.default_rng([self._seed, self._round, 1])
        again = self._relaxed([shaken(relaxed[number].atoms, rng) for number in seems_new])  # type: ignore[union-attr]
        result = list(relaxed)
        for number, second in zip(seems_new, again, strict=True):
            first = relaxed[number]
            assert first is not None
            if second is None or not second.converged:
                continue
            if second.energy < first.energy - self.rule.max_energy_difference:
                result[number] = second
        return result

    def _account(self, proposal: Proposal, relaxed: Relaxed | None) -> Account:
        number = self.ledger.proposals
        if relaxed is None:
            formula = proposal.atoms.get_chemical_formula()
            account = Account(
                number, proposal.origin, proposal.parent, proposal.walker, "reacted", proposal.atoms, np.nan,
                why=f"another compound, {formula}",
            )  # fmt: skip
            self.ledger.add(account)
            return account
        if self._compound is None:
            self._compound = self._compound_of(relaxed)
        verdict = judge(relaxed, self._compound, self._known)
        account = self._remembered(proposal, relaxed, verdict, number)
        self.ledger.add(account)
        return account

    def _remembered(self, proposal: Proposal, relaxed: Relaxed, verdict: Verdict, number: int) -> Account:
        match = verdict.match
        account = Account(
            number, proposal.origin, proposal.parent, proposal.walker, verdict.outcome, relaxed.atoms, relaxed.energy,
            mirrored=match is not None and match.mirrored, why=verdict.why,
        )  # fmt: skip
        if verdict.outcome == "new":
            image = None if match is None else match.number
            minimum = Minimum(
                len(self.minima), relaxed.atoms, relaxed.energy, proposal.origin, proposal.parent, mirror_image_of=image
            )
            self._take_in(minimum)
            return replace(account, minimum=minimum.number)
        if match is None:
            return account
        self.minima[match.number].visits += 1
        return replace(account, minimum=match.number, energy_difference=match.energy_difference, rmsd=match.rmsd)

    def _compound_of(self, relaxed: Relaxed) -> Compound:
        """The compound of the relaxed start.

        Raises:
            ValueError: If the start is no minimum, or has become another compound on the way.
        """
        compound = Compound(relaxed.atoms, self.rule.mirror_images == "merged")
        lasting = compound.has_bonds  # what the minimiser says of neighbours in a cluster is no reaction
        if not relaxed.converged or (lasting and relaxed.why != "converged"):
            raise ValueError(f"atoms must relax to a minimum of the same compound, but: {relaxed.sentence}")
        return compound

    def _take_in(self, minimum: Minimum) -> None:
        if self._compound is None:
            self._compound = Compound(minimum.atoms, self.rule.mirror_images == "merged")
        self._known.add(minimum.atoms, minimum.energy)
        self.minima.append(minimum)

    def _progress(self) -> dict[str, Any]:
        states = [proposer.state() for proposer in self._proposers]
        return {"round": self._round, "ledger": self.ledger.counts, "proposers": states}


def _proposers(
    potential: Potential | EnergyModel,
    atoms: ase.Atoms,
    proposals: Sequence[str | Proposer],
    smiles: str | None,
    given: Sequence[ase.Atoms],
) -> list[Proposer]:
    named = [one for one in proposals if isinstance(one, str)]
    own = [one for one in proposals if not isinstance(one, str)]
    made: list[Proposer] = [Given(given)] if given else []
    if named or not own:
        made += proposers_for(potential, atoms, names=named, smiles=smiles)
    return made + own


def check_budget(saturation: float | None = None, **budget: float | None) -> None:
    """Refuse a budget that is none.

    Args:
        saturation: Share of what there is that is estimated to have been found; None for no such budget.
        **budget: Others, by their names, such as ``minutes``.

    Raises:
        ValueError: If one is not positive, or the share does not lie between 0 and 1.
    """
    for name, value in budget.items():
        if value is not None and not value > 0:
            raise ValueError(f"{name} must be positive, or None for no such budget, got {value}")
    if saturation is not None and not 0 < saturation < 1:
        raise ValueError(f"saturation must lie between 0 and 1, got {saturation}")


def checksum_of(potential: Potential | EnergyModel) -> str:
    """Tells the energies of one model from those of another."""
    if isinstance(potential, Potential):
        return potential.checksum
    return checksum(*(np.asarray(leaf) for leaf in jax.tree.leaves(potential.parameters)))


def _check(atoms: ase.Atoms, seed: int, round_size: int) -> None:
    if not isinstance(atoms, ase.Atoms):
        raise TypeError(f"atoms must be one ase.Atoms, got {type(atoms).__name__}; more structures go to given=[...]")
    if not len(atoms):
        raise ValueError("atoms must hold at least one atom, got none")
    if atoms.pbc.any():
        raise ValueError(
            "atoms must not be periodic: minima of cells are not told apart yet; relax them with so3lab.minimize "
            "(so3lab relax), or take the cell away if it is none (--no-cell, atoms.pbc = False)"
        )
    if seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}")
    if round_size < 1:
        raise ValueError(f"round_size must be at least 1, got {round_size}")
