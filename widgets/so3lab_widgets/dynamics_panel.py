"""Molecular dynamics that somebody watches and steers: the molecule, its sliders and its curves, all of them live."""

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import ase.io
import ipywidgets as ipw
import plotly.graph_objects as go
from ase import Atoms

from so3lab.control import Control
from so3lab.force_field import ForceField
from so3lab.live import LiveDynamics
from so3lab.observables import internal_coordinates
from so3lab.potential import Potential
from so3lab.simulation import SimulationError
from so3lab_widgets.code_line import CodeLine
from so3lab_widgets.drawable import check_size
from so3lab_widgets.frame_choice import check_new, save_text
from so3lab_widgets.job_bar import JobBar
from so3lab_widgets.jobs import Job
from so3lab_widgets.live_plots import FASTEST_HZ, LivePlots
from so3lab_widgets.panel import Panel, close_all
from so3lab_widgets.past_row import PastRow
from so3lab_widgets.pump import Pump
from so3lab_widgets.replica_views import ReplicaViews
from so3lab_widgets.run_form import RunForm
from so3lab_widgets.save_row import SaveRow
from so3lab_widgets.steering_box import SteeringBox
from so3lab_widgets.still import Pictured, Still
from so3lab_widgets.viewer import Viewer


class DynamicsPanel(Panel):
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
        live: The simulation (:class:`so3lab.live.LiveDynamics`), None before the start.
        job: What runs it.
    """

    def __init__(
        self,
        model: str | Potential | ForceField = "ala3",
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
        self.live: LiveDynamics | None = None
        self.job: Job | None = None
        self.plots: LivePlots | None = None
        self.steering: SteeringBox | None = None
        self._shown_frame: int | None = None
        self._asked: tuple[Any, ...] = ()
        self._attempts = 0
        self._staging = threading.Lock()
        self._saving: Job | None = None
        self._still = Still(self, self._pictured)
        self._updates = Pump(self._update_plots, FASTEST_HZ, name="live plots")
        self._make_controls()
        super().__init__(
            [
                self.form,
                self.bar,
                self._body,
                self.past,
                self._plot_head,
                self._plot_box,
                self.saving,
                self._code,
            ]
        )
        self._say_code(self._constructor())
        if start:
            self.start()
        else:
            self._begin(self._prepare, paused=True)  # whoever starts it later need not wait

    @property
    def viewers(self) -> list[Viewer]:
        """A view of each replica."""
        return self._views.viewers

    def start(self) -> None:
        """Start, or go on after a pause from the frame that is shown."""
        self._say_code("panel.start()")
        job = self.job
        if job is None or job.ended or not self._stands():
            self._begin(self._prepare)
            return
        if self._shown_frame is not None:
            self.go_back(self._shown_frame)
        job.start()
        self.bar.refresh()

    def pause(self) -> None:
        """Wait after the present chunk."""
        self._say_code("panel.pause()")
        if self.job is not None:
            self.job.pause()

    def step(self) -> None:
        """While paused: one chunk of frames after the present one."""
        self._say_code("panel.step()")
        if self.job is not None:
            self._shown_frame = None
            self.job.step()

    def stop(self, wait: bool = True) -> None:
        """End the run; what it has shown stays.

        Args:
            wait: Whether to return only when it has ended.
        """
        self._say_code("panel.stop()")
        if self.job is not None:
            self.job.stop(wait)

    def show_frame(self, frame: int) -> None:
        """Look at a moment of the past; a run pauses for it.

        Raises:
            IndexError: If it is not remembered.
        """
        live = self._running()
        if self.job is not None:
            self.job.pause()
        self._shown_frame = frame if frame < live.frames() - 1 else None
        self._show(frame)
        self._tell_past(min(frame, live.frames() - 1))
        self._say_code(f"panel.show_frame({frame})")

    def go_back(self, frame: int, new_velocities: bool = False) -> None:
        """Go on from a moment of the past: as it went then, or with new thermal velocities.

        What came later is forgotten, and a recording ends.
        """
        live = self._running()
        job = self.job
        if job is not None and not job.ended:
            job.pause()
            _wait_for(lambda: job.state != "running")
        live.go_back(frame, secrets.randbits(31) if new_velocities else None)
        self._shown_frame = None
        self._views.calm()
        self._say_code(f"panel.go_back({frame}{', new_velocities=True' if new_velocities else ''})")
        if job is None or job.ended:
            self._begin(lambda wanted: live.run())
        else:
            job.start()

    def record(self, path: str | Path) -> list[Path]:
        """Write frames to disk from now on; a file, or a folder for several replicas."""
        written = self._running().record(
            path, {"model": self.form.model.value, "structure": self.form.structure.value}
        )
        self._say_code(f"panel.record({str(path)!r})")
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
        """All that was clicked as lines of Python, each with the step at which it was done."""
        return self._code.script()

    def figures(self) -> list[go.Figure]:
        """The curves, and the map with the spectrum, as plain figures as they stand."""
        self._running()
        assert self.plots is not None
        return self.plots.figures()

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
        if self._saving is not None:
            self._saving.stop()
        if self.live is not None:
            self.live.stop_recording()
        self._still.close()
        self._updates.close()
        self._views.close()
        if self.plots is not None:
            self.plots.close()
        super().close()

    def _ipython_display_(self) -> None:
        self._still.show()

    def _pictured(self) -> list[Pictured]:
        """What a picture of the panel shows."""
        return [*self.viewers, *((self.plots.curves, self.plots.maps) if self.plots is not None else ())]

    def _make_controls(self) -> None:
        self.bar = JobBar(
            lambda: self._try(self.start), self._words, pause=self.pause, step=self.step,
            stop=lambda: self.stop(wait=False),
        )  # fmt: skip
        self._code = CodeLine()
        self._views = ReplicaViews(
            self._height, on_viewer=self._on_viewer, on_pick=self._on_pick, on_looks=self._on_looks,
            on_trouble=self.bar.tell,
        )  # fmt: skip
        self._side = ipw.VBox(layout=ipw.Layout(flex="1 1 300px", min_width="280px", max_width="460px"))
        self._body = ipw.HBox(
            [self._views, self._side], layout=ipw.Layout(flex_flow="row wrap", grid_gap="0 12px")
        )
        self.past = PastRow(
            lambda share: self._try(lambda: self.show_frame(self._frame_at(share))),
            lambda share: self._try(lambda: self.go_back(self._frame_at(share))),
            lambda share: self._try(lambda: self.go_back(self._frame_at(share), new_velocities=True)),
        )
        self.curves_of = ipw.Dropdown(
            options=[0], description="Curves, tables and frames of replica", layout=ipw.Layout(width="320px"),
            style={"description_width": "initial"},
        )  # fmt: skip
        self.curves_of.observe(lambda change: self._on_replica(), "value")
        self._plot_head = ipw.HBox([self.curves_of], layout=ipw.Layout(display="none"))
        self._plot_box = ipw.HBox(layout=ipw.Layout(width="100%", flex_flow="row wrap"))
        self.saving = SaveRow(self._on_record, self._on_save)

    def _begin(self, task: Callable[[Callable[[], bool]], Iterator[Any]], paused: bool = False) -> None:
        """Start a job; one that is still being prepared goes on in its thread for a while, and must change nothing."""
        self._attempts += 1
        number = self._attempts

        def wanted() -> bool:
            return number == self._attempts

        def take(chunks: Sequence[Any]) -> None:
            if wanted():
                self._on_chunks(chunks)

        self._asked = self._wishes()
        self.job = Job(
            lambda: task(wanted), on_item=take, name=self._name,
            expected=(ValueError, OSError, SimulationError),
        )  # fmt: skip
        self.job.subscribe(lambda job: self._on_state(job) if wanted() else None)
        self.bar.watch(self.job)
        self.job.start(paused)

    def _wishes(self) -> tuple[Any, ...]:
        """What a run is made from; the thermostat's temperature is that of the first velocities."""
        return (*self.form.values, self.control.temperature_K)

    def _stands(self) -> bool:
        """Whether the run that waits is the one that is wanted; one that has begun is."""
        begun = self.job is not None and self.job.items > 0
        return begun or self._asked == self._wishes()

    def _prepare(self, wanted: Callable[[], bool]) -> Iterator[Any]:
        """In the job's thread: read, load, show and compile; then frames without end."""
        potential, structure = self.form.load()
        check_size(structure)
        copies = [structure.copy() for _ in range(self.form.replicas.value)]
        with self._staging:
            if not wanted():
                return iter(())
            self._stage(potential, structure, len(copies))  # the page draws while the program is compiled
            if self.live is not None:  # restraints of the run before may name atoms that are no more
                self.control.biases = ()
            self.live = None  # from here on nothing of it is shown
        self.bar.refresh()
        live = LiveDynamics(
            potential, copies, ensemble=self.form.ensemble.value, control=self.control,
            seeds=[self.seed + number for number in range(len(copies))],
        )  # fmt: skip
        with self._staging:
            if not wanted():
                return iter(())
            self.live = live
        return live.run()

    def _stage(self, potential: Potential | ForceField, structure: Atoms, copies: int) -> None:
        """Views, sliders and curves for a structure; what stood there for the same one stays."""
        self._views.stage(potential, structure, copies)
        self.curves_of.options = list(range(copies))
        self._plot_head.layout.display = "" if copies > 1 else "none"
        self._views.children = tuple(self.viewers)
        before = (*self._plot_box.children, *self._side.children)
        self.plots = LivePlots(structure)
        self._plot_box.children = tuple(
            ipw.VBox([figure], layout=ipw.Layout(flex=flex, min_width="0"))
            for figure, flex in ((self.plots.curves, "3 1 420px"), (self.plots.maps, "2 1 320px"))
        )
        self.steering = SteeringBox(
            self.control, self.form.ensemble.value, picked=lambda: self.viewers[0].picked, measure=self._measure,
            symbols=structure.get_chemical_symbols(), on_change=self._say_code, on_trouble=self.bar.tell,
        )  # fmt: skip
        self._side.children = (self.steering,)
        close_all(*before)
        self.past.layout.display = self.saving.layout.display = ""

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
        viewer.observe(self._still.stir, "painted")
        self._code.follow(viewer, f"panel.viewers[{number}]")

    def _on_looks(self) -> None:
        """Other colours or arrows were chosen; a molecule at rest gets them now, a moving one with its next frame."""
        if self.live is not None and (self.job is None or self.job.state != "running"):
            self._show(self.live.frames() - 1 if self._shown_frame is None else self._shown_frame)

    def _on_pick(self, atoms: list[int]) -> None:
        self._say_code(f"panel.viewers[0].picked = {atoms}")
        if self.live is not None:
            self._updates.put((self.live,))

    def _update_plots(self, item: tuple[LiveDynamics]) -> None:
        """In the pump's thread, about twice a second."""
        (live,) = item
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
        self.past.rest(job.state == "running")
        if job.state != "running" and self.live is not None:
            self._tell_past(self.live.frames() - 1)
            self._updates.put((self.live,))

    def _words(self) -> str:
        live = self.live
        if live is None:
            return "loading and compiling" if self.job is not None and not self.job.ended else ""
        if not live.steps_per_second:
            return ""
        temperature = live.table()["temperature"].iloc[-50:].mean()
        speed = live.steps_per_second * self.control.timestep_fs * 1e-6 * 86400
        return f"{live.time_ps:.2f} ps · {temperature:.0f} K · {live.steps_per_second:.0f} steps/s = {speed:.1f} ns/day"

    def _measure(self, atoms: Sequence[int]) -> float:
        found = internal_coordinates(self._running().atoms().positions[None], {"picked": tuple(atoms)})
        return float(found.to_numpy()[0, 0])

    def _on_replica(self) -> None:
        """Another replica's curves are wanted."""
        if self.live is not None and self.plots is not None:
            self.plots.forget()
            self._updates.put((self.live,))

    def _frame_at(self, share: float) -> int:
        return round(share * (self._running().frames() - 1))

    def _tell_past(self, frame: int) -> None:
        live = self._running()
        self.past.tell(frame, live.frames(), 0.001 * float(live.table()["time_fs"].iloc[frame]))

    def _on_record(self) -> None:
        live = self.live
        if live is not None and live.recording:
            live.stop_recording()
            self._say_code("panel.live.stop_recording()")
            self.saving.recording(None)
            return
        self._try(lambda: self.saving.recording(str(self.record(self.saving.path.value)[0])))

    def _on_save(self, what: str) -> None:
        self._try(lambda: self._save(what))

    def _save(self, what: str) -> None:
        """Write something in a thread; what came of it is said behind the buttons."""
        self._running()
        number = self.curves_of.value or 0
        endings = {"frames": ".extxyz", "table": ".csv", "figure": ".html", "session": ".py"}
        target = Path(self.saving.path.value.strip() or "run").with_suffix(endings[what])
        name, replica = repr(str(target)), f", replica={number}" if number else ""
        work: dict[str, tuple[Callable[[], str], str]] = {
            "frames": (lambda: self.save_frames(target, number), f"panel.save_frames({name}{replica})"),
            "table": (
                lambda: save_text(target, self.table(number).to_csv(index=False)),
                f"panel.table({number or ''}).to_csv({name})",
            ),
            "figure": (lambda: save_text(target, _page(self.figures())), f"panel.figures()[0].write_html({name})"),
            "session": (
                lambda: save_text(target, self.session()),
                f"print(panel.session(), file=open({name}, 'w'))",
            ),
        }  # fmt: skip
        function, line = work[what]

        def finish(job: Job) -> None:
            if job.state == "failed":
                self.saving.say("")
                self.bar.tell(job.error or "")

        def tell(sentence: str) -> None:
            self.saving.say(sentence)
            self._say_code(line)

        self.saving.say(f"writing {target} …")
        self._saving = Job(lambda: iter([function()]), on_item=tell, name=f"{self._name} save")
        self._saving.subscribe(finish)
        self._saving.start()

    def _try(self, act: Callable[[], Any]) -> None:
        """Do what was clicked; what stands against it is a sentence in the panel."""
        try:
            self.bar.tell("")
            act()
        except Exception as error:
            self.bar.tell(" ".join(str(error).split()))

    def _running(self) -> LiveDynamics:
        if self.live is None:
            raise ValueError("nothing has run yet; press Start, or call panel.start()")
        return self.live

    def _constructor(self) -> str:
        model, structure, ensemble, replicas = self.form.values
        return (
            f"panel = so3lab.widgets.DynamicsPanel({model!r}, {structure!r}, ensemble={ensemble!r}, "
            f"replicas={replicas})"
        )

    def _say_code(self, line: str) -> None:
        self._code.say(line, f"at step {self.live.replicas.step if self.live is not None else 0}")


def _page(figures: Sequence[go.Figure]) -> str:
    """Figures one below the other in a page that needs no network."""
    first, *others = figures
    return first.to_html() + "".join(
        other.to_html(full_html=False, include_plotlyjs=False) for other in others
    )


def _wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
