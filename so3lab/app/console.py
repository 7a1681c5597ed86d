"""How commands talk: progress and remarks on standard error, results on standard output, as tables or JSON."""

import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from rich import box
from rich.console import Console as RichConsole
from rich.measure import Measurement
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from so3lab.app.interrupts import interrupts_remembered
from so3lab.app.tables import EnergyUnit, for_people, number

if TYPE_CHECKING:
    import pandas

SECONDS_BETWEEN_LINES = 10.0
"""Where the output is not a terminal, progress is a line now and then instead of a bar."""

COLUMNS = 80
"""Width of tables where the output is not a terminal."""
_AS_IT_IS: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}
"""What is printed means nothing but itself: ``[H][H]`` is no style, and in ``smiles:O:`` there is no picture."""


class Interrupted(Exception):
    """The user stopped a command that has left everything in order; the message says how to go on."""


class Console:
    """Standard error for people, standard output for results.

    Args:
        json: Print results as JSON instead of tables and lines.
        unit: Of energies in tables and lines; JSON has them all.
    """

    def __init__(self, json: bool = False, unit: EnergyUnit = "meV"):
        self.json, self.unit = json, unit
        self._remarks = RichConsole(stderr=True, soft_wrap=True, **_AS_IT_IS)
        screen = sys.stdout.isatty()
        self._results = RichConsole(soft_wrap=not screen, width=None if screen else COLUMNS, **_AS_IT_IS)

    def say(self, text: str) -> None:
        """A remark."""
        self._remarks.print(text)

    def warn(self, text: str) -> None:
        """A remark that should not be overlooked."""
        self._remarks.print(text, style="yellow")

    def error(self, text: str) -> None:
        """Why a command failed and what to do."""
        text = re.sub(r"^\[Errno \d+\] ", "", text)  # the system's number for what the words say
        self._remarks.print(f"so3lab: {text}", style="red")

    def line(self, text: str, style: str = "") -> None:
        """A line of results; silent with ``--json``."""
        if not self.json:
            self._results.print(text, style=style, overflow="ignore", crop=False)

    def table(self, table: "pandas.DataFrame", title: str = "") -> None:
        """A table of results under headings for people; silent with ``--json``.

        Sentences fold at blanks; what has none, such as a name that will be copied, never does.
        """
        if self.json:
            return
        from pandas.api.types import is_numeric_dtype

        shown = for_people(table, self.unit)
        drawn = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
        for name in shown.columns:
            cells = [number(value) for value in shown[name]]
            longest_word = max((len(word) for text in [name, *cells] for word in text.split()), default=1)
            numeric = is_numeric_dtype(shown[name])
            drawn.add_column(name, justify="right" if numeric else "left", min_width=longest_word)
        for row in shown.itertuples(index=False):
            drawn.add_row(*(number(value) for value in row))
        least = Measurement.get(self._results, self._results.options.update(width=1000), drawn).minimum
        if title:
            self.line(title, "bold")
        self._results.print(drawn, width=max(self._results.width, least), crop=False)

    def result(self, values: Mapping[str, Any]) -> None:
        """The command's result as JSON, when that was asked for."""
        if self.json:
            print(json.dumps(_plain(values), indent=1))

    @contextmanager
    def progress(self, what: str) -> Iterator["ProgressLine"]:
        """A progress bar with remaining time, or lines now and then where there is no terminal.

        Until it ends, Ctrl-C and SIGTERM raise ``KeyboardInterrupt``, at the latest with the next update.
        """
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False),
            TextColumn("{task.fields[note]}", markup=False),
        )
        live = self._remarks.is_terminal
        with interrupts_remembered() as check, Progress(*columns, console=self._remarks, disable=not live) as bar:
            yield ProgressLine(self, bar, what, live, check)


class ProgressLine:
    """One task's progress."""

    def __init__(self, console: Console, bar: Progress, what: str, live: bool, check: Callable[[], None]):
        self._console, self._bar, self._what, self.live, self._check = console, bar, what, live, check
        self._task = bar.add_task(what, total=1.0, note="")
        self._first: tuple[float, float] | None = None
        self._next_line = 0.0
        self._ended = False

    def update(self, share: float, note: str = "") -> None:
        """Tell which share is done, 0 to 1, and a word about it.

        Raises:
            KeyboardInterrupt: If the command was interrupted.
        """
        self._check()
        self._bar.update(self._task, completed=share, note=note)
        now = time.monotonic()
        if share > 0 and self._first is None:  # a resumed task begins where it stood, and compilation is over
            self._first = (now, share)
        ended, self._ended = share >= 1.0 and not self._ended, share >= 1.0
        if not self.live and (now >= self._next_line or ended):
            began, before = self._first or (now, share)
            remaining = f", {(now - began) * (1.0 - share) / (share - before):.0f} s left" if share > before else ""
            self._console.say(f"{self._what}: {100 * share:.0f} %{remaining}  {note}")
            self._next_line = now + SECONDS_BETWEEN_LINES


def _plain(value: Any) -> Any:
    """Values that JSON knows."""
    if hasattr(value, "to_dict"):  # a table
        return [_plain(row) for row in value.to_dict("records")]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)
