"""The simulation behind a panel: how it is made from the form, commanded, looked back at and gone on from."""

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from ase import Atoms

from so3lab.dynamics.control import Control
from so3lab.dynamics.ensembles import ENSEMBLES
from so3lab.dynamics.live import LiveDynamics
from so3lab.dynamics.replicas import SimulationError
from so3lab_widgets.panels.attempt import Attempt, Attempts
from so3lab_widgets.panels.job_bar import JobBar
from so3lab_widgets.panels.run_form import RunForm
from so3lab_widgets.running.jobs import Job
from so3lab_widgets.viewer.frame_source import check_size


class LiveRun:
    """A simulation that can be started, paused, looked back at and gone on from; it draws nothing itself.

    Args:
        form: What it is made from.
        control: The knobs.
        seed: Of the first replica; others count on.
        simulate: Makes the simulation, as :class:`so3lab.dynamics.live.LiveDynamics` does.
        bar: Shows the job.
        name: Of the job.
        on_structure: Called with model, structure and number of replicas as soon as they are known.
        on_chunks: Called in the job's thread with new frames of each replica.
        on_state: Called when it runs, waits or has ended.
        on_look: Called with a remembered frame that is to be drawn.

    Attributes:
        live: The simulation, None before it is made.
        shown_frame: The moment of the past that is looked at; None for the present.
    """

    def __init__(
        self,
        form: RunForm,
        control: Control,
        seed: int,
        *,
        simulate: Callable[..., LiveDynamics],
        bar: JobBar,
        name: str,
        on_structure: Callable[[Any, Atoms, int], None],
        on_chunks: Callable[[LiveDynamics, Sequence[Any]], None],
        on_state: Callable[[Job], None],
        on_look: Callable[[int], None],
    ):
        self.form, self.control, self.seed = form, control, seed
        self._simulate, self._bar = simulate, bar
        self._on_structure, self._on_chunks, self._on_look = on_structure, on_chunks, on_look
        self.live: LiveDynamics | None = None
        self.shown_frame: int | None = None
        self._numbers: np.ndarray | None = None  # elements of the molecule that is shown
        self.attempts = Attempts(
            self._prepare,
            lambda: (*form.values, control.temperature_K),  # that of the thermostat is that of the first velocities
            bar=bar,
            name=name,
            on_item=self._take,
            on_state=on_state,
            expected=(ValueError, OSError, SimulationError),
        )

    @property
    def job(self) -> Job | None:
        """What runs it."""
        return self.attempts.job

    @property
    def present(self) -> LiveDynamics:
        """The simulation.

        Raises:
            ValueError: If there is none yet.
        """
        if self.live is None:
            raise ValueError("nothing has run yet; press Start, or call panel.start()")
        return self.live

    @property
    def fields_differ(self) -> bool:
        """Whether the form asks for another run than the one that has begun, which goes on as it is."""
        *made, temperature = self.attempts.made_from or (None,)
        acts_at_once = "temperature_K" in ENSEMBLES[self.form.ensemble.value].parameters
        differ = made != [*self.form.values] or not (acts_at_once or temperature == self.control.temperature_K)
        return self.attempts.begun and differ

    @property
    def words(self) -> str:
        """Time, temperature and speed."""
        live = self.live
        if live is None:
            return "loading and compiling" if self.job is not None and not self.job.ended else ""
        if not live.steps_per_second:
            return ""
        temperature = live.table()["temperature"].iloc[-50:].mean()
        speed = live.steps_per_second * self.control.timestep_fs * 1e-6 * 86400
        pace = f"{live.steps_per_second:.0f} steps/s = {speed:.1f} ns/day"
        later = " · what the fields say begins after Stop and Start" if self.fields_differ else ""
        return f"{live.time_ps:.2f} ps · {temperature:.0f} K · {pace}{later}"

    def wait(self, step: int = 0) -> None:
        """Return when the run has come so far, waits or has ended; with 0, when the molecule is there to be seen."""

        def there() -> bool:
            job, live = self.job, self.live
            if job is None or job.ended or (step and job.pausing):
                return True
            return live is not None and (not step or (job.items > 0 and live.replicas.step >= step))

        while not there():
            time.sleep(0.01)

    def start(self) -> None:
        """Start, or go on from the present after a pause."""
        if not self.attempts.goes_on:
            self.shown_frame = None
        self.attempts.start()

    def step(self) -> None:
        """While paused: one chunk of frames after the present one, whatever is looked at."""
        if self.job is not None:
            self.shown_frame = None
            self.job.step()

    def look(self, frame: int) -> int:
        """Look at a moment of the past; the run pauses for it. Returns its number, the last one at most.

        Raises:
            IndexError: If it is not remembered.
            TimeoutError: If the frame in the making takes long.
        """
        live = self.present
        if self.job is not None:
            self.job.pause_and_wait()
        last = live.frames() - 1
        if frame < 0:
            frame += last + 1
        self._on_look(frame)
        self.shown_frame = frame if frame < last else None
        return min(frame, last)

    def frame_at(self, time_ps: float) -> int:
        """The remembered frame that is nearest to a moment.

        Raises:
            ValueError: If nothing has run yet.
        """
        return int((self.present.table()["time_fs"] - 1000.0 * time_ps).abs().to_numpy().argmin())

    def rewind(self, frame: int, new_velocities: bool = False) -> None:
        """Make a moment of the past the present, as it was or with new thermal velocities; later ones are forgotten.

        Raises:
            IndexError: If it is not remembered.
            TimeoutError: If the frame in the making takes long.
        """
        live = self.present
        if self.job is not None:
            self.job.pause_and_wait()
        live.go_back(frame, secrets.randbits(31) if new_velocities else None)
        self.shown_frame = None

    def go_on(self) -> None:
        """Go on from the present, also where the run had ended."""
        live, job = self.present, self.job
        if job is None or job.ended:
            self.attempts.begin(lambda attempt: live.run())
        else:
            job.start()

    def _prepare(self, attempt: Attempt) -> Iterator[Any]:
        """In the job's thread: read, load, show and compile; then frames without end."""
        potential, structure = self.form.load()
        check_size(structure)
        copies = [structure.copy() for _ in range(self.form.replicas.value)]
        # The page draws the molecule while the program is compiled.
        if not attempt.change(lambda: self._show_first(potential, structure, len(copies))):
            return iter(())
        self._bar.refresh()
        live = self._simulate(
            potential,
            copies,
            ensemble=self.form.ensemble.value,
            control=self.control,
            seeds=[self.seed + number for number in range(len(copies))],
        )
        return live.run() if attempt.change(lambda: self._become(live)) else iter(())

    def _take(self, chunks: Sequence[Any]) -> None:
        if (live := self.live) is not None:
            self._on_chunks(live, chunks)

    def _show_first(self, potential: Any, structure: Atoms, copies: int) -> None:
        before, self.live, self.shown_frame = self.live, None, None  # from here on nothing of it is shown
        if before is not None:
            before.stop_recording()
        if self._numbers is not None and not np.array_equal(self._numbers, structure.numbers):
            self.control.biases = ()  # they name atoms that are no more
        self._numbers = structure.numbers.copy()
        self._on_structure(potential, structure, copies)

    def _become(self, live: LiveDynamics) -> None:
        self.live = live
