"""How a page gets a large library that widgets draw with: from the kernel, once, and from no network.

A page needs nothing but what every anywidget has, a model by its name. So widgets need no extension of JupyterLab, and
live wherever anywidgets do.
"""

import gzip
import threading
from collections.abc import Callable
from importlib import resources
from typing import ClassVar

import ipywidgets
import traitlets


class PackedScript(ipywidgets.Widget):
    """Holds the JavaScript of a library, compressed, for all widgets of a kernel that draw with it; it is never shown.

    Such a widget has two traits that its page reads: ``_library``, what it is called, and ``_source``, the name of the
    model that holds it.
    """

    packed = traitlets.Bytes().tag(sync=True)

    _held: ClassVar[dict[str, "PackedScript"]] = {}
    _lock = threading.Lock()

    @classmethod
    def of(cls, library: str, read: Callable[[], bytes]) -> "PackedScript":
        """The one of a library in this kernel, made when the first widget asks, and again after it was closed."""
        with cls._lock:
            held = cls._held.get(library)
            if held is None or held.comm is None:
                held = cls._held[library] = cls(packed=gzip.compress(read(), 6))
            return held


def with_libraries(module: str) -> str:
    """A module of JavaScript that can call ``library(model, prepare)`` to get what it draws with."""
    return (resources.files("so3lab_widgets") / "packed_script.js").read_text("utf-8") + module
