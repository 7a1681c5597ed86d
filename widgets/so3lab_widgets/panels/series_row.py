"""What can be drawn over time: numbers that a run has stored and those measured on it, each with a button."""

import threading
from collections.abc import Callable, Iterator

import ipywidgets as ipw
import numpy as np
import pandas as pd
from ase import Atoms

from so3lab_widgets.panels.frame_plot import Series
from so3lab_widgets.panels.frames_row import AnyFrames
from so3lab_widgets.panels.message_line import MessageLine
from so3lab_widgets.panels.panel import close_all
from so3lab_widgets.panels.picked_series import RMSD, column_of, measured, rmsd_of
from so3lab_widgets.running.jobs import Job
from so3lab_widgets.theme import PALETTE, label

_SHOWN_FIRST = ("temperature", "potential_energy", "total_energy")
_NOT_SERIES = ["step", "time_fs"]


class SeriesRow(ipw.HBox):
    """A button for every series of a trajectory; RMSD and series of picked atoms are measured in a thread.

    RMSD, of molecules that no cell cuts, is measured when its button is pressed for the first time.

    Args:
        on_change: Called when other series are to be drawn, from whatever thread.
        message: Says how far a measurement is, and what went wrong.

    Attributes:
        series: All series by column.
        stored: Columns of those that the file holds.
    """

    def __init__(self, on_change: Callable[[], None], message: MessageLine, name: str):
        self.series: dict[str, Series] = {}
        self.stored: list[str] = []
        self._on_change, self._message = on_change, message
        self._lock = threading.RLock()
        self._name = name
        self._trajectory: AnyFrames | None = None
        self._buttons: dict[str, ipw.ToggleButton] = {}
        self._jobs: dict[str, Job] = {}
        self._last_pick: tuple[int, ...] = ()
        super().__init__(layout=ipw.Layout(flex_flow="row wrap"))

    @property
    def shown(self) -> dict[str, Series]:
        """The series whose buttons are pressed."""
        with self._lock:
            return {
                name: self.series[name]
                for name, button in self._buttons.items()
                if button.value and name in self.series
            }

    def load(self, trajectory: AnyFrames, table: pd.DataFrame) -> None:
        """Offer the numbers of other frames; temperature and energies are shown first.

        Args:
            trajectory: The frames, in which more can be measured.
            table: One row per frame.
        """
        self.give_up()
        first = [name for name in _SHOWN_FIRST if name in table]
        before = self.children
        with self._lock:
            self._trajectory, self._last_pick = trajectory, ()
            self.stored = list(dict.fromkeys([*first, *table.columns.difference(_NOT_SERIES, sort=False)]))
            self.series, self._buttons = {}, {}
            for number, name in enumerate(self.stored):
                self._offer(name, table[name].to_numpy(float), number < max(1, len(first)))
            if not any(trajectory.pbc) and len(trajectory.atomic_numbers) > 2 and len(trajectory) > 1:
                self._add_button(RMSD, False, "Draw the RMSD of all atoms from the first frame, superposed on it (Å)")
        close_all(*before)

    def show(self, name: str, shown: bool = True) -> None:
        """Press the button of a series, or release it."""
        self._buttons[name].value = shown

    def measure(self, atoms: tuple[int, ...]) -> str:
        """Measure a distance, an angle or a dihedral in every frame, and show it; returns its column.

        Raises:
            ValueError: If these are not two to four different atoms of the trajectory.
        """
        trajectory = self._trajectory
        assert trajectory is not None
        column = self._column(atoms)
        if column in self.series:
            self.show(column)
        else:
            self._measure(column, lambda: measured(trajectory, atoms), circular=len(atoms) == 4)
        return column

    def _measure(self, column: str, blocks: Callable[[], Iterator[np.ndarray]], circular: bool = False) -> None:
        """Measure in a thread, and show what was found."""
        assert self._trajectory is not None
        values: list[np.ndarray] = []
        count = len(self._trajectory)

        def collect(block: np.ndarray) -> None:
            values.append(block)
            done = sum(map(len, values)) / count
            self._message.say(f"{label(column)}: {done:.0%} of {count:,} frames measured")

        def finish(job: Job) -> None:
            if job.state == "finished" and self._jobs.get(column) is job:
                self._message.clear()
                with self._lock:
                    self._offer(column, np.concatenate(values), True, circular)
                self._on_change()
            elif job.state == "failed":
                self._message.warn(f"{label(column)}: {job.error}")

        job = Job(blocks, on_item=collect, name=f"{self._name} {column}")
        job.subscribe(finish)
        self._jobs[column] = job
        job.start()

    def pick(self, atoms: tuple[int, ...]) -> str | None:
        """Measure what somebody has picked; while they go on picking, the longer chain replaces the shorter one."""
        before, self._last_pick = self._last_pick, atoms
        if self._trajectory is None or len(atoms) < 2:
            return None
        if len(before) >= 2 and atoms[: len(before)] == before:
            self._forget(self._column(before))
        return self.measure(atoms)

    def give_up(self) -> list[Job]:
        """Measure nothing more; returns the jobs that end now."""
        jobs, self._jobs = self._jobs, {}
        for job in jobs.values():
            job.stop(wait=False)
        return list(jobs.values())

    def _column(self, atoms: tuple[int, ...]) -> str:
        assert self._trajectory is not None
        return column_of(Atoms(self._trajectory.atomic_numbers).get_chemical_symbols(), atoms)

    def _offer(self, column: str, values: np.ndarray, shown: bool, circular: bool = False) -> None:
        self.series[column] = Series(column, values, PALETTE[len(self.series) % len(PALETTE)], circular)
        if column not in self._buttons:
            self._add_button(column, shown, f"Draw {label(column)}")

    def _add_button(self, column: str, shown: bool, tip: str) -> None:
        words = label(column).partition(" (")[0]
        button = ipw.ToggleButton(shown, description=words, tooltip=tip, layout=ipw.Layout(width="auto"))
        button.observe(lambda _: self._on_button(column), "value")
        self._buttons[column] = button
        self.children = list(self._buttons.values())

    def _on_button(self, column: str) -> None:
        trajectory = self._trajectory
        if column == RMSD and column not in self.series and trajectory is not None:
            if column not in self._jobs:
                self._measure(column, lambda: rmsd_of(trajectory))
        else:
            self._on_change()

    def _forget(self, column: str) -> None:
        with self._lock:
            if column in self._jobs:
                self._jobs.pop(column).stop(wait=False)
            if self.series.pop(column, None) is not None:
                button = self._buttons.pop(column)
                self.children = list(self._buttons.values())
                close_all(button)
