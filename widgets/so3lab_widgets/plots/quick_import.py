"""Plotly's widgets, imported without what takes longer than all the rest of them and serves no figure."""

import importlib
import sys
from types import ModuleType

_GRAMMAR = "rfc3987_syntax"


def plotly_widgets() -> ModuleType:
    """``plotly.basewidget``.

    It imports ``nbformat``, which imports ``jsonschema``, which reads a grammar of web addresses of all languages where
    that is installed: more than a second, for a check that no schema of notebooks asks for. It is not found meanwhile.
    """
    hidden = _GRAMMAR not in sys.modules
    if hidden:
        sys.modules[_GRAMMAR] = None  # type: ignore[assignment]
    try:
        return importlib.import_module("plotly.basewidget")
    finally:
        if hidden:
            del sys.modules[_GRAMMAR]
