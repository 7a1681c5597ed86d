"""One way to run a long task: a generator in a thread of its own, with start, pause, step and stop.

The kernel stays free for other cells. A job belongs to a name: starting another one under that name stops it, so that a
cell may run again; the page may be closed and opened, for the state lives in the kernel, and ends with it.
"""

import atexit
import contextlib
import sys
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, Generic, Literal, TypeVar

from so3lab_widgets.running.threads import new_thread

State = Literal["ready", "running", "paused", "finished", "stopped", "failed"]
Item = TypeVar("Item")

ENDED: tuple[State, ...] = ("finished", "stopped", "failed")
_LONGEST_LOG = 500
_PATIENCE_S = 10.0
"""How long to wait for a thread that was told to stop; an item in the making is finished first."""
_TURN_S = 0.0005
"""How long a thread may keep others from Python while a job runs; by default it is ten times as long."""
_NAMED: dict[str, "Job[Any]"] = {}
_NAMES = threading.Lock()


class Job(Generic[Item]):
    """A generator that runs in a thread, and what is known about it.

    Args:
        task: Called in the thread; what it returns is run through to its end.
        on_item: Called in the thread with each item; an error in it fails the job.
        progress: What share of the task an item completes, 0 to 1; without it there is no remaining time.
        name: At most one job of a name runs; starting it stops the one before.
        expected: Errors whose sentence says everything; of others the log keeps where they came from.

    Attributes:
        state: ``ready``, ``running``, ``paused``, ``finished``, ``stopped`` or ``failed``.
        error: What went wrong, in a sentence; None unless the state is ``failed``.
        log: Lines with times: what happened, and where an error came from.
    """

    def __init__(
        self,
        task: Callable[[], Iterator[Item]],
        *,
        on_item: Callable[[Item], None] = lambda item: None,
        progress: Callable[[Item], float | None] = lambda item: None,
        name: str = "job",
        expected: tuple[type[BaseException], ...] = (),
    ):
        self.name = name
        self.state: State = "ready"
        self.error: str | None = None
        self.log: list[str] = []
        self.progress = 0.0
        self.items = 0
        self._task, self._on_item, self._progress, self._expected = task, on_item, progress, expected
        self._listeners: list[Callable[[Job[Item]], None]] = []
        self._changed = threading.Condition()
        self._wanted: State = "ready"
        self._single_steps = 0
        self._idle = True  # nothing is in the making, and all listeners have been told
        self._active_s, self._active_since = 0.0, 0.0
        self._first: tuple[float, float] | None = None  # elapsed time and progress at the first item
        self._thread: threading.Thread | None = None
        self._before: Job[Any] | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.state in ENDED

    @property
    def elapsed_s(self) -> float:
        """Seconds that the job was not paused."""
        running = time.monotonic() - self._active_since if self.state == "running" else 0.0
        return self._active_s + running

    @property
    def remaining_s(self) -> float | None:
        """Seconds until the end at the pace since the first item, before which there was no work that an item tells of;
        None where nobody can tell."""
        if self.progress == 1.0:
            return 0.0
        if self._first is None or not self._first[1] < self.progress:
            return None
        since_s, share = self.elapsed_s - self._first[0], self.progress - self._first[1]
        return since_s * (1.0 - self.progress) / share

    def subscribe(self, listener: Callable[["Job[Item]"], None]) -> Callable[[], None]:
        """Call ``listener(job)`` when the state changes, from whatever thread; returns how to end that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    @property
    def pausing(self) -> bool:
        """Whether it is paused, or will be after what it is doing."""
        return self._wanted == "paused"

    @property
    def waiting(self) -> bool:
        """Whether it was started, and the one before it under its name is still busy."""
        return self.state == "ready" and self._before is not None

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop, and has not ended yet."""
        return self._wanted == "stopped" and not self.ended

    def start(self, paused: bool = False) -> "Job[Item]":
        """Run, or run on after a pause.

        Args:
            paused: Whether to call the task and wait before its first item: the preparations of a long task.
        """
        with self._changed:
            if self._wanted == "paused" and not paused:
                self._wanted, self._single_steps = "running", 0
                self._changed.notify_all()
            if self._wanted != "ready":
                return self
            self._wanted, self._idle = "paused" if paused else "running", False
            self._thread = new_thread(self._run, self.name)
            self._before = _replace(self)
            self._thread.start()  # before anybody may stop it and wait for it
        return self

    def pause(self) -> None:
        """Wait after the item in the making."""
        with self._changed:
            self._single_steps = 0
            if self._wanted == "running":
                self._wanted = "paused"

    def pause_and_wait(self, timeout_s: float = _PATIENCE_S) -> None:
        """Pause, and return only when nothing is in the making.

        Raises:
            TimeoutError: If the item in the making takes longer.
        """
        self.pause()
        if self._thread is threading.current_thread():
            return
        with self._changed:
            if not self._changed.wait_for(lambda: self._idle and not self.stopping, timeout_s):
                raise TimeoutError(
                    f"the run has not paused within {timeout_s:g} s, for what it is doing takes longer; try again later"
                )

    def step(self) -> None:
        """While paused: make one item and wait again."""
        with self._changed:
            if self._wanted == "paused":
                self._single_steps += 1
                self._changed.notify_all()

    def stop(self, wait: bool = True) -> None:
        """End after the item in the making; the generator is closed, so that files are complete."""
        with self._changed:
            if not self.ended:
                self._wanted = "stopped"
                self._changed.notify_all()
                if self._thread is None:
                    self.state = "stopped"
        if wait:  # also for one that has ended already: its listeners may not have been told yet
            self.join(_PATIENCE_S)

    def join(self, timeout_s: float | None = None) -> None:
        """Wait for the end, unless this is the job's own thread."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def rest(self) -> None:
        """Return when it has ended, or waits and nothing is in the making."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._idle and (self.ended or (self._wanted in ("ready", "paused") and not self._single_steps))
            )

    def note(self, line: str) -> None:
        """Add a line to the log."""
        self.log.append(f"{time.strftime('%H:%M:%S')}  {line}")
        del self.log[:-_LONGEST_LOG]

    def _run(self) -> None:
        if self._before is not None:
            self._before.join(_PATIENCE_S)
            self._before = None
        self._become("running")
        try:
            with _short_turns, contextlib.ExitStack() as stack:
                items: Iterator[Item] = iter(()) if self.stopping else self._task()
                if isinstance(items, Generator):
                    stack.enter_context(contextlib.closing(items))
                ending = self._go_through(items)
        except BaseException as error:  # a thread has no caller: whatever it is, it is shown
            self.error = " ".join(str(error).split()) or type(error).__name__
            if not isinstance(error, self._expected):
                self.note(traceback.format_exc().rstrip())
            ending = "failed"
        self._become(ending)
        with _NAMES:
            if _NAMED.get(self.name) is self:
                del _NAMED[self.name]
        with self._changed:
            self._idle = True
            self._changed.notify_all()

    def _go_through(self, items: Iterator[Item]) -> State:
        while self._may_go_on():
            try:
                item = next(items)
            except StopIteration:
                return "finished"
            self.items += 1
            share = self._progress(item)
            if share is not None:
                self.progress = min(1.0, max(0.0, share))
                self._first = self._first or (self.elapsed_s, self.progress)
            self._on_item(item)
        return "stopped"

    def _may_go_on(self) -> bool:
        """Wait out a pause; False when the job is to stop."""
        while True:
            with self._changed:
                wanted = self._wanted
                if wanted == "paused" and self._single_steps:
                    self._single_steps -= 1
                    return True
                if wanted == self.state == "paused":
                    self._idle = True
                    self._changed.notify_all()
                    self._changed.wait_for(lambda: self._wanted != "paused" or self._single_steps)
                    self._idle = False
                    continue
            if wanted != "stopped" and wanted != self.state:
                self._become(wanted)
            if wanted != "paused":
                return wanted == "running"

    def _become(self, state: State) -> None:
        now = time.monotonic()
        if self.state == "running":
            self._active_s += now - self._active_since
        if state == "running":
            self._active_since = now
        with self._changed:
            self.state = state
            self._changed.notify_all()
        self.note(state if self.error is None else f"{state}: {self.error}")
        for listener in list(self._listeners):
            try:
                listener(self)
            except Exception:
                self.note(traceback.format_exc().rstrip())


class _ShortTurns:
    """While any job runs, threads take turns more often: frames, sliders and other cells wait less for each other."""

    def __init__(self) -> None:
        self._lock, self._jobs, self._before = threading.Lock(), 0, 0.0

    def __enter__(self) -> None:
        with self._lock:
            if self._jobs == 0:
                self._before = sys.getswitchinterval()
                sys.setswitchinterval(min(_TURN_S, self._before))
            self._jobs += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._jobs -= 1
            if self._jobs == 0:
                sys.setswitchinterval(self._before)


_short_turns = _ShortTurns()


def running() -> list[Job[Any]]:
    """All jobs that have not ended."""
    with _NAMES:
        return list(_NAMED.values())


def stop_all(jobs: Iterable[Job[Any]] | None = None) -> None:
    """Stop these jobs, or every one, and wait for all of them no longer than for one."""
    ending = running() if jobs is None else list(jobs)
    for job in ending:
        job.stop(wait=False)
    deadline = time.monotonic() + _PATIENCE_S
    for job in ending:
        job.join(max(0.0, deadline - time.monotonic()))


def _replace(job: Job[Any]) -> "Job[Any] | None":
    """Give a job its name; the one that runs under it is told to stop, and handed out to be waited for."""
    with _NAMES:
        before, _NAMED[job.name] = _NAMED.get(job.name), job
    if before is None or before is job:
        return None
    before.stop(wait=False)
    return before


atexit.register(stop_all)
