"""The minima of a compound that somebody searches for, browses and compares: a molecule, a map and a table, linked."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import ipywidgets as ipw
import pandas as pd
from ase import Atoms

from so3lab.counting import counted
from so3lab.engine.energy_model import EnergyModel
from so3lab.landscape import Band, nudged_elastic_band
from so3lab.minima import Comparison, DuplicateRule, Minimum, Search
from so3lab.potential.potential import Potential
from so3lab_widgets.panels.code_line import CodeLine
from so3lab_widgets.panels.job_bar import JobBar
from so3lab_widgets.panels.later import Later
from so3lab_widgets.panels.minima_browser import MinimaBrowser
from so3lab_widgets.panels.minima_comparison import rule_in_python
from so3lab_widgets.panels.minima_figures import PATH
from so3lab_widgets.panels.minima_keeping import number_of
from so3lab_widgets.panels.minima_knobs import MinimaKnobs
from so3lab_widgets.panels.minima_reading import is_there, where_of
from so3lab_widgets.panels.minima_saving import MinimaSaving, write_structures
from so3lab_widgets.panels.minima_source import MinimaSource
from so3lab_widgets.panels.minima_table import MinimaTable
from so3lab_widgets.panels.panel import Panel, Runs, first_of
from so3lab_widgets.panels.search_form import SearchForm
from so3lab_widgets.panels.search_run import SearchRun
from so3lab_widgets.running.jobs import Job, stop_all
from so3lab_widgets.running.sender import LatestValueSender
from so3lab_widgets.session import Session
from so3lab_widgets.viewer.static_preview import SnapshotMixin
from so3lab_widgets.viewer.viewer import Viewer

_DRAWING_S = 300.0
"""Longest time to wait for the last drawing."""
_DRAWN_HZ = 3.0
"""How often maps and tables follow a search or a slider at most."""


class MinimaPanel(Panel):
    """Search for the minima of a compound, watch them arrive, and browse them.

    Pointing at a minimum, on the map or in the table, shows it; clicking stays with it; dragging over the map and
    words below the columns of the table leave some. Two that are selected are compared by the numbers that keep them
    apart; another rule gathers all that is stored anew. What cannot be done is said in a sentence within the panel, and
    the line below repeats in Python what was clicked.

    Args:
        model: Name of a bundled model, a model file, ``"so3lr"``, a potential, or an energy model such as
            :func:`so3lab.pretrained.lennard_jones`. Where it or the structure is not given it is the session's, or else
            ``"ala2"``.
        structure: ``Atoms``, or what :func:`so3lab.structures.read_structure` reads.
        database: Where minima are kept: a ``.db`` file, a URL of ``ase.db``, or an open
            :class:`so3lab.minima.MinimaDatabase`; what is in there is shown. The session's, or memory, unless given.
        charge: Total charge in e; None for what the structure says.
        temperature_K: Of the populations.
        reduced: Whether energies and lengths are in reduced units, as those of Lennard-Jones clusters are; by default,
            when the model is no :class:`~so3lab.potential.Potential`.
        height: Of the molecule in pixels.
        session: What is shared with other panels: loaded models, the structure, the database, picked atoms.
        search: Makes the search from what the fields say, as :class:`so3lab.minima.Search` does.
        connect: Finds paths, as :func:`so3lab.landscape.nudged_elastic_band` does.

    Attributes:
        form: Fields for compound, proposals, budgets, seed and file.
        run: The search and its job.
        browser: All that shows them, of which ``views``, ``figures``, ``comparison`` and ``paths`` are parts.
        viewer: The molecule.
        shared: The session.
        message: What goes on, and what stands against what was clicked.
    """

    def __init__(
        self,
        model: str | Potential | EnergyModel | None = None,
        structure: str | Atoms | None = None,
        *,
        database: Any = None,
        charge: float | None = None,
        temperature_K: float = 298.15,
        reduced: bool | None = None,
        height: int = 420,
        session: Session | None = None,
        search: Callable[..., Search] = Search,
        connect: Callable[..., Iterator[Band]] = nudged_elastic_band,
    ):
        self._connect = connect
        self.shared = session or Session()
        model = first_of(model, self.shared.potential, "ala2")
        structure = first_of(structure, self.shared.structure, "ala2")
        database = self.shared.minima if database is None else database
        self.reduced = isinstance(model, EnergyModel) if reduced is None else reduced
        self.form = SearchForm(model, structure, charge, self.shared.load, where_of(database))
        self._take_place("minima")
        self.rows = MinimaTable(self.reduced)
        self._make_controls(temperature_K, height)
        self.run = SearchRun(
            self.form, search=search, bar=self.bar, name=f"{self._name} search", on_news=lambda account: self._news(),
            on_state=self._on_state,
        )  # fmt: skip
        self._source = MinimaSource(self.run, self.browser)
        for name, place in self.form.fields.items():
            place.observe(lambda change, name=name: self._on_field(name, change.new), "value")
        super().__init__([self.form, self.bar, self._body])
        assert self._preview is not None
        self.viewer.observe(self._preview.schedule, "painted")
        self._stop_sharing = self.shared.share_picks(self.viewer)
        self._stop_following = self.shared.follow(self._on_session, "potential", "structure", "minima")
        self._show_code(f"panel = so3lab.widgets.MinimaPanel({self.form.arguments()})")
        if is_there(where_of(database)):
            self.message.try_to(lambda: self.load(where_of(database)))

    @property
    def minima(self) -> list[Minimum]:
        """What is shown, by number."""
        return self.views.minima

    @property
    def current(self) -> int | None:
        """Number of the minimum that is looked at."""
        return self.views.current

    @property
    def chosen(self) -> list[int]:
        """Numbers of the selected minima, or of all that pass the filters where none is selected."""
        return self.views.selected or self.views.left

    def start(self) -> None:
        """Search, or go on after a pause, or with the same search after its budget was used up.

        Raises:
            ValueError: If the panel has ended, or a field holds no number.
        """
        self._check_open()
        if self.run.attempts.begun:  # another database was looked at meanwhile
            self.form.file.value = self.run.where
        self._show_code("panel.start()")
        self.run.attempts.start()

    def pause(self) -> None:
        """Wait after the present proposal."""
        self._show_code("panel.pause()")
        self.run.attempts.pause()

    def stop(self, wait: bool = True) -> None:
        """End the search; what it has found stays.

        Args:
            wait: Whether to return only when it has ended.
        """
        self._show_code("panel.stop()")
        self.run.attempts.stop(wait)

    def wait(self) -> None:
        """Return when the search has ended, or waits, and all that it found is shown."""
        if self.run.job is not None:
            self.run.job.rest()
            self._updates.flush(_DRAWING_S)

    def load(self, database: Any) -> None:
        """Show what a database holds: the minima of all its searches, each once.

        Raises:
            ValueError: If a search runs, there is no such database, or its searches do not go together.
        """
        where = where_of(database)
        found = self._source.read(where)
        self.form.file.value = where
        self._source.take(found, where)
        if self.rows.without:
            self.message.warn(self.rows.without)
        self.shared.minima = where
        self._show_code(f"panel.load({where!r})")

    def apply(self, rule: DuplicateRule) -> None:
        """Gather all that is stored anew, by another rule for duplicates. What a search has merged stays merged.

        Raises:
            ValueError: If a search runs, or nothing is there.
        """
        before = len(self.minima)
        self._source.gather(rule)
        self.comparison.show_rule(rule)
        more = f"; {self.rows.without}" if self.rows.without else ""
        self.message.say(f"{counted(before, 'minimum')} before, {len(self.minima):,} by this rule{more}.")
        self._show_code(f"panel.apply({rule_in_python(rule)})")

    def relax(self, atoms: Atoms) -> None:
        """Relax a structure, such as a frame of a run, and keep what comes out among the minima that are shown.

        Where none are shown yet they are those of the database in the field.

        Raises:
            ValueError: If it is of another compound, relaxes to no minimum of its own, or a search runs.
        """
        if not self.minima and is_there(self.form.database):
            self.load(self.form.database)
        found = self._source.relax(atoms, self.form.database, self.comparison.rule)
        at = number_of(self.minima, found, self.comparison.rule)
        self.look_at(at)
        height = self.views.words_about(at).partition(" · ")[2]
        self.message.say(f"It relaxed to minimum {at}, {height}; kept in {self._source.where or 'memory'}.")

    def learn(self, training: Any) -> None:
        """Colour minima by how far they lie beyond a training set: the column ``novelty``, above 1 beyond it.

        Args:
            training: Name or file of a data set, a data set, or structures; None for no such column.

        Raises:
            ValueError: If there is no such set, or it knows nothing of the compound.
        """
        self.rows.learn(training)
        try:
            self.browser.draw(self.minima)
        except ValueError:  # it does not know the compound
            self.rows.learn(None)
            self.browser.draw(self.minima)
            raise
        if "novelty" in self.table():
            self.views.map.colour.value = "novelty"
            self.message.say(
                f"{(self.table()['novelty'] > 1).sum()} of {counted(len(self.minima), 'minimum')} lie beyond these "
                "data."
            )
        self._show_code(f"panel.learn({training!r})" if isinstance(training, str) else "panel.learn(training)")

    def look_at(self, number: int) -> None:
        """Show a minimum, and stay with it.

        Raises:
            ValueError: If there is no such one.
        """
        self.views.look_at(number)

    def select(self, numbers: Sequence[int]) -> None:
        """Select minima: they lie over the one that is looked at, two are compared, and they are what is saved."""
        self.views.select(numbers)

    def compare(self, first: int, second: int) -> Comparison:
        """Two minima side by side, by the rule in the fields."""
        return self.browser.compare(first, second)

    def path(self, first: int, second: int) -> Band:
        """The way of lowest energy between two minima, by a climbing nudged elastic band, which the panel then plays.

        Raises:
            ValueError: If there are no such minima, both are one, or a search runs.
        """
        self.run.refuse_while_running()
        ends = [self.atoms(first), self.atoms(second)]
        images = self.comparison.rule.mirror_images == "merged"
        band = next(self._connect(self.form.system.load()[0], [ends], mirror_images=images))
        self.paths.take(band, (first, second))
        self.figures.show(PATH)
        self.message.say(self.paths.sentence)
        self._show_code(f"panel.path({first}, {second})")
        return band

    def table(self) -> pd.DataFrame:
        """Properties of all minima, one row each."""
        return self.views.table.table

    def save(self, what: str) -> None:
        """Write the chosen ``"structures"``, their ``"table"``, the ``"figure"`` or the ``"session"``."""
        self.saving.save(what)

    def save_structures(self, path: str | Path) -> str:
        """Write the chosen minima with their energies and forces; returns a sentence about it.

        Raises:
            FileExistsError: If the file exists: nothing is replaced.
        """
        return write_structures(Path(path), [self.minima[number] for number in self.chosen])

    def session(self) -> str:
        """All that was clicked as lines of Python."""
        return self.code_line.script()

    def atoms(self, number: int | None = None) -> Atoms:
        """A minimum without its calculator; the one that is looked at unless told.

        Raises:
            ValueError: If there is none.
        """
        at = self.current if number is None else number
        if at is None or not 0 <= at < len(self.minima):
            raise ValueError("there is no minimum to begin with; search, or open a database")
        found = self.minima[at].atoms.copy()
        found.calc = None
        return found

    def use(self, number: int | None = None) -> None:
        """Make a minimum the structure of the session, with which its other panels begin.

        Raises:
            ValueError: If there is none.
        """
        at = self.current if number is None else number
        self.shared.structure = None  # the same minimum once more is news to a panel that has gone on
        self.shared.structure = self.atoms(at)
        self._show_code(f"panel.use({at})")
        self.message.say(f"Minimum {at} is the structure of the session now.")

    def close(self) -> None:
        """Take the panel away: the search ends, threads end, widgets close."""
        if not hasattr(self, "run"):  # refused before it was made
            return
        self._stop_following()
        self._stop_sharing()
        stop_all(self.give_up())
        self._updates.close()
        self.saving.close()
        self.browser.close()
        super().close()

    def _runs(self) -> list[Runs]:
        """What may be busy when the panel goes, and is waited for."""
        return [self.run.attempts, self._later, self.saving]

    def _snapshot_parts(self) -> list[SnapshotMixin]:
        """What a picture of the panel shows."""
        return [self.viewer, self.views.map.figure]

    def _make_controls(self, temperature_K: float, height: int) -> None:
        self.bar = JobBar(
            lambda: self.message.try_to(self.start), lambda: self.run.words, pause=self.pause,
            stop=lambda: self.stop(wait=False),
        )  # fmt: skip
        self.message, self.code_line = self.bar.message, CodeLine()
        self._show_code = self.code_line.show_code
        self._later = Later(self.message, f"{self._name} gather", "reading and comparing …")
        self._updates = LatestValueSender(self._refresh, _DRAWN_HZ, name=self._name)
        self.knobs = MinimaKnobs(
            reduced=self.reduced, temperature_K=temperature_K, on_use=lambda: self.message.try_to(self.use),
            on_open=lambda: self._later.do(lambda: self.load(self.form.file.value)),
        )  # fmt: skip
        self.temperature = self.knobs.temperature
        self.temperature.observe(lambda change: self._on_temperature(change.new), "value")
        self.knobs.training.observe(lambda change: self._later.do(lambda: self.learn(change.new.strip())), "value")
        self.browser = MinimaBrowser(
            self.rows, temperature=self.temperature.value, limits=self.knobs.limits, height=height,
            message=self.message, found=lambda: self.run.found, on_line=self._show_code,
            on_path=lambda first, second: self._later.do(lambda: self.path(first, second)),
            on_rule=lambda rule: self._later.do(lambda: self.apply(rule)),
        )  # fmt: skip
        self.views, self.figures, self.readout = self.browser.views, self.browser.figures, self.browser.readout
        self.comparison, self.paths = self.browser.comparison, self.browser.paths
        self.viewer: Viewer = self.views.viewer
        self.code_line.follow(self.viewer, "panel.viewer")
        self.saving = MinimaSaving(self, on_line=self._show_code, name=f"{self._name} save")
        self._body = ipw.VBox([self.knobs, self.browser, self.saving, self.code_line])

    def _news(self) -> None:
        self._updates.put((None,))

    def _refresh(self, _: Any) -> None:
        """In the sender's thread: bring all up to date; what fails is said, and the next one may do."""
        try:
            self._source.refresh()
            self.bar.refresh()
        except Exception as error:
            self.message.warn(f"the minima could not be drawn: {error}")
        self._updates.report(1)

    def _on_state(self, job: Job) -> None:
        """The search runs, waits or has ended."""
        if not job.ended:
            self._source.follow_search()
            return
        self._news()
        if self.run.search is not None and job.state != "failed":
            self.comparison.show_rule(self.run.search.rule)
            if self.run.where:
                self.shared.minima = self.run.where
            self._show_code("panel.wait()")

    def _on_temperature(self, value: float) -> None:
        self._show_code(f"panel.temperature.value = {value:g}")
        self.browser.at_temperature(value)
        self._news()

    def _on_field(self, name: str, value: Any) -> None:
        self._show_code(f"panel.form.{name}.value = {value!r}")
        self.bar.refresh()

    def _on_session(self, change: Any) -> None:
        """Somebody else wants another potential or structure, which Start begins with, or another database."""
        if change.new is None or self.shared.filling:
            return
        if change.name == "minima":
            where = where_of(change.new)
            if where != self._source.where:
                self._later.do(lambda: self.load(where))
        else:
            self.form.system.take(**{"model" if change.name == "potential" else "structure": change.new})
