"""What a click did, as a line of Python that can be copied."""

from pathlib import Path

import anywidget
import traitlets

_STATIC = Path(__file__).parent / "static"


class CodeLine(anywidget.AnyWidget):
    """One line of Python with a button that copies it.

    Trait: ``code``, the line.
    """

    _esm = _STATIC / "code_line.js"
    _css = _STATIC / "code_line.css"
    code = traitlets.Unicode().tag(sync=True)
