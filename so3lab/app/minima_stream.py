"""How the commands that look for minima and for saddles follow what they find: progress, remarks, interrupts."""

import time
from collections.abc import Callable, Generator
from typing import Any, Protocol

from so3lab.app.console import Console, Interrupted


class Found(Protocol):
    """What a search tells of one of its attempts."""

    @property
    def outcome(self) -> str:
        """``new`` for what had not been found before."""

    @property
    def sentence(self) -> str:
        """The outcome in words."""


def follow(
    console: Console,
    what: str,
    found: Generator[Found],
    share: Callable[[float], float],
    note: Callable[[float], str],
    if_interrupted: Callable[[], str],
) -> float:
    """Draw progress until a search has ended; return the minutes that it took.

    Args:
        console: Where progress and remarks go.
        what: Is done, such as ``searching``.
        found: What the search tells.
        share: That is done after so many minutes, 0 to 1.
        note: About what there is, after so many minutes.
        if_interrupted: What has been kept and how to go on, in words.

    Raises:
        Interrupted: If the command was interrupted.
    """
    started = time.monotonic()
    try:
        with console.progress(what) as progress:
            progress.update(0.0, "compiling")
            for one in found:
                if one.outcome == "new" and progress.live:
                    console.say(one.sentence)
                minutes = (time.monotonic() - started) / 60.0
                progress.update(share(minutes), note(minutes))
            minutes = (time.monotonic() - started) / 60.0
            progress.update(1.0, note(minutes))
    except KeyboardInterrupt:
        found.close()
        raise Interrupted(if_interrupted()) from None
    return minutes


def budget_share(budget: dict[str, Any], **used: float) -> float:
    """How much of a budget is used up, 0 to 1: the part of it that is nearest to its end, of those that are told."""
    return min(1.0, max((used[name] / most for name, most in budget.items() if most and name in used), default=0.0))
