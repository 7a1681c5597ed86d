"""Molecular dynamics that somebody watches and steers: the molecule, its sliders and its curves, all of them live."""

import functools
from collections.abc import Callable, Sequence
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
from so3lab_widgets.confinement import permitted
from so3lab_widgets.panels.code_line import CodeLine
from so3lab_widgets.panels.constructor_line import constructor_line
from so3lab_widgets.panels.history_slider import HistorySlider
from so3lab_widgets.panels.job_bar import JobBar
from so3lab_widgets.panels.live_plots import LivePlots
from so3lab_widgets.panels.live_run import LiveRun
from so3lab_widgets.panels.panel import Panel, Runs, close_all, first_of
from so3lab_widgets.panels.plot_area import PlotArea
from so3lab_widgets.panels.replica_views import ReplicaViews
from so3lab_widgets.panels.run_form import RunForm
from so3lab_widgets.panels.run_saving import RunSaving, page_of
from so3lab_widgets.panels.save_menu import check_new, save_text
from so3lab_widgets.panels.steering_box import SteeringBox
from so3lab_widgets.running.jobs import Job, stop_all
from so3lab_widgets.session import Session
from so3lab_widgets.viewer.static_preview import SnapshotMixin
from so3lab_widgets.viewer.viewer import Viewer


class DynamicsPanel(Panel):
    """Live molecular dynamics in a notebook.

    Sliders act within a frame and compile nothing. Clicking atoms measures and plots them; a picked pair can be pulled,
    picked distances, angles and dihedrals held. A paused run can be looked at from its start, and go on from any of its
    frames. What cannot be done is said in a sentence within the panel, and the line below repeats in Python what was
    clicked.

    Args:
        model: Name of a bundled model, a model file, ``"so3lr"``, or a potential.
        structure: ``Atoms``, or what :func:`so3lab.structures.read_structure` reads: a bundled name, a file, or
            ``smiles:`` and a SMILES. Where either is not given it is the session's, or else ``"ala3"``.
        ensemble: One of ``langevin``, ``nve``, ``nose-hoover``, ``csvr``, ``npt``, ``npt-flexible``.
        control: The knobs to begin with.
        replicas: 1 to 4 copies side by side, each with its own velocities.
        charge: Total charge in e; None for what the structure says.
        seed: Of the first replica; others count on.
        height: Of the molecules in pixels.
        start: Whether to start at once.
        session: What is shared with other panels: loaded models, picked atoms, and what ``session.potential`` and
            ``session.structure`` are set to, which Start takes. One of its own unless given.
        simulate: Makes the simulation from what the fields say, with the arguments of
            :class:`so3lab.dynamics.live.LiveDynamics`, such as ``functools.partial(LiveDynamics, interval=1)``.

    Attributes:
        form: Fields for model, molecule, ensemble and replicas.
        control: The knobs; what is set here and what sliders do is the same, and sliders follow.
        run: The simulation and its job, of which ``live`` and ``job`` are parts.
        shared: The session.
        views: The molecules side by side.
        message: What stands against what was clicked.
    """

    def __init__(
        self,
        model: str | Potential | EnergyModel | None = None,
        structure: str | Atoms | None = None,
        *,
        ensemble: str = "langevin",
        control: Control | None = None,
        replicas: int = 1,
        charge: float | None = None,
        seed: int = 0,
        height: int = 420,
        start: bool = False,
        session: Session | None = None,
        simulate: Callable[..., LiveDynamics] = LiveDynamics,
    ):
        self.shared = session or Session()
        model = first_of(model, self.shared.potential, "ala3")
        structure = first_of(structure, self.shared.structure, "ala3")
        self.form = RunForm(model, structure, ensemble, replicas, charge, self.shared.load)
        self._take_place("dynamics")
        self.control, self.seed, self._height = control or Control(), seed, height
        self.steering: SteeringBox | None = None
        self._stop_sharing: Callable[[], None] = lambda: None
        self._make_controls()
        self.run = LiveRun(
            self.form, self.control, seed, simulate=simulate, bar=self.bar, name=self._name,
            on_structure=self._set_structure, on_chunks=self._on_chunks, on_state=self._on_state,
            on_look=lambda frame: self.views.show(self.run.present, frame),
        )  # fmt: skip
        super().__init__([self.form, self.bar, self._body, self.plot_area, self.saving, self.code_line])
        for field in ("model", "structure", "charge", "ensemble", "replicas"):
            getattr(self.form, field).observe(functools.partial(self._on_field, field), "value")
        own = simulate is not LiveDynamics
        self._stop_following = self.shared.follow(self._on_session, "potential", "structure")
        line = constructor_line(self.form, self.control, seed=seed, own_simulation=own)
        self._show_code(line)
        if start:
            self.start()
        else:
            self.run.attempts.prepare()

    @property
    def live(self) -> LiveDynamics | None:
        """The simulation, None before it is made."""
        return self.run.live

    @property
    def job(self) -> Job | None:
        """What runs it."""
        return self.run.job

    @property
    def viewers(self) -> list[Viewer]:
        """A view of each replica."""
        return self.views.viewers

    @property
    def plots(self) -> LivePlots | None:
        """The figures, None before there is a structure."""
        return self.plot_area.plots

    def start(self) -> None:
        """Start, or go on after a pause from the frame that is shown.

        Raises:
            ValueError: If the panel has ended.
        """
        self._check_open()
        self._show_code("panel.start()")
        if self.run.attempts.goes_on and self.run.shown_frame is not None:
            self.go_back(self.run.shown_frame)
        self.run.start()

    def wait(self, step: int = 0) -> None:
        """Return when the run has come so far, waits or has ended; with 0, when the molecule is there to be seen."""
        self.run.wait(step)

    def pause(self) -> None:
        """Wait after the present chunk."""
        self._show_code("panel.pause()")
        self.run.attempts.pause()

    def step(self) -> None:
        """While paused: one chunk of frames after the present one."""
        self._show_code("panel.step()")
        if self.live is not None:
            self._show_position(self.live.frames() - 1)
        self.run.step()

    def stop(self, wait: bool = True) -> None:
        """End the run; what it has shown stays.

        Args:
            wait: Whether to return only when it has ended.
        """
        self._show_code("panel.stop()")
        self.run.attempts.stop(wait)

    def show_frame(self, frame: int) -> None:
        """Look at a moment of the past; a run pauses for it.

        Raises:
            IndexError: If it is not remembered.
            TimeoutError: If the frame in the making takes long.
        """
        self._show_position(self.run.look(frame))
        self._show_code(f"panel.show_frame({frame})")

    def go_back(self, frame: int, new_velocities: bool = False) -> None:
        """Go on from a moment of the past: as it went then, or with new thermal velocities.

        What came later is forgotten, and a recording ends.

        Raises:
            IndexError: If it is not remembered.
            TimeoutError: If the frame in the making takes long.
        """
        self.run.rewind(frame, new_velocities)
        self.views.clear_warnings()
        self._show_code(f"panel.go_back({frame}{', new_velocities=True' if new_velocities else ''})")
        self.run.go_on()

    def record(self, path: str | Path) -> list[Path]:
        """Write frames to disk from now on; a file, or a folder for several replicas.

        Raises:
            ValueError: If nothing runs that could be recorded.
        """
        live = self.run.present
        if self.job is None or self.job.ended:
            raise ValueError("what has ended writes no frames; press Start, or go on from a frame, and record then")
        written = live.record(permitted(path), {"model": self.form.model.value, "structure": self.form.structure.value})
        self._show_code(f"panel.record({str(path)!r})")
        self.saving.recording(written[0])
        return written

    def table(self, replica: int = 0):
        """What is remembered, one row per frame."""
        return self.run.present.table(replica)

    def save_frames(self, path: str | Path, replica: int = 0) -> str:
        """Write what is remembered as extended XYZ, with energies, forces and velocities; returns a sentence about it.

        Raises:
            FileExistsError: If the file exists: nothing is replaced.
        """
        check_new(Path(path))
        images = list(self.run.present.images(replica))
        ase.io.write(path, images, format="extxyz")
        return f"Wrote {len(images):,} frames to {path}."

    def session(self) -> str:
        """All that was clicked as lines of Python, which wait for the steps at which it was done."""
        return self.code_line.script()

    def figures(self) -> list[go.Figure]:
        """The curves, and the map with the spectrum, as plain figures as they stand."""
        self.run.present  # noqa: B018 - refuses where nothing has run
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
        return self.run.present.atoms(replica, frame)

    def close(self) -> None:
        """Take the panel away: the run ends, threads end, widgets close."""
        if not hasattr(self, "run"):  # refused before it was made
            return
        self._stop_following()
        self._stop_sharing()
        stop_all(self.give_up())
        self.saving.close()
        self.plot_area.close()
        self.views.close()
        super().close()

    def _runs(self) -> list[Runs]:
        """What may be busy when the panel goes, and is waited for."""
        return [self.run.attempts, self.saving]

    def _snapshot_parts(self) -> list[SnapshotMixin]:
        """What a picture of the panel shows."""
        return [*self.viewers, *((self.plots.curves, self.plots.maps) if self.plots is not None else ())]

    def _make_controls(self) -> None:
        self.bar = JobBar(
            lambda: self.message.try_to(self.start),
            lambda: self.run.words,
            pause=self.pause,
            step=self.step,
            stop=lambda: self.stop(wait=False),
        )
        self.message = self.bar.message
        self.code_line = CodeLine()
        self.views = ReplicaViews(
            self._height,
            on_viewer=self._on_viewer,
            on_pick=self._on_pick,
            on_looks=self._on_looks,
            on_trouble=self.message.warn,
            show_code=self._show_code,
        )
        self._side = ipw.VBox(layout=ipw.Layout(min_width="0"))
        self.history = HistorySlider(
            lambda share: self.message.try_to(lambda: self.show_frame(self._frame_at(share))),
            lambda share: self.message.try_to(lambda: self.go_back(self._frame_at(share))),
            lambda share: self.message.try_to(lambda: self.go_back(self._frame_at(share), new_velocities=True)),
        )
        self.plot_area = PlotArea(
            picked=lambda: self.viewers[0].picked,
            on_draw=self._on_draw,
            on_choice=self._on_curves,
            on_trouble=self.message.warn,
            on_time=lambda time_ps: self.message.try_to(lambda: self.show_frame(self.run.frame_at(time_ps))),
        )
        self.curves_of = self.plot_area.curves_of
        molecule = ipw.VBox([self.views, self.history], layout=ipw.Layout(flex="3 1 460px", min_width="0"))
        beside = ipw.VBox([self._side, self.plot_area.beside], layout=ipw.Layout(flex="2 1 380px", min_width="0"))
        self._body = ipw.HBox([molecule, beside], layout=ipw.Layout(flex_flow="row wrap", grid_gap="0 12px"))
        self.saving = RunSaving(self, lambda: self.plot_area.number, on_line=self._show_code, name=f"{self._name} save")

    def _set_structure(self, potential: Potential | EnergyModel, structure: Atoms, copies: int) -> None:
        """Views, sliders and curves for a structure; what stood there for the same one stays."""
        self.shared.fill(potential=potential, structure=structure)
        self.views.set_structure(potential, structure, copies)
        self.form.tell()
        self.plot_area.set_structure(structure, copies, thermostat=self.form.ensemble.value != "nve")
        before = self._side.children
        self.steering = SteeringBox(
            self.control,
            self.form.ensemble.value,
            picked=lambda: self.viewers[0].picked,
            measure=self._measure,
            symbols=structure.get_chemical_symbols(),
            message=self.message,
            on_change=self._show_code,
        )
        self._side.children = (self.steering,)
        close_all(*before)
        self.history.layout.display = self.saving.layout.display = ""

    def _on_chunks(self, live: LiveDynamics, chunks: Sequence[Any]) -> None:
        """In the job's thread: the newest frame of each replica goes to its view."""
        self.views.push(live, chunks)
        self.views.warn(live)
        self.plot_area.update(live)

    def _on_viewer(self, viewer: Viewer, number: int) -> None:
        """A replica has got its view."""
        assert self._preview is not None
        viewer.observe(self._preview.schedule, "painted")
        if number == 0:  # what is picked in one is picked in all
            self._stop_sharing = self.shared.share_picks(viewer)
        self.code_line.follow(viewer, f"panel.viewers[{number}]", self._show_code)

    def _on_looks(self) -> None:
        """Other colours or arrows were chosen; a molecule at rest gets them now, a moving one with its next frame."""
        if self.live is not None and (self.job is None or self.job.state != "running"):
            shown = self.run.shown_frame
            self.views.show(self.live, self.live.frames() - 1 if shown is None else shown)

    def _on_pick(self, atoms: list[int]) -> None:
        self._show_code(f"panel.viewers[0].picked = {atoms}")
        if self.live is not None:
            self.plot_area.update(self.live)

    def _on_draw(self, live: LiveDynamics) -> bool:
        """About twice a second: bring up to date what is not drawn with every frame."""
        if live is not self.live or not self.viewers:
            return False
        self.views.warn(live)
        if self.steering is not None:
            self.steering.follow()
        self.bar.refresh()
        return True

    def _on_state(self, job: Job) -> None:
        """The slider of the past is for whoever has paused or ended the run; while it runs, the present is shown."""
        self.history.reset(job.state == "running")
        self.plot_area.stand_at(None)
        if job.ended and self.live is not None:
            self.live.stop_recording()
        self.saving.look()
        if job.state != "running" and self.live is not None:
            self._show_position(self.live.frames() - 1)
            if self.plots is not None:
                self.plots.forget()
            self.plot_area.update(self.live)

    def _measure(self, atoms: Sequence[int]) -> float:
        return float(self.run.present.measure(atoms, frames=slice(-1, None))[0])

    def _on_session(self, change: Any) -> None:
        """Somebody else wants another potential or structure, which Start begins with."""
        if change.new is not None and not self.shared.filling:
            self.form.take(**{"model" if change.name == "potential" else "structure": change.new})

    def _on_field(self, name: str, change: Any) -> None:
        """Another run is asked for, which Start begins."""
        self._show_code(f"panel.form.{name}.value = {change.new!r}")
        self.bar.refresh()
        if name == "ensemble":
            self.message.try_to(self.form.check_ensemble)

    def _on_curves(self, line: str) -> None:
        """Curves of another replica or a map of another residue are wanted."""
        if self.live is not None and self.plots is not None:
            self._show_code(line)
            self.plots.forget()
            self.plot_area.update(self.live)

    def _frame_at(self, share: float) -> int:
        return round(share * (self.run.present.frames() - 1))

    def _show_position(self, frame: int) -> None:
        live = self.run.present
        self.saving.look()
        time_ps = 0.001 * float(live.table()["time_fs"].iloc[frame])
        self.history.show_position(frame, live.frames(), time_ps)
        self.plot_area.stand_at(time_ps if frame < live.frames() - 1 else None)

    def _show_code(self, line: str) -> None:
        self.code_line.show_code(line, self.live.replicas.step if self.live is not None else 0)
