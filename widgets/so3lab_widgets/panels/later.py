"""How a panel does what takes a second or two after a click: in a thread, saying what stands against it."""

from collections.abc import Callable, Iterator
from typing import Any

from so3lab_widgets.panels.message_line import MessageLine
from so3lab_widgets.running.jobs import Job


class Later:
    """Does one thing after the other; the newest is begun when the one before has ended.

    Args:
        message: Says what goes on, and what cannot be done.
        name: Of the jobs.
        words: What is said meanwhile.
    """

    def __init__(self, message: MessageLine, name: str, words: str):
        self._message, self._name, self._words = message, name, words
        self._job: Job | None = None

    def do(self, act: Callable[[], Any]) -> None:
        """Do it in a thread."""
        self._message.say(self._words)

        def task() -> Iterator[None]:
            self._message.try_to(act)
            return iter(())

        self._job = Job(task, name=self._name).start()

    def give_up(self) -> list[Job]:
        """Do nothing more after what is being done, which is handed out to be waited for."""
        if self._job is None:
            return []
        self._job.stop(wait=False)
        return [self._job]
