"""How somebody looks through a run: the molecule and its numbers over time, linked in both directions."""

import html
import os
import threading
from collections.abc import Callable
from typing import Any

import ipywidgets as ipw
import numpy as np
import pandas as pd
import plotly.graph_objects as go

from so3lab import atom_properties
from so3lab.potential.potential import Potential
from so3lab.trajectory import Trajectory
from so3lab_widgets.panels.attention_choice import AttentionChoice
from so3lab_widgets.panels.attention_source import AttentionSource, heard_words
from so3lab_widgets.panels.code_line import CodeLine
from so3lab_widgets.panels.frame_choice import FrameChoice
from so3lab_widgets.panels.frame_map import FrameMap
from so3lab_widgets.panels.frame_plot import FramePlot
from so3lab_widgets.panels.frames_row import AnyFrames, FramesRow, Loaded, Source, load_frames
from so3lab_widgets.panels.frames_saving import FramesSaving, listed
from so3lab_widgets.panels.message_line import MessageLine
from so3lab_widgets.panels.panel import Panel, Runs
from so3lab_widgets.panels.picked_series import RMSD, code_for, code_for_rmsd
from so3lab_widgets.panels.series_row import SeriesRow
from so3lab_widgets.running.jobs import stop_all
from so3lab_widgets.running.sender import LatestValueSender
from so3lab_widgets.session import Session
from so3lab_widgets.viewer.colouring import Colouring
from so3lab_widgets.viewer.static_preview import SnapshotMixin
from so3lab_widgets.viewer.viewer import Viewer

_TEXT_HZ = 3.0
"""The molecule comes first: text is written less often, and always for the last frame."""


class TrajectoryPanel(Panel):
    """Open frames of any origin and scrub through them.

    Pointing at a curve or clicking it moves the molecule, and the player moves a line in the curves. Dragging over the
    curves chooses frames, which can be saved. Picking two to four atoms adds their distance, angle or dihedral in every
    frame, computed in a thread. Whatever cannot be done is said in a sentence within the panel.

    Args:
        trajectory: A file of so3lab or of any other program, an open one, a list of ``Atoms``, or a data set
            (:func:`so3lab.frames.open_frames`); frames are read when they are looked at. The session's unless given.
        topology: For files that hold positions alone, the same atoms with their elements.
        columns: Numbers to draw beside those that frames carry: a CSV file or a table, one row per frame.
        model: Name of a bundled model, a model file, ``"so3lr"``, or a potential: molecules can be coloured by what it
            says of each atom, and attention be drawn as links.
        height: Of the molecule in pixels.
        session: What is shared with other panels: the trajectory, the frame, picked atoms, loaded models. One of its
            own unless given.

    Attributes:
        shared: The session.
        viewer: The molecule; set ``viewer.frame`` to move, ``viewer.picked`` to measure.
        plot: The curves; None before a file is open.
        map: Any number of the frames against any other, in sight once ``map.button`` is pressed.
        choice: Which frames are chosen.
        row: Everything that can be drawn over time: ``row.series`` by column.
        saving: What can be saved.
        message: What goes on, and what cannot be done.
        readout: The numbers of the shown frame.
        follows: Whether the molecule follows the pointer.
        attention: Which attention links and colours show, in sight while atoms are coloured by it.
    """

    def __init__(
        self,
        trajectory: Source | None = None,
        *,
        topology: Any = None,
        columns: Any = None,
        model: str | Potential | None = None,
        height: int = 420,
        session: Session | None = None,
    ):
        self.shared = session or Session()
        self._potential = self.shared.load(model) if isinstance(model, str) else model
        self._with_model = f", model={model!r}" if isinstance(model, str) else ""
        self._take_place("trajectory")
        self.trajectory: AnyFrames | None = None
        self._loaded: Loaded | None = None
        self.plot: FramePlot | None = None
        self.viewer = Viewer(height=height, saves=False)
        self.message = MessageLine()
        self._pointed_at = self._coded = -1
        self._given: object = None  # the trajectory as somebody gave it
        self._lock = threading.RLock()  # callbacks come in several threads
        self._line = LatestValueSender(self._move_line, name="frame line")
        self._text = LatestValueSender(self._describe, _TEXT_HZ, "frame text")
        self._make_controls()
        self._source = (
            None if self._potential is None else AttentionSource(self._potential, lambda: self.attention.channel)
        )
        self._links = Colouring({}, self._source.links if self._source else None, self.message.warn)
        super().__init__([self.file_row, self.message, self._body])
        self.viewer.observe(lambda change: self._follow(change.new), "frame")
        self.viewer.observe(lambda change: self._on_pick(tuple(change.new)), "picked")
        self.viewer.observe(lambda change: self._on_colour(), "colour")
        self.viewer.observe(lambda change: self._let_line_follow(), "playing")
        self.code_line.follow(self.viewer, "panel.viewer")
        assert self._preview is not None
        self.viewer.observe(self._preview.schedule, "painted")
        self._stop_sharing = self.shared.share_picks(self.viewer)
        self._stop_following = self.shared.follow(self._on_session, "trajectory", "frame")
        if trajectory is None and self.shared.trajectory is not None:
            frame = self.shared.frame
            self.load(self.shared.trajectory)
            self._go_to(frame)
        elif trajectory is not None:
            self.load(trajectory, topology, columns)

    def load(self, trajectory: Source, topology: Any = None, columns: Any = None) -> None:
        """Show other frames; what is wrong with them is said in the panel, which keeps what it shows."""
        try:
            loaded = load_frames(trajectory, topology, columns)
            self.viewer.show(loaded.frames, self._colours(loaded.frames))
            self._given = trajectory if topology is None else loaded.frames
            with self._lock:
                self._show(loaded)
            self.file_row.says(loaded, topology, columns)
            self.code_line.show_code(
                f"panel = so3lab.widgets.TrajectoryPanel({_said(trajectory, 'frames')}{_more('topology', topology)}"
                f"{_more('columns', columns)}{self._with_model})"
            )
            self.shared.trajectory = self._given
        except (ImportError, OSError, TypeError, ValueError) as error:
            self.message.warn(error)

    def add(self, *atoms: int) -> None:
        """Measure a distance (two atoms), an angle (three) or a dihedral (four) in every frame, and draw it.

        Raises:
            ValueError: If no trajectory is open, or the atoms are not two to four different ones of it.
        """
        self.code_line.show_code(code_for(self.opened_as, self.row.measure(atoms), atoms))

    def choose(self, first: int, stop: int, every: int = 1) -> None:
        """Choose the frames from ``first`` to before ``stop``."""
        self.choice.choose(first, stop, every)

    def table(self) -> pd.DataFrame:
        """The chosen frames, one per row, with everything that was measured."""
        table = self._opened().table()[["step", "time_fs"]]
        return table.assign(**{column: one.values for column, one in self.row.series.items()}).iloc[self.choice.frames]

    def session(self) -> str:
        """All that was clicked as lines of Python."""
        return self.code_line.script()

    def figure(self) -> go.Figure:
        """The curves as they are drawn, as a plain figure."""
        self._opened()
        assert self.plot is not None
        return self.plot.picture()

    def close(self) -> None:
        """Take the panel away: its threads end, its file is let go."""
        if "_body" not in vars(self):  # a panel that could not be made is closed by Python all the same
            return
        self._stop_following()
        self._stop_sharing()
        stop_all(self.give_up())
        self.saving.close()
        self._links.close()
        self._line.close()
        self._text.close()
        self.map.close()
        if self.plot is not None:
            self.plot.close()
        self.viewer.close()
        if self.trajectory is not None:
            self.trajectory.close()
        self.trajectory = None
        super().close()

    def _runs(self) -> list[Runs]:
        """What may be busy when the panel goes, and is waited for."""
        return [self.row, self.saving]

    def _snapshot_parts(self) -> list[SnapshotMixin]:
        """What a picture of the panel shows."""
        return [self.viewer, *((self.plot.figure,) if self.plot is not None else ())]

    def _make_controls(self) -> None:
        self.file_row = FramesRow(self.load)
        self.code_line = CodeLine()
        self.readout = ipw.HTML()
        self.follows = ipw.Checkbox(True, description="Molecule follows the pointer", indent=False)
        self.follows.layout.width = "230px"
        self.follows.observe(lambda change: self._let_line_follow(), "value")
        self.row = SeriesRow(self._on_series, self.message, f"{self._name} series")
        self._plot_box = ipw.VBox(layout=ipw.Layout(flex="3 1 430px", min_width="0"))
        self.map = FrameMap(
            on_point=self._on_point,
            on_choice=self._on_brush,
            on_axes=self.code_line.show_code,
            on_trouble=self.message.warn,
        )
        self.choice = FrameChoice(self._on_choice, self._on_zoom)
        self.saving = FramesSaving(self, on_line=self.code_line.show_code, name=f"{self._name} save")
        self.attention = AttentionChoice(self._on_channel, self.code_line.show_code)
        self.attention.layout.display = "none"
        self.attention.draw_in(self.viewer)
        if self._potential is not None:
            self.attention.offer(self._potential.settings)
        molecule = ipw.VBox([self.viewer, self.attention], layout=ipw.Layout(flex="2 1 380px", min_width="0"))
        both = ipw.HBox([molecule, self._plot_box], layout=ipw.Layout(flex_flow="row wrap", grid_gap="0 12px"))
        head = ipw.HBox(
            [self.row, self.map.button, self.follows], layout=ipw.Layout(flex_flow="row wrap", align_items="center")
        )
        self._body = ipw.VBox([head, both, self.map, self.readout, self.choice, self.saving, self.code_line])
        self._body.layout.display = "none"

    def _opened(self) -> AnyFrames:
        if self.trajectory is None:
            raise ValueError("no trajectory is open; call load(path) first")
        return self.trajectory

    def _show(self, loaded: Loaded) -> None:
        """Draw frames that were opened, in place of those before."""
        before, trajectory = self.plot, loaded.frames
        self._loaded, self.trajectory = loaded, trajectory
        self.row.load(trajectory, loaded.table())
        self.plot = FramePlot(loaded.times_ps, self._on_point, self.choose)
        self._let_line_follow()
        self._coded = self.viewer.frame
        self.plot.draw(self.row.shown)
        self._plot_box.children = [self.plot.figure]
        if before is not None:
            before.close()
        self.map.load(loaded.times_ps, self.row.series)
        self.choice.reset(len(trajectory))
        self._body.layout.display = ""
        self.message.clear()
        self._follow(self.viewer.frame)

    def _on_series(self) -> None:
        """Other series are wanted, or one has been measured."""
        with self._lock:
            if self.plot is None:
                return
            before, shown = self.plot.series, self.row.shown
            self.plot.draw(shown)
            assert self._loaded is not None
            self.map.load(self._loaded.times_ps, self.row.series)
            stored = "".join(f", {name!r}" for name in shown if name in self.row.stored)
            if RMSD in shown and RMSD not in before:
                self.code_line.show_code(code_for_rmsd(self.opened_as))
            elif shown.keys() <= set(self.row.stored):
                self.code_line.show_code(f"so3lab.widgets.figures.time_series({self.opened_as}.table(){stored})")
        self._follow(self.viewer.frame)

    def _on_point(self, frame: int, how: str) -> None:
        if how == "click" or self._goes_with_pointer:
            self._pointed_at = frame if how == "hover" else -1
            self.viewer.frame = frame
        if how == "click":
            self.code_line.show_code(f"atoms = {self.opened_as}[{frame}]")

    def _on_pick(self, atoms: tuple[int, ...]) -> None:
        column = self.row.pick(atoms)
        if column is not None:
            self.code_line.show_code(code_for(self.opened_as, column, atoms))

    def _on_brush(self, frames: np.ndarray | None) -> None:
        """Somebody has dragged over points of the map, or chosen all of them again."""
        self.choice.choose_only(frames)

    def _on_choice(self) -> None:
        assert self.plot is not None
        chosen, only = self.choice.chosen, self.choice.only
        everything = chosen.stop - chosen.start >= len(self._opened())
        self.plot.choose(*((0, 0) if everything else (chosen.start, chosen.stop)))
        if only is not None:
            self.code_line.show_code(f"panel.choice.choose_only({listed(only)})")
            return
        self.map.choose(None if everything else np.arange(len(self._opened()))[chosen])
        self.code_line.show_code(f"frames = {self.opened_as}[{chosen.start}:{chosen.stop}:{chosen.step}]")

    def _on_zoom(self, closer: bool) -> None:
        assert self.plot is not None
        if closer:
            self.plot.zoom(self.choice.chosen.start, self.choice.chosen.stop)
        else:
            self.plot.zoom_out()

    def save(self, what: str) -> None:
        """Write the chosen ``"frames"``, their ``"table"``, the ``"figure"`` or the ``"session"``.

        The panel's field says under which name.
        """
        self.saving.save(what)

    @property
    def opened_as(self) -> str:
        """How Python opens the frames."""
        self._opened()
        assert self._loaded is not None
        return self._loaded.code

    def _colours(self, trajectory: AnyFrames) -> dict[str, Callable[[int], np.ndarray]]:
        """What the model says of the atoms of a frame, by name."""
        found = {} if self._potential is None else atom_properties.per_atom_functions(self._potential)
        if self._source is not None:
            found["attention"] = self._source.received
        return {name: lambda frame, of=of: of(trajectory[frame]) for name, of in found.items()}  # type: ignore[misc]

    def _on_colour(self) -> None:
        self.attention.layout.display = "" if self.viewer.colour == "attention" else "none"
        self._link()

    def _on_channel(self) -> None:
        """Another attention is wanted for the shown frame."""
        self.viewer.describe("attention", heard_words(self.attention.channel))
        self.viewer.refresh()
        self._link()

    def _link(self) -> None:
        """Draw who listens to whom in the shown frame, where that is the colour."""
        if (trajectory := self.trajectory) is not None:
            self._links.ask([(self.viewer, lambda: trajectory[self.viewer.frame])])

    def _on_session(self, change: Any) -> None:
        """Another panel has moved on, or somebody wants another trajectory."""
        if change.name == "frame":
            self._go_to(change.new)
        elif change.new is not None and change.new is not self._given:
            self.load(change.new)

    def _go_to(self, frame: int) -> None:
        if self.shared.trajectory is self._given and frame < self.viewer.frames:
            self.viewer.frame = frame

    @property
    def _goes_with_pointer(self) -> bool:
        return self.follows.value and not self.viewer.playing

    def _let_line_follow(self) -> None:
        if self.plot is not None:
            self.plot.figure.cursor_follows = self._goes_with_pointer

    def _follow(self, frame: int) -> None:
        if self.shared.trajectory is self._given:
            self.shared.frame = frame
        self._link()
        self._line.put((frame,))
        self._text.put((frame,))

    def _move_line(self, item: tuple[int]) -> None:
        with self._lock:
            if self.plot is not None and item[0] < len(self.plot.times):
                self.plot.show_frame(item[0])
                self.map.show_frame(item[0])
        self._line.report(1)  # it costs the page little: nobody counts whether it was painted

    def _describe(self, item: tuple[int]) -> None:
        (frame,) = item
        with self._lock:
            if self.plot is not None and frame < len(self.plot.times):
                self.readout.value = self._sentence_about(frame)
                if not self.viewer.playing and frame not in (self._pointed_at, self._coded):
                    self.code_line.show_code(f"atoms = {self.opened_as}[{frame}]")
                self._coded = frame
        self._text.report(1)

    def _sentence_about(self, frame: int) -> str:
        assert self.plot is not None
        parts = [f"<b>frame {frame:,}</b> of {len(self._opened()):,}"]
        if self.plot.unit:
            parts.append(f"{self.plot.times[frame]:,.3f} {self.plot.unit}")
        parts += [html.escape(one.text(frame)) for one in self.plot.series.values()]
        return " · ".join(f'<span style="white-space: nowrap">{part}</span>' for part in parts)


def _said(given: Any, name: str) -> str:
    """An argument as Python says it; of an object its name."""
    if isinstance(given, Trajectory):
        return repr(str(given.path))
    return repr(str(given)) if isinstance(given, str | os.PathLike) else name


def _more(name: str, given: Any) -> str:
    return "" if given is None else f", {name}={_said(given, name)}"
