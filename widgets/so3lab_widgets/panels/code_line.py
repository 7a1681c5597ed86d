"""What a click did, as a line of Python that can be copied, and all such lines as a script."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import traitlets

_STATIC = Path(__file__).parent
_SETTINGS = [
    "representation", "colour", "labels", "forces", "follow", "images", "playing", "fps", "loop", "smoothing",
]  # fmt: skip
"""What people set in a viewer, besides choosing frames and atoms."""
_NEED_NO_WAIT = ("panel = ", "panel.form.", "panel.start()")


class CodeLine(anywidget.AnyWidget):
    """One line of Python with a button that copies it; it remembers what was said before.

    Trait: ``code``, the line.
    """

    _esm = _STATIC / "code_line.js"
    _css = _STATIC / "code_line.css"
    code = traitlets.Unicode().tag(sync=True)

    def __init__(self) -> None:
        self._said: list[tuple[str, int | None]] = []
        super().__init__()

    def show_code(self, line: str, step: int | None = None) -> None:
        """Show a line; one that sets the same name again replaces the one before: a slider on its way.

        Args:
            line: What does the same in Python.
            step: Of a simulation, at which it was done; the script waits for it.
        """
        self.code = line
        target, equals, _ = line.partition(" = ")
        if equals and self._said and self._said[-1][0].startswith(f"{target} = "):
            self._said.pop()
        self._said.append((line, step))

    def follow(self, viewer: Any, name: str, show_code: Callable[[str], None] | None = None) -> None:
        """Say what is set in a viewer, by the name that it has in Python."""
        show_code = show_code or self.show_code
        viewer.observe(lambda change: show_code(f"{name}.{change.name} = {change.new!r}"), _SETTINGS)

    def script(self) -> str:
        """All that was said, in order, each as soon as the simulation is where it was."""
        lines, waited = ["import so3lab", ""], None
        for line, step in self._said:
            if step is not None and step != waited and not line.startswith(_NEED_NO_WAIT):
                lines.append(f"panel.wait({step})")
                waited = step
            lines.append(line)
        return "\n".join([*lines, ""])
