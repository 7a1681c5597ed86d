"""Which runs there are, and how they compare: a table, their curves in one picture, and what can be done with one."""

import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import ipywidgets as ipw
import pandas as pd
import plotly.graph_objects as go

from so3lab.training import read_curve, runs_table
from so3lab_widgets.figures import compared_runs
from so3lab_widgets.panels.job_bar import button
from so3lab_widgets.panels.message_line import MessageLine
from so3lab_widgets.panels.panel import close_all
from so3lab_widgets.plots.linked_figure import LinkedFigure
from so3lab_widgets.tables.linked_table import LinkedTable

_SHOWN = {
    "run": "run", "valid_force_mae_meV_A": "F valid_meV_A", "train_force_mae_meV_A": "F train_meV_A",
    "valid_energy_mae_meV": "E valid_meV", "train_energy_mae_meV": "E train_meV", "network": "network",
    "train": "train", "valid": "valid", "epochs": "epochs", "minutes": "minutes", "done": "done (%)", "data": "data",
    "trouble": "trouble",
}  # fmt: skip
"""Columns of the table of runs, as they are shown."""


class RunsPart(ipw.VBox):
    """The runs of a folder.

    Args:
        folder: Where they are kept.
        on_open, on_resume, on_fine_tune: Called with the name of the run that somebody has chosen: to look at it, to go
            on with it, to begin another with its model.
        on_line: Called with the line of Python for what somebody did.

    Attributes:
        table: The runs; the one that is looked at is meant by the buttons, those that are selected are compared.
        message: What cannot be done.
        figure: Curves of the chosen runs, None where none is.
    """

    def __init__(
        self,
        folder: Path,
        on_open: Callable[[str], None],
        on_resume: Callable[[str], None],
        on_fine_tune: Callable[[str], None],
        on_line: Callable[[str], None],
    ):
        self.folder, self._on_line = folder, on_line
        self._lock = threading.RLock()  # a run that ends looks again from its own thread
        self._reading, self._told = False, list[str]()
        self.figure: LinkedFigure | None = None
        self.message = MessageLine()
        self.table = LinkedTable("run", height=190)
        self.table.observe(lambda change: self.message.try_to(self._compare), ["current", "selected"])
        acts = (
            ("Open", "folder-open", "look at this run, and take its best model in hand", on_open),
            ("Go on", "play", "go on from its newest checkpoint", on_resume),
            ("Fine-tune", "graduation-cap", "begin another run with its model", on_fine_tune),
        )
        self.buttons = {
            words: button(words, icon, tip, lambda act=act: self.message.try_to(lambda: act(self.one())))  # type: ignore[misc]
            for words, icon, tip, act in acts
        }
        again = button("Look again", "refresh", "read the folder anew", self.refresh)
        row = ipw.HBox([*self.buttons.values(), again], layout=ipw.Layout(flex_flow="row wrap"))
        self._plot = ipw.VBox(layout=ipw.Layout(min_width="0"))
        super().__init__([self.table, row, self.message, self._plot])
        self.refresh()

    @property
    def chosen(self) -> list[str]:
        """The runs that are selected, or the one that is looked at where none is."""
        return self._names(self.table.selected or [row for row in (self.table.current,) if row >= 0])

    def choose(self, *runs: str) -> None:
        """Look at one run, or select several to be compared.

        Raises:
            ValueError: If there is no such run.
        """
        known = self._names(range(len(self.table.table)))
        for run in runs:
            if run not in known:
                raise ValueError(f"run must be one of {', '.join(known) or 'none yet'}, got {run!r}")
        self._turn_to(runs[0] if runs else None, runs if len(runs) > 1 else ())

    def one(self) -> str:
        """The run that is looked at.

        Raises:
            ValueError: If none is.
        """
        if self.table.current < 0:
            raise ValueError("choose a run first: click its row")
        return self._names([self.table.current])[0]

    def refresh(self) -> None:
        """Read the folder anew."""
        with self._lock:
            self.message.try_to(self._read)

    def picture(self) -> go.Figure:
        """Curves of the chosen runs, or of all where none is chosen, as a plain figure.

        Raises:
            ValueError: If none of them has an epoch yet.
        """
        names = self.chosen or self._names(range(len(self.table.table)))
        tables = {name: read_curve(self.folder / name) for name in names}
        return compared_runs({name: table for name, table in tables.items() if len(table)})

    def close(self) -> None:
        """Take the part away."""
        if self.figure is not None:
            self.figure.close()
        super().close()

    def _names(self, rows: Iterable[int]) -> list[str]:
        return [str(self.table.table["run"].iloc[row]) for row in rows]

    def _turn_to(self, one: str | None, several: Sequence[str]) -> None:
        """Look at a run, and compare several."""
        known = self._names(range(len(self.table.table)))
        with self._lock, self.table.hold_trait_notifications():
            self.table.selected = [known.index(run) for run in several]
            self.table.current = -1 if one is None else known.index(one)

    def _read(self) -> None:
        """Show what the folder holds now; what was looked at and selected stays so, wherever its rows are."""
        runs = runs_table(self.folder)
        known = set(runs["run"])
        one = [run for run in self._names([self.table.current] if self.table.current >= 0 else []) if run in known]
        several = [run for run in self._names(self.table.selected) if run in known]
        shown = runs[[name for name in _SHOWN if name != "trouble" or runs["trouble"].any()]].rename(columns=_SHOWN)
        shown["done (%)"] = (100.0 * shown["done (%)"].astype(float)).round()
        self._reading = True
        try:
            self.table.show(shown)
            self._turn_to(one[0] if one else None, several)
        finally:
            self._reading = False
        self._compare()
        if runs.empty:
            self.message.say(f"no runs in the folder {self.folder} yet")

    def _compare(self) -> None:
        """Draw the curves of what is chosen; what cannot be read is said, and keeps nobody from the others."""
        if self._reading:
            return
        with self._lock:
            before, self.figure = self.figure, None
            chosen = self.chosen
            if chosen and chosen != self._told:
                self._on_line(f"panel.runs_part.choose({', '.join(map(repr, chosen))})")
            self._told = chosen
            curves = {run: curve for run in chosen if (curve := self._curve(run)) is not None and len(curve)}
            if curves:
                self.figure = LinkedFigure(compared_runs(curves))
            self._plot.children = () if self.figure is None else (self.figure,)
        if before is not None:
            close_all(before)

    def _curve(self, run: str) -> pd.DataFrame | None:
        try:
            return read_curve(self.folder / run)
        except (ValueError, OSError) as error:
            self.message.warn(error)
            return None
