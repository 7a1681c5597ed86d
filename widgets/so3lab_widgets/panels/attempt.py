"""Long work that somebody may want otherwise while it is being prepared: only the newest attempt may change anything.

Reading, compiling and the like take seconds that cannot be interrupted. So a panel prepares a run in the thread of its
job, may keep it waiting until it is wanted, and begins another at any time; an older one, which is still busy for a
while, finds that it is wanted no more and changes nothing.
"""

import threading
from collections.abc import Callable, Iterator
from typing import Any

from so3lab_widgets.panels.job_bar import JobBar
from so3lab_widgets.running.jobs import Job


class GivenUp(Exception):
    """Ends the work of an attempt that is wanted no more; nobody needs to hear of it."""


class Attempt:
    """One of the runs that were asked for, as its own preparations see it."""

    def __init__(self, is_newest: Callable[["Attempt"], bool], turn: threading.Lock):
        self._is_newest, self._turn = is_newest, turn

    @property
    def wanted(self) -> bool:
        """Whether nothing else has been asked for since."""
        return self._is_newest(self)

    def check(self) -> None:
        """Go on only while this attempt is wanted.

        Raises:
            GivenUp: If it is not.
        """
        if not self.wanted:
            raise GivenUp("something else was asked for")

    def change(self, act: Callable[[], None]) -> bool:
        """Change what people see, unless this attempt is wanted no more; no two attempts change things at a time.

        Returns:
            Whether it was done; if not, there is nothing left to do.
        """
        with self._turn:
            if not self.wanted:
                return False
            act()
            return True


class Newest:
    """Hands out attempts, the last of which is the one that is wanted."""

    def __init__(self) -> None:
        self._attempt: Attempt | None = None
        self._turn = threading.Lock()

    def begin(self) -> Attempt:
        """Another attempt; those before are wanted no more."""
        self._attempt = Attempt(lambda one: one is self._attempt, self._turn)
        return self._attempt

    def give_up(self, act: Callable[[], None] | None = None) -> None:
        """Want none of them any more, and do what none of them may undo."""
        self._attempt = None
        if act is not None:
            with self._turn:
                act()


Maker = Callable[[Attempt], Iterator[Any]]
"""Prepares a run in the thread of its job, and gives what it makes."""


class Attempts:
    """The runs of a panel, one after the other, the newest of which counts.

    Args:
        make: Prepares a run and gives its items.
        asked: What a run would be made from if it began now: values that can be compared.
        bar: Shows the job.
        name: Of the jobs.
        on_item: Called in the job's thread with each item of the newest run.
        on_state: Called when the newest run runs, waits or has ended.
        progress: What share of a run an item completes, 0 to 1; without it there is no remaining time.
        expected: Errors that are a sentence for people, not a fault of ours.

    Attributes:
        job: The newest one, None before the first.
        made_from: What ``asked`` gave when it began.
    """

    def __init__(
        self,
        make: Maker,
        asked: Callable[[], tuple[Any, ...]],
        *,
        bar: JobBar,
        name: str,
        on_item: Callable[[Any], None] = lambda item: None,
        on_state: Callable[[Job], None] = lambda job: None,
        progress: Callable[[Any], float | None] = lambda item: None,
        expected: tuple[type[BaseException], ...] = (ValueError, OSError),
    ):
        self._make, self._asked, self._bar, self._name = make, asked, bar, name
        self._on_item, self._on_state, self._expected = on_item, on_state, expected
        self._progress = progress
        self._newest = Newest()
        self.job: Job | None = None
        self.made_from: tuple[Any, ...] = ()

    @property
    def begun(self) -> bool:
        """Whether the newest run has made something, and has not ended."""
        return self.job is not None and self.job.items > 0 and not self.job.ended

    @property
    def goes_on(self) -> bool:
        """Whether :meth:`start` goes on with the newest run: it has begun, or waits and is what is asked for now."""
        job = self.job
        return job is not None and not (job.ended or job.stopping) and (self.begun or self.made_from == self._asked())

    def prepare(self) -> None:
        """Prepare a run that waits before its first item: whoever starts it later need not wait."""
        self.begin(self._make, paused=True)

    def start(self) -> None:
        """Let the newest run go on, or begin another where that is none or another is asked for."""
        if not self.goes_on or self.job is None:
            self.begin(self._make)
            return
        self.job.start()
        self._bar.refresh()

    def begin(self, make: Maker, paused: bool = False) -> None:
        """Begin a run; those before are wanted no more.

        Args:
            make: As for the others, or another way to go on.
            paused: Whether it waits before its first item.
        """
        attempt = self._newest.begin()
        self.made_from = self._asked()
        self.job = Job(
            lambda: make(attempt),
            on_item=lambda item: self._on_item(item) if attempt.wanted else None,
            progress=self._progress,
            name=self._name,
            expected=self._expected,
        )
        self.job.subscribe(lambda job: self._on_state(job) if attempt.wanted else None)
        self._bar.watch(self.job)
        self.job.start(paused)
        self._bar.refresh()

    def pause(self) -> None:
        """Wait after the present item."""
        if self.job is not None:
            self.job.pause()

    def stop(self, wait: bool = True) -> None:
        """End the newest run.

        Args:
            wait: Whether to return only when it has ended.
        """
        if self.job is not None:
            self.job.stop(wait=False)
            self._bar.refresh()
            if wait:
                self.job.stop()

    def give_up(self) -> list[Job]:
        """Want none of them any more, without waiting; what runs still changes nothing, and is handed out."""
        self._newest.give_up()
        if self.job is None:
            return []
        self.job.stop(wait=False)
        return [self.job]
