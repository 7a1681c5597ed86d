"""How somebody looks through a run: the molecule and its numbers over time, linked in both directions."""

import html
import itertools
import os
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ipywidgets as ipw
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from ase import Atoms

from so3lab.trajectory import Trajectory
from so3lab_widgets.code_line import CodeLine
from so3lab_widgets.frame_choice import FrameChoice, save_frames, save_text
from so3lab_widgets.frame_plot import FramePlot, Series
from so3lab_widgets.jobs import Job
from so3lab_widgets.picked_series import code_for, column_of, measured
from so3lab_widgets.pump import Pump
from so3lab_widgets.theme import PALETTE, label
from so3lab_widgets.viewer import Viewer

_SHOWN_FIRST = ("temperature", "potential_energy", "total_energy")
_NOT_SERIES = ["step", "time_fs"]
_numbers = itertools.count(1)


class TrajectoryPanel(ipw.VBox):
    """Open a trajectory file and scrub through it.

    Pointing at a curve or clicking it moves the molecule, and the player moves a line in the curves. Dragging over the
    curves chooses frames, which can be saved. Picking two to four atoms adds their distance, angle or dihedral in every
    frame, computed in a thread. Whatever cannot be done is said in a sentence within the panel.

    Args:
        trajectory: File that so3lab wrote, or an open one; frames are read when they are looked at.
        height: Of the molecule in pixels.

    Attributes:
        viewer: The molecule; set ``viewer.frame`` to move, ``viewer.picked`` to measure.
        plot: The curves; None before a file is open.
        choice: Which frames are chosen.
        series: Everything that can be drawn over time, by column.
    """

    def __init__(self, trajectory: str | os.PathLike | Trajectory | None = None, *, height: int = 420):
        self.trajectory: Trajectory | None = None
        self.plot: FramePlot | None = None
        self.series: dict[str, Series] = {}
        self.viewer = Viewer(height=height)
        self._name = f"trajectory panel {next(_numbers)}"
        self._jobs: dict[str, Job] = {}
        self._stored: set[str] = set()
        self._lock = threading.RLock()  # callbacks come in several threads
        self._pointed_at = self._coded = -1
        self._last_pick: tuple[int, ...] = ()
        self._pump = Pump(self._follow, name="shown frame")
        self._make_controls()
        super().__init__([self._file_row, self._message, self._body])
        self.viewer.observe(lambda change: self._pump.put((change.new,)), "frame")
        self.viewer.observe(lambda change: self._on_pick(tuple(change.new)), "picked")
        if trajectory is not None:
            self.load(trajectory)

    def load(self, trajectory: str | os.PathLike | Trajectory) -> None:
        """Show another trajectory; what is wrong with it is said in the panel, which keeps what it shows."""
        try:
            if not isinstance(trajectory, str | os.PathLike | Trajectory):
                raise TypeError(f"trajectory must be a file or an open Trajectory, got {trajectory!r}")
            opened = trajectory if isinstance(trajectory, Trajectory) else Trajectory(trajectory)
            if not len(opened):
                raise ValueError(
                    f"{opened.path} has no frames yet; open it again when its run has written some"
                )
            self.viewer.show(opened)
            with self._lock:
                self._show(opened)
        except (OSError, TypeError, ValueError) as error:
            self._say(_sentence(error), wrong=True)

    def add(self, *atoms: int) -> None:
        """Measure a distance (two atoms), an angle (three) or a dihedral (four) in every frame, and draw it.

        Raises:
            ValueError: If no trajectory is open, or the atoms are not two to four different ones of it.
        """
        trajectory = self._opened()
        column = column_of(Atoms(trajectory.atomic_numbers).get_chemical_symbols(), atoms)
        self._code.code = code_for(str(trajectory.path), column, atoms)
        if column in self.series:
            self._toggles[column].value = True
            return
        values: list[np.ndarray] = []
        count = len(trajectory)

        def collect(block: np.ndarray) -> None:
            values.append(block)
            done = sum(map(len, values)) / count
            self._say(f"{label(column)}: {done:.0%} of {count:,} frames measured")

        def finish(job: Job) -> None:
            if job.state == "finished":
                self._say("")
                self._add_series(job, column, np.concatenate(values), len(atoms) == 4)
            elif job.state == "failed":
                self._say(f"{label(column)}: {job.error}", wrong=True)

        self._run(column, lambda: measured(trajectory, atoms), collect, finish)

    def choose(self, first: int, stop: int, every: int = 1) -> None:
        """Choose the frames from ``first`` to before ``stop``."""
        self.choice.choose(first, stop, every)

    def table(self) -> pd.DataFrame:
        """The chosen frames, one per row, with everything that was measured."""
        trajectory = self._opened()
        table = pd.DataFrame({"step": trajectory.steps, "time_fs": trajectory.times_fs}).rename_axis("frame")
        return table.assign(**{column: one.values for column, one in self.series.items()})[self.choice.chosen]

    def figure(self) -> go.Figure:
        """The curves as they are drawn, as a plain figure."""
        self._opened()
        assert self.plot is not None
        return go.Figure(self.plot.figure)

    def close(self) -> None:
        """Take the panel away: its threads end, its file is let go."""
        if "_body" not in vars(self):  # a panel that could not be made is closed by Python all the same
            return
        for job in self._jobs.values():
            job.stop()
        self._pump.close()
        if self.plot is not None:
            self.plot.close()
        self.viewer.close()
        self.trajectory = None
        super().close()

    def _make_controls(self) -> None:
        self.path = ipw.Text(
            placeholder="run.h5", description="Trajectory", layout=ipw.Layout(flex="1 1 300px")
        )
        self.open_button = ipw.Button(description="Open", layout=ipw.Layout(width="80px"))
        self.open_button.on_click(lambda _: self.load(self.path.value))
        self._file_row = ipw.HBox([self.path, self.open_button])
        self._message, self._readout = ipw.HTML(), ipw.HTML()
        self._follows = ipw.Checkbox(True, description="Molecule follows the pointer", indent=False)
        self._follows.layout.width = "230px"
        self._toggles: dict[str, ipw.ToggleButton] = {}
        self._toggle_row = ipw.HBox(layout=ipw.Layout(flex_flow="row wrap"))
        self._plot_box = ipw.VBox(layout=ipw.Layout(flex="3 1 430px", min_width="0"))
        self.choice = FrameChoice(self._on_choice, self.save, self._on_zoom)
        self._code = CodeLine()
        molecule = ipw.VBox([self.viewer], layout=ipw.Layout(flex="2 1 380px", min_width="0"))
        both = ipw.HBox(
            [molecule, self._plot_box], layout=ipw.Layout(flex_flow="row wrap", grid_gap="0 12px")
        )
        head = ipw.HBox(
            [self._toggle_row, self._follows], layout=ipw.Layout(flex_flow="row wrap", align_items="center")
        )
        self._body = ipw.VBox([head, both, self._readout, self.choice, self._code])
        self._body.layout.display = "none"

    def _opened(self) -> Trajectory:
        if self.trajectory is None:
            raise ValueError("no trajectory is open; call load(path) first")
        return self.trajectory

    def _show(self, trajectory: Trajectory) -> None:
        """Draw a trajectory that was opened, in place of the one before."""
        for job in self._jobs.values():
            job.stop(wait=False)
        self._jobs.clear()
        table, before = trajectory.table(), self.plot
        self.trajectory = trajectory
        shown = [name for name in _SHOWN_FIRST if name in table]
        names = dict.fromkeys([*shown, *table.columns.difference(_NOT_SERIES, sort=False)])
        self.series, self._stored = {}, set(names)
        for name in names:
            self.series[name] = Series(name, table[name].to_numpy(float), self._next_colour())
        self._last_pick = ()
        self.plot = FramePlot(0.001 * table["time_fs"].to_numpy(float), self._on_point, self.choose)
        self._toggles = {}
        self._coded = self.viewer.frame
        for number, name in enumerate(self.series):
            self._add_toggle(name, number < max(1, len(shown)))
        self._draw()
        self._plot_box.children = [self.plot.figure]
        if before is not None:
            before.close()
        self.path.value = str(trajectory.path)
        self.choice.reset(len(trajectory))
        self._code.code = f"panel = so3lab.widgets.TrajectoryPanel({str(trajectory.path)!r})"
        self._body.layout.display = ""
        self._say("")
        self._pump.put((self.viewer.frame,))

    def _add_toggle(self, name: str, shown: bool) -> None:
        toggle = ipw.ToggleButton(shown, description=self.series[name].words, tooltip=f"Draw {label(name)}")
        toggle.layout.width = "auto"
        self._toggles[name] = toggle
        self._toggle_row.children = list(self._toggles.values())
        toggle.observe(lambda _: self._on_toggle(), "value")

    def _next_colour(self) -> str:
        return PALETTE[len(self.series) % len(PALETTE)]

    def _add_series(self, job: Job, column: str, values: np.ndarray, circular: bool) -> None:
        """Draw what a job has measured, unless it is not wanted any more."""
        with self._lock:
            if self._jobs.get(column) is not job:
                return
            self.series[column] = Series(column, values, self._next_colour(), circular)
            self._add_toggle(column, True)
            self._draw()
        self._pump.put((self.viewer.frame,))

    def _draw(self) -> None:
        assert self.plot is not None
        with self._lock:
            self.plot.draw(
                {name: self.series[name] for name, toggle in self._toggles.items() if toggle.value}
            )

    def _on_toggle(self) -> None:
        self._draw()
        names = [name for name, toggle in self._toggles.items() if toggle.value and name in self._stored]
        listed = "".join(f", {name!r}" for name in names)
        self._code.code = f"so3lab.widgets.figures.time_series({self._file()}.table(){listed})"

    def _on_point(self, frame: int, how: str) -> None:
        if how == "click" or (self._follows.value and not self.viewer.playing):
            self._pointed_at = frame if how == "hover" else -1
            self.viewer.frame = frame
        if how == "click":
            self._code.code = f"atoms = {self._file()}[{frame}]"

    def _on_pick(self, atoms: tuple[int, ...]) -> None:
        """Picked atoms are measured; while somebody goes on picking, the longer chain replaces the shorter one."""
        before, self._last_pick = self._last_pick, atoms
        if self.trajectory is None or len(atoms) < 2:
            return
        if len(before) >= 2 and atoms[: len(before)] == before:
            self._forget(before)
        self.add(*atoms)

    def _forget(self, atoms: tuple[int, ...]) -> None:
        column = column_of(Atoms(self._opened().atomic_numbers).get_chemical_symbols(), atoms)
        with self._lock:
            if column in self._jobs:
                self._jobs.pop(column).stop(wait=False)
            if self.series.pop(column, None) is not None:
                self._toggles.pop(column)
                self._toggle_row.children = list(self._toggles.values())

    def _on_choice(self) -> None:
        assert self.plot is not None
        chosen = self.choice.chosen
        self.plot.choose(
            *((0, 0) if chosen.stop - chosen.start >= len(self._opened()) else (chosen.start, chosen.stop))
        )
        self._code.code = f"frames = {self._file()}[{chosen.start}:{chosen.stop}:{chosen.step}]"

    def _on_zoom(self, closer: bool) -> None:
        assert self.plot is not None
        if closer:
            self.plot.zoom(self.choice.chosen.start, self.choice.chosen.stop)
        else:
            self.plot.zoom_out()

    def save(self, what: str) -> None:
        """Write the chosen ``"frames"``, their ``"table"`` or the ``"figure"``, named as the panel's field says."""
        endings = {"frames": self.choice.ending.value, "table": ".csv", "figure": ".html"}
        target = Path(f"{self.choice.stem.value or 'frames'}{endings[what]}")
        source, chosen = self._opened().path, _of_file(self._opened(), self.choice.chosen)
        work: dict[str, tuple[Callable[[], str], str]] = {
            "frames": (
                lambda: save_frames(source, target, chosen),
                f"so3lab.trajectory.export({str(source)!r}, {str(target)!r}, {chosen})",
            ),
            "table": (lambda: save_text(target, self.table().to_csv()), f"panel.table().to_csv({str(target)!r})"),
            "figure": (
                lambda: save_text(target, self.figure().to_html()), f"panel.figure().write_html({str(target)!r})"
            ),
        }  # fmt: skip
        function, self._code.code = work[what]
        self._say(f"Writing {target} …")

        def finish(job: Job) -> None:
            if job.state == "failed":
                self._say(_sentence(job.error or ""), wrong=True)

        self._run("save", lambda: iter([function()]), self._say, finish)

    def _run(
        self,
        what: str,
        task: Callable[[], Iterator[Any]],
        on_item: Callable[[Any], None],
        on_change: Callable[[Job], None],
    ) -> None:
        job = Job(task, on_item=on_item, name=f"{self._name} {what}")
        job.subscribe(on_change)
        self._jobs[what] = job
        job.start()

    def _file(self) -> str:
        return f"so3lab.trajectory.Trajectory({str(self._opened().path)!r})"

    def _follow(self, item: tuple[int]) -> None:
        """In the pump's thread: line and numbers of the frame that is shown."""
        (frame,) = item
        with self._lock:
            if self.trajectory is None or self.plot is None or frame >= len(self.trajectory):
                return
            self.plot.show_frame(frame)
            self._readout.value = self._sentence_about(frame)
            if not self.viewer.playing and frame not in (self._pointed_at, self._coded):
                self._code.code = f"atoms = {self._file()}[{frame}]"
            self._coded = frame
        self._pump.report(
            1
        )  # a line and a sentence cost the page little: nobody counts whether it painted them

    def _sentence_about(self, frame: int) -> str:
        assert self.plot is not None
        parts = [f"<b>frame {frame:,}</b> of {len(self._opened()):,}"]
        if self.plot.unit:
            parts.append(f"{self.plot.times[frame]:,.3f} {self.plot.unit}")
        parts += [html.escape(one.text(frame)) for one in self.plot.series.values()]
        return " · ".join(f'<span style="white-space: nowrap">{part}</span>' for part in parts)

    def _say(self, text: str, wrong: bool = False) -> None:
        mark = "border-left: 3px solid #d55e00; padding-left: 8px; font-weight: 600" if wrong else ""
        self._message.value = f'<span role="status" style="{mark}">{html.escape(text)}</span>' if text else ""


def _of_file(trajectory: Trajectory, chosen: slice) -> slice:
    """The chosen frames as the file counts them: a slice of a trajectory starts elsewhere."""
    frames = trajectory.frames[chosen]
    return slice(frames.start, frames.stop if frames.stop >= 0 else None, frames.step)


def _sentence(error: Exception | str) -> str:
    """What went wrong, without the numbers that operating systems give to errors."""
    return re.sub(r"^\[Errno \d+\] ", "", " ".join(str(error).split()))
