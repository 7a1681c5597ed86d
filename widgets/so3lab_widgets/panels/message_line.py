"""What a panel has to say: one sentence about what goes on, or about what stands against what was clicked."""

import html
import re
from collections.abc import Callable
from typing import Any

import ipywidgets as ipw

_WRONG = "border-left: 3px solid #d55e00; padding-left: 8px; font-weight: 600"


class MessageLine(ipw.HTML):
    """A line of words that screen readers read out; the newest sentence takes the place of the one before.

    Attributes:
        sentence: What it says, empty where it says nothing.
        wrong: Whether that is about something that went wrong.
    """

    def __init__(self) -> None:
        self.sentence, self.wrong = "", False
        super().__init__()

    def say(self, sentence: str, links: str = "") -> None:
        """Say what goes on.

        Args:
            sentence: Plain words.
            links: HTML that stands behind them.
        """
        self._show(sentence, False, links)

    def warn(self, trouble: BaseException | str) -> None:
        """Say what went wrong, without the numbers that operating systems give to errors."""
        sentence = re.sub(r"^\[Errno \d+\] ", "", " ".join(str(trouble).split()))
        self._show(sentence or type(trouble).__name__, True)

    def clear(self) -> None:
        """Say nothing any more."""
        self._show("", False)

    def try_to(self, act: Callable[[], Any]) -> None:
        """Do what was clicked; what stands against it is said here, and what was said before is said no longer."""
        self.clear()
        try:
            act()
        except Exception as error:
            self.warn(error)

    def _show(self, sentence: str, wrong: bool, links: str = "") -> None:
        self.sentence, self.wrong = sentence, wrong
        looks = f'role="alert" style="{_WRONG}"' if wrong else 'role="status"'
        self.value = f"<span {looks}>{html.escape(sentence)}</span> {links}".rstrip() if sentence else ""
