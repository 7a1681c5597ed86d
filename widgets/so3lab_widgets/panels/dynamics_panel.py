"""Molecular dynamics that somebody watches and steers: the molecule, its sliders and its curves, all of them live."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ase.io
import ipywidgets as ipw
import plotly.graph_objects as go
from ase import Atoms

from so3lab.dynamics.control import Control
from so3lab.dynamics.live import LiveDynamics
from so3lab.engine.energy_model import EnergyModel
from so3lab.potential.potential import Potential
from so3lab_widgets.panels.code_line import CodeLine
from so3lab_widgets.panels.frame_choice import check_new, save_text
from so3lab_widgets.panels.history_slider import HistorySlider
from so3lab_widgets.panels.job_bar import JobBar
from so3lab_widgets.panels.live_plots import FASTEST_HZ, LivePlots
from so3lab_widgets.panels.panel import close_all
from so3lab_widgets.panels.replica_views import ReplicaViews
from so3lab_widgets.panels.run_commands import RunCommands
from so3lab_widgets.panels.run_form import RunForm
from so3lab_widgets.panels.run_saving import RunSaving, page_of
from so3lab_widgets.panels.steering_box import SteeringBox
from so3lab_widgets.running.jobs import Job
from so3lab_widgets.running.sender import LatestValueSender
from so3lab_widgets.viewer.static_preview import SnapshotMixin, StaticPreview
from so3lab_widgets.viewer.viewer import Viewer


class DynamicsPanel(RunCommands):
    """Live molecular dynamics in a notebook.

    Sliders act within a frame and compile nothing. Clicking atoms measures and plots them; a picked pair can be pulled,
    picked distances, angles and dihedrals held. A paused run can be looked at from its start, and go on from any of its
    frames. What cannot be done is said in a sentence within the panel, and the line below repeats in Python what was
    clicked.

    Args:
        model: Name of a bundled model, a model file, ``"so3lr"``, or a potential.
        structure: ``Atoms``, or what :func:`so3lab.structures.read_structure` reads: a bundled name, a file, or
            ``smiles:`` and a SMILES.
        ensemble: One of ``langevin``, ``nve``, ``nose-hoover``, ``csvr``, ``npt``, ``npt-flexible``.
        control: The knobs to begin with.
        replicas: 1 to 4 copies side by side, each with its own velocities.
        seed: Of the first replica; others count on.
        height: Of the molecules in pixels.
        name: A panel that is made under the name of one that is open replaces it.
        start: Whether to start at once.

    Attributes:
        form: Fields for model, molecule, ensemble and replicas.
        control: The knobs; what is set here and what sliders do is the same, and sliders follow.
        live: The simulation (:class:`so3lab.dynamics.live.LiveDynamics`), None before the start.
        job: What runs it.
    """

    def __init__(
        self,
        model: str | Potential | EnergyModel = "ala3",
        structure: str | Atoms = "ala3",
        *,
        ensemble: str = "langevin",
        control: Control | None = None,
        replicas: int = 1,
        seed: int = 0,
        height: int = 420,
        name: str = "dynamics",
        start: bool = False,
    ):
        self.form = RunForm(model, structure, ensemble, replicas)
        self._take_name(name)
        self.control, self.seed, self._height = control or Control(), seed, height
        self._make_commands()
        self.plots: LivePlots | None = None
        self.steering: SteeringBox | None = None
        self._preview = StaticPreview(self, self._snapshot_parts)
        self._updates = LatestValueSender(self._update_plots, FASTEST_HZ, name="live plots")
        self._make_controls()
        super().__init__(
            [
                self.form,
                self.bar,
                self._body,
                self.history,
                self._plot_head,
                self._plot_box,
                self.saving,
                self.code_line,
            ]
        )
        for name in ("model", "structure", "ensemble", "replicas"):
            getattr(self.form, name).observe(functools.partial(self._on_field, name), "value")
        self._show_code(self._constructor())
        if start:
            self.start()
        else:
            self._begin(self._prepare, paused=True)  # whoever starts it later need not wait

    @property
    def viewers(self) -> list[Viewer]:
        """A view of each replica."""
        return self._views.viewers

    def record(self, path: str | Path) -> list[Path]:
        """Write frames to disk from now on; a file, or a folder for several replicas.

        Raises:
            ValueError: If nothing runs that could be recorded.
        """
        live = self._running()
        if self.job is None or self.job.ended:
            raise ValueError("what has ended writes no frames; press Start, or go on from a frame, and record then")
        written = live.record(path, {"model": self.form.model.value, "structure": self.form.structure.value})
        self._show_code(f"panel.record({str(path)!r})")
        self.saving.recording(str(written[0]))
        return written

    def table(self, replica: int = 0):
        """What is remembered, one row per frame."""
        return self._running().table(replica)

    def save_frames(self, path: str | Path, replica: int = 0) -> str:
        """Write what is remembered as extended XYZ, with energies, forces and velocities; returns a sentence about it.

        Raises:
            FileExistsError: If the file exists: nothing is replaced.
        """
        check_new(Path(path))
        images = list(self._running().images(replica))
        ase.io.write(path, images, format="extxyz")
        return f"Wrote {len(images):,} frames to {path}."

    def session(self) -> str:
        """All that was clicked as lines of Python, which wait for the steps at which it was done."""
        return self.code_line.script()

    def figures(self) -> list[go.Figure]:
        """The curves, and the map with the spectrum, as plain figures as they stand."""
        self._running()
        assert self.plots is not None
        return self.plots.figures()

    def save_figures(self, path: str | Path) -> str:
        """Write the figures into one page that needs no network; returns a sentence about it.

        Raises:
            FileExistsError: If the file exists: nothing is replaced.
        """
        return save_text(Path(path), page_of(self.figures()))

    def atoms(self, frame: int = -1, replica: int = 0) -> Atoms:
        """A remembered frame with its velocities."""
        return self._running().atoms(replica, frame)

    def close(self) -> None:
        """Take the panel away: the run ends, threads end, widgets close."""
        if not self._name:  # refused before it was made
            return
        self._attempts += 1  # whatever is being prepared is wanted no more
        if self.job is not None:
            self.job.stop()
        self._saver.close()
        self._preview.close()
        self._updates.close()
        self._views.close()
        if self.plots is not None:
            self.plots.close()
        super().close()

    def _ipython_display_(self) -> None:
        self._preview.show()

    def _snapshot_parts(self) -> list[SnapshotMixin]:
        """What a picture of the panel shows."""
        return [*self.viewers, *((self.plots.curves, self.plots.maps) if self.plots is not None else ())]

    def _make_controls(self) -> None:
        self.bar = JobBar(
            lambda: self._try(self.start),
            self._words,
            pause=self.pause,
            step=self.step,
            stop=lambda: self.stop(wait=False),
        )
        self.code_line = CodeLine()
        self._views = ReplicaViews(
            self._height,
            on_viewer=self._on_viewer,
            on_pick=self._on_pick,
            on_looks=self._on_looks,
            on_trouble=self.bar.show_message,
        )
        self._side = ipw.VBox(layout=ipw.Layout(flex="1 1 300px", min_width="280px", max_width="460px"))
        self._body = ipw.HBox([self._views, self._side], layout=ipw.Layout(flex_flow="row wrap", grid_gap="0 12px"))
        self.history = HistorySlider(
            lambda share: self._try(lambda: self.show_frame(self._frame_at(share))),
            lambda share: self._try(lambda: self.go_back(self._frame_at(share))),
            lambda share: self._try(lambda: self.go_back(self._frame_at(share), new_velocities=True)),
        )
        self.curves_of = ipw.Dropdown(
            options=[0],
            description="Curves, tables and frames of replica",
            layout=ipw.Layout(width="320px"),
            style={"description_width": "initial"},
        )
        self.curves_of.observe(lambda change: self._on_replica(), "value")
        self._plot_head = ipw.HBox([self.curves_of], layout=ipw.Layout(display="none"))
        self._plot_box = ipw.HBox(layout=ipw.Layout(width="100%", flex_flow="row wrap"))
        self._saver = RunSaving(
            self,
            lambda: self.curves_of.value or 0,
            try_to=self._try,
            on_change=self._show_code,
            on_trouble=self.bar.show_message,
            name=f"{self._name} save",
        )
        self.saving = self._saver.row

    def _set_structure(self, potential: Potential | EnergyModel, structure: Atoms, copies: int) -> None:
        """Views, sliders and curves for a structure; what stood there for the same one stays."""
        self._views.set_structure(potential, structure, copies)
        self.curves_of.options = list(range(copies))
        self._plot_head.layout.display = "" if copies > 1 else "none"
        self._views.children = tuple(self.viewers)
        before = (*self._plot_box.children, *self._side.children)
        self.plots = LivePlots(structure, thermostat=self.form.ensemble.value != "nve")
        self._plot_box.children = tuple(
            ipw.VBox([figure], layout=ipw.Layout(flex=flex, min_width="0"))
            for figure, flex in ((self.plots.curves, "3 1 420px"), (self.plots.maps, "2 1 320px"))
        )
        self.steering = SteeringBox(
            self.control,
            self.form.ensemble.value,
            picked=lambda: self.viewers[0].picked,
            measure=self._measure,
            symbols=structure.get_chemical_symbols(),
            on_change=self._show_code,
            on_trouble=self.bar.show_message,
        )
        self._side.children = (self.steering,)
        close_all(*before)
        self.history.layout.display = self.saving.layout.display = ""

    def _on_chunks(self, chunks: Sequence[Any]) -> None:
        """In the job's thread: the newest frame of each replica goes to its view."""
        live = self.live
        if live is None:
            return
        self._views.push(live, chunks)
        self._views.warn(live)
        self._updates.put((live,))

    def _show(self, frame: int) -> None:
        self._views.show(self._running(), frame)

    def _on_viewer(self, viewer: Viewer, number: int) -> None:
        """A replica has got its view."""
        viewer.observe(self._preview.schedule, "painted")
        self.code_line.follow(viewer, f"panel.viewers[{number}]", self._show_code)

    def _on_looks(self) -> None:
        """Other colours or arrows were chosen; a molecule at rest gets them now, a moving one with its next frame."""
        if self.live is not None and (self.job is None or self.job.state != "running"):
            self._show(self.live.frames() - 1 if self._shown_frame is None else self._shown_frame)

    def _on_pick(self, atoms: list[int]) -> None:
        self._show_code(f"panel.viewers[0].picked = {atoms}")
        if self.live is not None:
            self._updates.put((self.live,))

    def _update_plots(self, item: tuple[LiveDynamics]) -> None:
        """In the sender's thread, about twice a second; what fails is said, and the next one may do."""
        try:
            self._draw_plots(*item)
        except Exception as error:
            self.bar.show_message(f"the curves could not be drawn: {' '.join(str(error).split())}")

    def _draw_plots(self, live: LiveDynamics) -> None:
        if self.plots is None or live is not self.live or not self.viewers:
            return
        self._views.warn(live)
        number = self.curves_of.value or 0
        if number < len(live.replicas):
            self.plots.update(live, number, tuple(self.viewers[0].picked))
        if self.steering is not None:
            self.steering.follow()
        self.bar.refresh()
        self._updates.limit(self.plots.rate_hz)
        self._updates.report(1)

    def _on_state(self, job: Job) -> None:
        """The slider of the past is for whoever has paused or ended the run; while it runs, the present is shown."""
        self.history.reset(job.state == "running")
        if job.ended and self.live is not None:
            self.live.stop_recording()
        self._saver.look()
        if job.state != "running" and self.live is not None:
            self._show_position(self.live.frames() - 1)
            self._updates.put((self.live,))

    def _words(self) -> str:
        live = self.live
        if live is None:
            return "loading and compiling" if self.job is not None and not self.job.ended else ""
        if not live.steps_per_second:
            return ""
        temperature = live.table()["temperature"].iloc[-50:].mean()
        speed = live.steps_per_second * self.control.timestep_fs * 1e-6 * 86400
        pace = f"{live.steps_per_second:.0f} steps/s = {speed:.1f} ns/day"
        later = " · what the fields say begins after Stop and Start" if self._fields_differ else ""
        return f"{live.time_ps:.2f} ps · {temperature:.0f} K · {pace}{later}"

    def _measure(self, atoms: Sequence[int]) -> float:
        return float(self._running().measure(atoms, frames=slice(-1, None))[0])

    def _on_field(self, name: str, change: Any) -> None:
        """Another run is asked for, which Start begins."""
        self._show_code(f"panel.form.{name}.value = {change.new!r}")
        self.bar.refresh()

    def _on_replica(self) -> None:
        """Another replica's curves are wanted."""
        if self.live is not None and self.plots is not None:
            self._show_code(f"panel.curves_of.value = {self.curves_of.value}")
            self.plots.forget()
            self._updates.put((self.live,))

    def _frame_at(self, share: float) -> int:
        return round(share * (self._running().frames() - 1))

    def _show_position(self, frame: int) -> None:
        live = self._running()
        self._saver.look()
        self.history.show_position(frame, live.frames(), 0.001 * float(live.table()["time_fs"].iloc[frame]))

    def _constructor(self) -> str:
        more = [] if self.seed == 0 else [f"seed={self.seed}"]
        more += [] if self._name == "dynamics" else [f"name={self._name!r}"]
        knobs = _knobs_in_python(self.control)
        more += [f"control=so3lab.dynamics.Control({knobs})"] if knobs else []
        return f"panel = so3lab.widgets.DynamicsPanel({', '.join([self.form.arguments(), *more])})"

    def _show_code(self, line: str) -> None:
        self.code_line.show_code(line, self.live.replicas.step if self.live is not None else 0)


def _knobs_in_python(control: Control) -> str:
    """The knobs that differ from those of a new record, as arguments."""
    usual = Control()
    changed = {name: value for name, value in vars(control).items() if value != getattr(usual, name)}
    if "biases" in changed:
        written = ", ".join(f"so3lab.dynamics.{bias!r}" for bias in changed.pop("biases"))
        return ", ".join([*(f"{name}={value!r}" for name, value in changed.items()), f"biases=[{written}]"])
    return ", ".join(f"{name}={value!r}" for name, value in changed.items())
