"""How a live simulation in a panel is begun, paused, looked back at and ended: its job, and what it is made from."""

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from ase import Atoms

from so3lab.dynamics.control import Control
from so3lab.dynamics.live import LiveDynamics
from so3lab.dynamics.simulation import SimulationError
from so3lab.engine.energy_model import EnergyModel
from so3lab.potential.potential import Potential
from so3lab_widgets.panels.job_bar import JobBar
from so3lab_widgets.panels.panel import Panel
from so3lab_widgets.panels.replica_views import ReplicaViews
from so3lab_widgets.panels.run_form import RunForm
from so3lab_widgets.running.jobs import Job
from so3lab_widgets.viewer.frame_source import check_size


class RunCommands(Panel):
    """A panel with a simulation that can be commanded; what is shown of it is for subclasses to say.

    Attributes:
        form: Fields for model, molecule, ensemble and replicas.
        control: The knobs.
        seed: Of the first replica; others count on.
        live: The simulation, None before the start.
        job: What runs it.
        bar: Buttons for the job, and the place of sentences.
    """

    form: RunForm
    control: Control
    seed: int
    bar: JobBar
    _views: ReplicaViews

    def _make_commands(self) -> None:
        self.live: LiveDynamics | None = None
        self.job: Job | None = None
        self._shown_frame: int | None = None
        self._staged: np.ndarray | None = None  # elements of the molecule that is shown
        self._asked: tuple[Any, ...] = ()
        self._attempts = 0
        self._staging = threading.Lock()

    def _set_structure(self, potential: Potential | EnergyModel, structure: Atoms, copies: int) -> None:
        """Prepare views, sliders and curves for a structure."""
        raise NotImplementedError

    def _on_chunks(self, chunks: Sequence[Any]) -> None:
        """In the job's thread: new frames have come."""
        raise NotImplementedError

    def _on_state(self, job: Job) -> None:
        """The job runs, waits or has ended."""
        raise NotImplementedError

    def _show(self, frame: int) -> None:
        """Show a remembered frame."""
        raise NotImplementedError

    def _show_position(self, frame: int) -> None:
        """Say which moment of the past is shown."""
        raise NotImplementedError

    def _show_code(self, line: str) -> None:
        """Show the line of Python that does what was just done."""
        raise NotImplementedError

    def start(self) -> None:
        """Start, or go on after a pause from the frame that is shown."""
        self._show_code("panel.start()")
        job = self.job
        if job is None or job.ended or job.stopping or not self._is_current():
            self._begin(self._prepare)
            return
        if self._shown_frame is not None:
            self.go_back(self._shown_frame)
        job.start()
        self.bar.refresh()

    def wait(self, step: int = 0) -> None:
        """Return when the run has come so far, waits or has ended; with 0, when the molecule is there to be seen."""

        def there() -> bool:
            job, live = self.job, self.live
            if job is None or job.ended or (step and job.pausing):
                return True
            return live is not None and (not step or (job.items > 0 and live.replicas.step >= step))

        while not there():
            time.sleep(0.01)

    def pause(self) -> None:
        """Wait after the present chunk."""
        self._show_code("panel.pause()")
        if self.job is not None:
            self.job.pause()

    def step(self) -> None:
        """While paused: one chunk of frames after the present one."""
        self._show_code("panel.step()")
        if self.job is not None:
            self._shown_frame = None
            if self.live is not None:
                self._show_position(self.live.frames() - 1)
            self.job.step()

    def stop(self, wait: bool = True) -> None:
        """End the run; what it has shown stays.

        Args:
            wait: Whether to return only when it has ended.
        """
        self._show_code("panel.stop()")
        if self.job is not None:
            self.job.stop(wait=False)
            self.bar.refresh()
            if wait:
                self.job.stop()

    def show_frame(self, frame: int) -> None:
        """Look at a moment of the past; a run pauses for it.

        Raises:
            IndexError: If it is not remembered.
            TimeoutError: If the frame in the making takes long.
        """
        live = self._running()
        if self.job is not None:
            self.job.pause_and_wait()
        last = live.frames() - 1
        if frame < 0:
            frame += last + 1
        self._show(frame)
        self._shown_frame = frame if frame < last else None
        self._show_position(min(frame, last))
        self._show_code(f"panel.show_frame({frame})")

    def go_back(self, frame: int, new_velocities: bool = False) -> None:
        """Go on from a moment of the past: as it went then, or with new thermal velocities.

        What came later is forgotten, and a recording ends.

        Raises:
            IndexError: If it is not remembered.
            TimeoutError: If the frame in the making takes long.
        """
        live = self._running()
        job = self.job
        if job is not None:
            job.pause_and_wait()
        live.go_back(frame, secrets.randbits(31) if new_velocities else None)
        self._shown_frame = None
        self._views.clear_warnings()
        self._show_code(f"panel.go_back({frame}{', new_velocities=True' if new_velocities else ''})")
        if job is None or job.ended:
            self._begin(lambda wanted: live.run())
        else:
            job.start()

    def _begin(self, task: Callable[[Callable[[], bool]], Iterator[Any]], paused: bool = False) -> None:
        """Start a job; one that is still being prepared goes on in its thread for a while, and must change nothing."""
        self._attempts += 1
        number = self._attempts

        def wanted() -> bool:
            return number == self._attempts

        def take(chunks: Sequence[Any]) -> None:
            if wanted():
                self._on_chunks(chunks)

        self._asked, self._shown_frame = self._requested(), None
        self.job = Job(
            lambda: task(wanted), on_item=take, name=self._name, expected=(ValueError, OSError, SimulationError)
        )
        self.job.subscribe(lambda job: self._on_state(job) if wanted() else None)
        self.bar.watch(self.job)
        self.job.start(paused)

    def _requested(self) -> tuple[Any, ...]:
        """What a run is made from; the thermostat's temperature is that of the first velocities."""
        return (*self.form.values, self.control.temperature_K)

    @property
    def _fields_differ(self) -> bool:
        """Whether the fields ask for another run than the one that has begun, which goes on as it is."""
        job = self.job
        return job is not None and job.items > 0 and not job.ended and self._asked[:-1] != self.form.values

    def _is_current(self) -> bool:
        """Whether the run that waits is the one that is wanted; one that has begun is."""
        begun = self.job is not None and self.job.items > 0
        return begun or self._asked == self._requested()

    def _prepare(self, wanted: Callable[[], bool]) -> Iterator[Any]:
        """In the job's thread: read, load, show and compile; then frames without end."""
        potential, structure = self.form.load()
        check_size(structure)
        copies = [structure.copy() for _ in range(self.form.replicas.value)]
        with self._staging:
            if not wanted():
                return iter(())
            before, self.live = self.live, None  # from here on nothing of it is shown
            if before is not None:
                before.stop_recording()
            if self._staged is not None and not np.array_equal(self._staged, structure.numbers):
                self.control.biases = ()  # they name atoms that are no more
            self._staged = structure.numbers.copy()
            self._set_structure(potential, structure, len(copies))  # the page draws while the program is compiled
        self.bar.refresh()
        live = LiveDynamics(
            potential,
            copies,
            ensemble=self.form.ensemble.value,
            control=self.control,
            seeds=[self.seed + number for number in range(len(copies))],
        )
        with self._staging:
            if not wanted():
                return iter(())
            self.live = live
        return live.run()

    def _try(self, act: Callable[[], Any]) -> None:
        """Do what was clicked; what stands against it is a sentence in the panel."""
        try:
            self.bar.show_message("")
            act()
        except Exception as error:
            self.bar.show_message(" ".join(str(error).split()))

    def _running(self) -> LiveDynamics:
        if self.live is None:
            raise ValueError("nothing has run yet; press Start, or call panel.start()")
        return self.live
