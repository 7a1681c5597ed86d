"""Molecular dynamics that somebody watches and steers: the molecule, its sliders and its curves, all of them live."""

import functools
import html
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import ipywidgets as ipw
import plotly.graph_objects as go
from ase import Atoms

import so3lab
from so3lab import atom_values
from so3lab.control import Control
from so3lab.force_field import ForceField
from so3lab.live import LiveDynamics
from so3lab.observables import internal_coordinates
from so3lab.potential import Potential
from so3lab.simulation import SimulationError
from so3lab.structures import read_structure
from so3lab_widgets.code_line import CodeLine
from so3lab_widgets.colouring import Colouring
from so3lab_widgets.drawable import check_size
from so3lab_widgets.frame_choice import save_text
from so3lab_widgets.job_bar import JobBar, button
from so3lab_widgets.jobs import Job
from so3lab_widgets.live_plots import FASTEST_HZ, LivePlots
from so3lab_widgets.panel import Panel, close_all
from so3lab_widgets.pump import Pump
from so3lab_widgets.steering_box import SteeringBox
from so3lab_widgets.still import Pictured, Still
from so3lab_widgets.viewer import Viewer

ENSEMBLES = ("langevin", "nve", "nose-hoover", "csvr", "npt", "npt-flexible")
MOST_REPLICAS = 4
_WRAP = {"flex_flow": "row wrap", "align_items": "center"}


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
        viewers: A view of each replica.
        control: The knobs; what is set here and what sliders do is the same, but sliders do not follow.
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
        if ensemble not in ENSEMBLES:
            raise ValueError(f"ensemble must be one of {', '.join(ENSEMBLES)}, got {ensemble!r}")
        if not 1 <= replicas <= MOST_REPLICAS:
            raise ValueError(f"replicas must be 1 to {MOST_REPLICAS}, got {replicas}")
        self._take_name(name)
        self.control, self.seed, self._height = control or Control(), seed, height
        self._model, self._structure = model, structure
        self.live: LiveDynamics | None = None
        self.job: Job | None = None
        self.plots: LivePlots | None = None
        self.steering: SteeringBox | None = None
        self.viewers: list[Viewer] = []
        self._shown_frame: int | None = None
        self._warned: set[int] = set()
        self._past_set = 1.0
        self._asked: tuple[Any, ...] = ()
        self._said: list[tuple[int, str]] = []
        self._still = Still(self, self._pictured)
        self._colouring = Colouring({})
        self._updates = Pump(self._update_plots, FASTEST_HZ, name="live plots")
        self._make_controls(ensemble, replicas)
        super().__init__(
            [self._head, self.bar, self._body, self._past_row, self._plot_box, self._save_row, self._code]
        )
        self._say_code(self._constructor())
        if start:
            self.start()
        else:
            self._begin(self._prepare, paused=True)  # whoever starts it later need not wait

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
        if self.job is not None:
            self.job.pause()

    def step(self) -> None:
        """While paused: one chunk of frames."""
        if self.job is not None:
            self._shown_frame = None
            self.job.step()

    def stop(self) -> None:
        """End the run; what it has shown stays."""
        if self.job is not None:
            self.job.stop()

    def show_frame(self, frame: int) -> None:
        """Look at a moment of the past; a run pauses for it.

        Raises:
            IndexError: If it is not remembered.
        """
        live = self._running()
        self.pause()
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
        self._warned.clear()
        for viewer in self.viewers:
            viewer.notice = ""
        self._say_code(f"panel.go_back({frame}{', new_velocities=True' if new_velocities else ''})")
        if job is None or job.ended:
            self._begin(lambda: live.run())
        else:
            job.start()

    def record(self, path: str | Path) -> list[Path]:
        """Write frames to disk from now on; a file, or a folder for several replicas."""
        written = self._running().record(path, {"model": self.model.value, "structure": self.structure.value})
        self._say_code(f"panel.record({str(path)!r})")
        return written

    def table(self, replica: int = 0):
        """What is remembered, one row per frame."""
        return self._running().table(replica)

    def session(self) -> str:
        """All that was clicked as lines of Python, each with the step at which it was done."""
        return "import so3lab\n\n" + "".join(f"{line}  # at step {step}\n" for step, line in self._said)

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
        self.stop()
        if self.live is not None:
            self.live.stop_recording()
        self._still.close()
        self._colouring.close()
        self._updates.close()
        for viewer in self.viewers:
            viewer.close()
        if self.plots is not None:
            self.plots.close()
        super().close()

    def _ipython_display_(self) -> None:
        self._still.show()

    def _pictured(self) -> list[Pictured]:
        """What a picture of the panel shows."""
        return [*self.viewers, *((self.plots.curves, self.plots.maps) if self.plots is not None else ())]

    def _make_controls(self, ensemble: str, replicas: int) -> None:
        wide = ipw.Layout(width="230px")
        self.model = ipw.Text(
            _name_of(self._model), description="Model", layout=wide, style={"description_width": "60px"}
        )
        self.structure = ipw.Text(
            _name_of(self._structure), description="Molecule", layout=wide, style={"description_width": "60px"},
            tooltip="a bundled name, a file, or smiles:CCO",
        )  # fmt: skip
        self.ensemble = ipw.Dropdown(
            options=ENSEMBLES,
            value=ensemble,
            description="Ensemble",
            layout=ipw.Layout(width="210px"),
            style={"description_width": "68px"},
        )
        self.replicas = ipw.BoundedIntText(
            replicas,
            min=1,
            max=MOST_REPLICAS,
            description="Replicas",
            layout=ipw.Layout(width="130px"),
            style={"description_width": "68px"},
        )
        self._head = ipw.HBox(
            [self.model, self.structure, self.ensemble, self.replicas], layout=ipw.Layout(**_WRAP)
        )
        self.bar = JobBar(lambda: self._try(self.start), self._words)
        self._views = ipw.HBox(
            layout=ipw.Layout(flex="3 1 480px", min_width="0", **{"flex_flow": "row wrap"})
        )
        self._side = ipw.VBox(layout=ipw.Layout(flex="1 1 300px", min_width="280px", max_width="460px"))
        self._body = ipw.HBox(
            [self._views, self._side], layout=ipw.Layout(flex_flow="row wrap", grid_gap="0 12px")
        )
        self.past = ipw.FloatSlider(  # of constant range: pages answer a change of the range with a value of their own
            1.0, min=0.0, max=1.0, step=0.001, readout=False, description="Past",
            layout=ipw.Layout(flex="1 1 300px"), style={"description_width": "40px"},
        )  # fmt: skip
        self._past_words = ipw.Label(layout=ipw.Layout(width="220px"))
        self.past.observe(self._on_past, "value")
        again = button(
            "Go on from here", "play", "as it went then; later frames are forgotten", self._on_again
        )
        anew = button("New velocities", "refresh", "another future from this frame", self._on_anew)
        self.again_button, self.anew_button = again, anew
        self._past_row = ipw.HBox(
            [self.past, self._past_words, again, anew], layout=ipw.Layout(display="none", **_WRAP)
        )
        self._plot_box = ipw.HBox(layout=ipw.Layout(width="100%", flex_flow="row wrap"))
        self.path = ipw.Text("run.h5", description="File", layout=wide, style={"description_width": "40px"})
        self.record_button = button(
            "Record", "circle", "write frames to this file from now on", self._on_record
        )
        save_table = button(
            "Table", "download", "what is remembered as CSV beside the file", self._on_save_table
        )
        save_figure = button(
            "Figure", "download", "the curves as a page that opens without a network", self._on_save_figure
        )
        save_session = button(
            "Session", "download", "all that was clicked as a Python script", self._on_save_session
        )
        self.save_table_button, self.save_figure_button, self.save_session_button = (
            save_table, save_figure, save_session,
        )  # fmt: skip
        self._saved = ipw.HTML()
        self._save_row = ipw.HBox(
            [self.path, self.record_button, save_table, save_figure, save_session, self._saved],
            layout=ipw.Layout(display="none", **_WRAP),
        )
        self._code = CodeLine()

    def _begin(self, task: Callable[[], Iterator[Any]], paused: bool = False) -> None:
        self._asked = self._wishes()
        self.job = Job(
            task, on_item=self._on_chunks, name=self._name, expected=(ValueError, OSError, SimulationError)
        )
        self.job.subscribe(self._on_state)
        self.bar.watch(self.job)
        self.job.start(paused)

    def _wishes(self) -> tuple[Any, ...]:
        """What a run is made from; the thermostat's temperature is that of the first velocities."""
        fields = (self.model, self.structure, self.ensemble, self.replicas)
        return (*(field.value for field in fields), self.control.temperature_K)

    def _stands(self) -> bool:
        """Whether the run that waits is the one that is wanted; one that has begun is."""
        begun = self.job is not None and self.job.items > 0
        return begun or self._asked == self._wishes()

    def _prepare(self) -> Iterator[Any]:
        """In the job's thread: read, load, show and compile; then frames without end."""
        potential, structure = self._inputs()
        check_size(structure)
        copies = [structure.copy() for _ in range(self.replicas.value)]
        self._stage(potential, structure, len(copies))  # the page draws while the program is compiled
        if self.live is not None:  # restraints of the run before may name atoms that are no more
            self.control.biases = ()
        live = LiveDynamics(
            potential, copies, ensemble=self.ensemble.value, control=self.control,
            seeds=[self.seed + number for number in range(len(copies))],
        )  # fmt: skip
        self._warned.clear()
        self.live = live
        return live.run()

    def _inputs(self) -> tuple[Any, Atoms]:
        """Model and structure, as the fields say or as they were given."""
        from so3lab.app.inputs import prepare_machine

        prepare_machine(
            keep_programs=os.environ.get("TF_CPP_MIN_LOG_LEVEL", "1") > "1"
        )  # else reading them is loud
        model, structure = self.model.value.strip(), self.structure.value.strip()
        given_model = not isinstance(self._model, str) and model == _name_of(self._model)
        given_structure = isinstance(self._structure, Atoms) and structure == _name_of(self._structure)
        if not (given_structure or structure):
            raise ValueError(
                "the molecule must be a bundled name (ethanol), a file, or smiles:CCO; the field is empty"
            )
        return (
            self._model if given_model else so3lab.load(model),
            self._structure.copy() if given_structure else read_structure(structure),  # type: ignore[union-attr]
        )

    def _stage(self, potential: Potential | ForceField, structure: Atoms, copies: int) -> None:
        """Views, sliders and curves for a structure; what stood there for the same one stays."""
        self._colouring.close()
        if isinstance(potential, Potential):
            links = functools.partial(atom_values.attention_links, potential)
            self._colouring = Colouring(atom_values.of(potential), links, self.bar.tell)
        else:
            self._colouring = Colouring({})
        colours = self._colouring.names
        while len(self.viewers) > copies:
            close_all(self.viewers.pop())
        for viewer in self.viewers:
            viewer.show_live(structure, colours)
        while len(self.viewers) < copies:
            viewer = Viewer(height=self._height, layout=ipw.Layout(min_width="240px"))
            viewer.show_live(structure, colours)
            viewer.observe(self._on_pick, "picked")
            viewer.observe(self._on_colour, "colour")
            viewer.observe(self._still.stir, "painted")
            self.viewers.append(viewer)
        for viewer in self.viewers:
            viewer.layout.flex = f"1 1 {90 // copies}%"
        self._views.children = tuple(self.viewers)
        before = (*self._plot_box.children, *self._side.children)
        self.plots = LivePlots(structure)
        self._plot_box.children = tuple(
            ipw.VBox([figure], layout=ipw.Layout(flex=flex, min_width="0"))
            for figure, flex in ((self.plots.curves, "3 1 420px"), (self.plots.maps, "2 1 320px"))
        )
        self.steering = SteeringBox(
            self.control, self.ensemble.value, picked=lambda: self.viewers[0].picked, measure=self._measure,
            symbols=structure.get_chemical_symbols(), on_change=self._say_code, on_trouble=self.bar.tell,
        )  # fmt: skip
        self._side.children = (self.steering,)
        close_all(*before)
        self._past_row.layout.display = self._save_row.layout.display = ""

    def _on_chunks(self, chunks: Sequence[Any]) -> None:
        """In the job's thread: the newest frame of each replica goes to its view."""
        live = self.live
        if live is None:
            return
        for viewer, chunk in zip(self.viewers, chunks, strict=False):
            if len(chunk):
                self._push(viewer, chunk)
        self._colour(-1)
        self._warn()
        self._updates.put((live,))

    def _push(self, viewer: Viewer, chunk: Any) -> None:
        """Show the last frame of a chunk."""
        viewer.push(
            chunk.positions[-1], cell=None if chunk.cell is None else chunk.cell[-1],
            values=self._colouring.of_chunk(viewer, chunk),
        )  # fmt: skip

    def _colour(self, frame: int, resting: bool = False) -> None:
        """Ask the model for colours of a frame, where such colours are chosen."""
        live = self._running()
        self._colouring.ask(
            [
                (viewer, functools.partial(live.atoms, number, min(frame, live.frames(number) - 1)))
                for number, viewer in enumerate(self.viewers)
            ],
            resting,
        )

    def _on_colour(self, change: Any) -> None:
        """Another colour was chosen; a molecule at rest gets it now, a moving one with its next frame."""
        if self.live is not None and (self.job is None or self.job.state != "running"):
            self._show(self.live.frames() - 1 if self._shown_frame is None else self._shown_frame)

    def _show(self, frame: int) -> None:
        live = self._running()
        for number, viewer in enumerate(self.viewers):
            self._push(viewer, live.frame(number, min(frame, live.frames(number) - 1)))
        self._colour(frame, resting=True)

    def _warn(self) -> None:
        """Say at once who blew up, and mark the atoms of the bond that went."""
        live = self.live
        if live is None or live.replicas.alive.all():
            return
        for number, sentence in live.obituaries.items():
            if number not in self._warned:
                self._warned.add(number)
                self.viewers[number].notice = sentence.split(". Try")[0]
                bond = live.weakest_bond(number)
                if bond is not None:
                    self.viewers[number].picked = list(bond)

    def _update_plots(self, item: tuple[LiveDynamics]) -> None:
        """In the pump's thread, about twice a second."""
        (live,) = item
        if self.plots is None or live is not self.live or not self.viewers:
            return
        self._warn()
        self.plots.update(live, 0, tuple(self.viewers[0].picked))
        self.bar.refresh()
        self._updates.limit(self.plots.rate_hz)
        self._updates.report(1)

    def _on_state(self, job: Job) -> None:
        """The slider of the past is for whoever has paused or ended the run; while it runs, the present is shown."""
        self.past.disabled = job.state == "running"
        self._past_set = self.past.value = 1.0
        self._past_words.value = ""
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

    def _on_pick(self, change: Any) -> None:
        for viewer in self.viewers:
            if viewer is not change.owner and viewer.picked != change.new:
                viewer.picked = change.new
        self._say_code(f"panel.viewers[0].picked = {list(change.new)}")
        if self.live is not None:
            self._updates.put((self.live,))

    def _on_past(self, change: Any) -> None:
        if change.new != self._past_set and not self.past.disabled:
            self._past_set = change.new
            self._try(lambda: self.show_frame(self._past_frame()))

    def _past_frame(self) -> int:
        """Where the slider stands."""
        return round(self.past.value * (self._running().frames() - 1))

    def _tell_past(self, frame: int) -> None:
        live = self._running()
        when = 0.001 * float(live.table()["time_fs"].iloc[frame])
        self._past_words.value = f"frame {frame:,} of {live.frames() - 1:,}, {when:.3f} ps"

    def _on_again(self) -> None:
        self._try(lambda: self.go_back(self._past_frame()))

    def _on_anew(self) -> None:
        self._try(lambda: self.go_back(self._past_frame(), new_velocities=True))

    def _on_record(self) -> None:
        live = self.live
        if live is not None and live.recording:
            live.stop_recording()
            self.record_button.description = "Record"
            return

        def begin() -> None:
            files = self.record(self.path.value)
            self._saved.value = f"recording to {html.escape(str(files[0]))}"
            self.record_button.description = "End file"

        self._try(begin)

    def _on_save_table(self) -> None:
        self._save(".csv", lambda: self.table().to_csv(index=False), "panel.table().to_csv({})")

    def _on_save_figure(self) -> None:
        self._save(".html", lambda: _page(self.figures()), "panel.figures()[0].write_html({})")

    def _on_save_session(self) -> None:
        self._save(".py", self.session, "pathlib.Path({}).write_text(panel.session())")

    def _save(self, ending: str, text: Callable[[], str], code: str) -> None:
        target = Path(self.path.value).with_suffix(ending)

        def write() -> None:
            self._saved.value = html.escape(save_text(target, text()))
            self._say_code(code.format(repr(str(target))))

        self._try(write)

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
        return (
            f"panel = so3lab.widgets.DynamicsPanel({self.model.value!r}, {self.structure.value!r}, "
            f"ensemble={self.ensemble.value!r}, replicas={self.replicas.value})"
        )

    def _say_code(self, line: str) -> None:
        self._code.code = line
        target = line.partition(" = ")[0]
        if "=" in line and self._said and self._said[-1][1].startswith(f"{target} = "):
            self._said.pop()  # a slider on its way
        self._said.append((self.live.replicas.step if self.live is not None else 0, line))


def _name_of(thing: Any) -> str:
    """What a field shows for an object that was given."""
    if isinstance(thing, str):
        return thing
    return thing.get_chemical_formula() if isinstance(thing, Atoms) else f"({type(thing).__name__})"


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
