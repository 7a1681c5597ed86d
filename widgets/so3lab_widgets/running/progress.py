"""How far is a loop in a cell? A bar with the remaining time, in place of lines that are printed."""

import html
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import ipywidgets as ipw
from IPython.display import display

Item = TypeVar("Item")
_SECONDS_BETWEEN_LOOKS = 0.25


def progress(
    items: Iterable[Item], share: Callable[[Item], float], words: Callable[[Item], str] = lambda item: ""
) -> Iterator[Item]:
    """Pass items on, and show a bar while they come.

    Remaining time is told from the second item on: what comes before the first is mostly compilation.

    Args:
        items: Such as the chunks of a simulation.
        share: How much of all is done with an item, 0 to 1.
        words: What else there is to say of an item.
    """
    bar = ipw.FloatProgress(0.0, min=0.0, max=1.0, layout=ipw.Layout(width="240px"))
    line = ipw.HTML("preparing")
    display(ipw.HBox([bar, line]))
    first: tuple[float, float] | None = None
    shown_at = -float("inf")
    item: Item | None = None
    for item in items:
        yield item
        now, done = time.monotonic(), min(1.0, share(item))
        first = first or (now, done)
        if now - shown_at >= _SECONDS_BETWEEN_LOOKS and done < 1.0:
            bar.value, shown_at = done, now
            left = (now - first[0]) * (1.0 - done) / (done - first[1]) if done > first[1] else None
            line.value = _line(words(item), None if left is None else f"{duration(left)} left")
    if item is not None:
        bar.value, line.value = 1.0, _line(words(item), "done")


def duration(seconds: float) -> str:
    """Seconds as people say them: 45 s, 3 min, 2 h 10 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def _line(*parts: str | None) -> str:
    return html.escape(" · ".join(filter(None, parts)))
