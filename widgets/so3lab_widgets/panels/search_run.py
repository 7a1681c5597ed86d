"""The search behind a panel: how it is made from the form, commanded, gone on with, and what it says of itself."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
from ase import Atoms

from so3lab.minima import Minimum, Search
from so3lab.minima.accounts import Account
from so3lab_widgets.panels.attempt import Attempt, Attempts
from so3lab_widgets.panels.job_bar import JobBar
from so3lab_widgets.panels.search_form import SearchForm
from so3lab_widgets.running.jobs import Job
from so3lab_widgets.viewer.frame_source import check_size


class SearchRun:
    """A search that can be started, paused and gone on with; it draws nothing itself.

    Args:
        form: What it is made from.
        search: Makes a search, as :class:`so3lab.minima.Search` does.
        bar: Shows the job.
        name: Of the job.
        on_news: Called in the job's thread when something has become of a proposal.
        on_state: Called when it runs, waits or has ended.

    Attributes:
        search: The newest one, None before it is made.
        where: The database in which it keeps what it finds; nothing for memory.
        found: One row per proposal: ``relaxations`` so far, minima ``found``, and how many are ``unseen``.
    """

    def __init__(
        self,
        form: SearchForm,
        *,
        search: Callable[..., Search],
        bar: JobBar,
        name: str,
        on_news: Callable[[Account], None],
        on_state: Callable[[Job], None],
    ):
        self.form, self._make_search, self._bar, self._on_news = form, search, bar, on_news
        self.search: Search | None = None
        self.where = ""
        self._made_for: tuple[Any, ...] = ()
        self._rows: list[tuple[int, int, float]] = []
        self._seen: set[int] = set()
        self._lock = threading.Lock()
        self.attempts = Attempts(
            self._prepare, lambda: (form.wanted, *form.budget().items()), bar=bar, name=name, on_item=self._take,
            on_state=on_state,
        )  # fmt: skip

    @property
    def job(self) -> Job | None:
        """What runs it."""
        return self.attempts.job

    @property
    def minima(self) -> list[Minimum]:
        """What has been found so far, in the order in which it was found."""
        return [] if self.search is None else list(self.search.minima)

    @property
    def found(self) -> pd.DataFrame:
        """How the number of minima grew."""
        with self._lock:
            return pd.DataFrame(self._rows, columns=["relaxations", "found", "unseen"])

    @property
    def words(self) -> str:
        """How far it is."""
        search = self.search
        if search is None:
            return "loading and compiling" if self.job is not None and not self.job.ended else ""
        count = len(search.minima)
        if not count:
            return "relaxing the start"
        share = f" · {100 * search.saturation:.0f} % found" if search.saturation else ""
        relaxed = f"{search.ledger.proposals:,} relaxations"
        return f"{count:,} minim{'um' if count == 1 else 'a'} · about {search.unseen:.0f} unseen{share} · {relaxed}"

    def refuse_while_running(self) -> None:
        """Let nothing else change what is shown.

        Raises:
            ValueError: If a search runs.
        """
        job = self.job
        if job is not None and job.state == "running" and not job.pausing:
            raise ValueError("a search runs; pause or stop it first")

    def relax(self, atoms: Atoms, where: str) -> Minimum:
        """Relax a structure, as the start of a search of its own, and keep it where minima are kept.

        Args:
            atoms: Such as a frame of a run.
            where: Database to keep it in; nothing for none.

        Raises:
            ValueError: If it is no minimum of the compound that it was, or a search runs.
        """
        self.refuse_while_running()
        bare = Atoms(atoms.numbers, atoms.positions, info=dict(atoms.info))
        search = self._make_search(self.form.system.load()[0], bare, out=where or None, resume=True)
        for _ in search.run(proposals=1):
            pass
        return search.minima[0]

    def _prepare(self, attempt: Attempt) -> Iterator[Account]:
        """In the job's thread: read, load and compile, or take up the search in hand; then proposals as they come."""
        wanted, budget = self.form.wanted, self.form.budget()
        search, where = (self.search, self.where) if wanted == self._made_for else (None, "")
        if search is None:
            potential, structure = self.form.system.load()
            check_size(structure)
            where = self.form.database
            search = self._make_search(
                potential, structure, proposals=self.form.names, smiles=self.form.smiles, seed=self.form.seed.value,
                out=where or None, resume=True,
            )  # fmt: skip
        if not attempt.change(lambda: self._become(search, wanted, where)):
            return iter(())
        self._bar.refresh()
        return search.run(**budget)

    def _become(self, search: Search, wanted: tuple[Any, ...], where: str) -> None:
        if search is not self.search:
            with self._lock:
                self._rows, self._seen = [], {one.number for one in search.minima}
            self.form.system.tell()
        self.search, self._made_for, self.where = search, wanted, where

    def _take(self, account: Account) -> None:
        search = self.search
        if search is None:
            return
        if account.minimum is not None:
            self._seen.add(account.minimum)
        with self._lock:
            self._rows.append((account.proposal + 1, len(self._seen), search.unseen))
        self._on_news(account)
