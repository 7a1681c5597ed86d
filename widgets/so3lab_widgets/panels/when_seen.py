"""A panel that is made once a page is there to show it.

A page that comes to a kernel asks for all widgets that there are. What a thread makes meanwhile reaches it in pieces:
a widget may come before those that it holds. So a cell that runs before its page is there, as it does in a page without
a notebook, leaves the making to the page.
"""

from collections.abc import Callable
from typing import Any

import anywidget
import ipywidgets as ipw

from so3lab_widgets.panels.message_line import MessageLine

_SAYS_SO = "export default {render: ({model}) => model.send('seen')}"


class _Eye(anywidget.AnyWidget):
    """Sends a message as soon as a page shows it; there is nothing to be seen."""

    _esm = _SAYS_SO


class WhenSeen(ipw.VBox):
    """Stands for a widget, which is made when a page shows this one for the first time.

    Args:
        make: Makes it. What stands against it is said in its place.
        words: What is said meanwhile.

    Attributes:
        message: What goes on, or went wrong.
    """

    def __init__(self, make: Callable[[], ipw.Widget], words: str):
        self._make: Callable[[], ipw.Widget] | None = make
        self.message = MessageLine()
        self.message.say(words)
        self._eye = _Eye()
        self._eye.on_msg(lambda *message: self._seen())
        super().__init__([self._eye, self.message])

    def _seen(self) -> None:
        if self._make is None:
            return
        make, self._make = self._make, None
        made: list[Any] = []
        self.message.try_to(lambda: made.append(make()))
        if made:
            self.children = (*made,)
