"""What a click did, as a line of Python that can be copied, and all such lines as a script."""

from pathlib import Path
from typing import Any

import anywidget
import traitlets

_STATIC = Path(__file__).parent / "static"
_SETTINGS = ["representation", "colour", "labels", "forces", "playing", "fps", "loop", "smoothing"]
"""What people set in a viewer, besides choosing frames and atoms."""


class CodeLine(anywidget.AnyWidget):
    """One line of Python with a button that copies it; it remembers what was said before.

    Trait: ``code``, the line.
    """

    _esm = _STATIC / "code_line.js"
    _css = _STATIC / "code_line.css"
    code = traitlets.Unicode().tag(sync=True)

    def __init__(self) -> None:
        self._said: list[tuple[str, str]] = []
        super().__init__()

    def say(self, line: str, note: str = "") -> None:
        """Show a line; one that sets the same name again replaces the one before: a slider on its way.

        Args:
            line: What does the same in Python.
            note: Stands behind the line in the script, as a comment.
        """
        self.code = line
        target, equals, _ = line.partition(" = ")
        if equals and self._said and self._said[-1][0].startswith(f"{target} = "):
            self._said.pop()
        self._said.append((line, note))

    def follow(self, viewer: Any, name: str) -> None:
        """Say what is set in a viewer, by the name that it has in Python."""
        viewer.observe(lambda change: self.say(f"{name}.{change.name} = {change.new!r}"), _SETTINGS)

    def script(self) -> str:
        """All that was said, in order."""
        lines = (f"{line}  # {note}\n" if note else f"{line}\n" for line, note in self._said)
        return "import so3lab\n\n" + "".join(lines)
