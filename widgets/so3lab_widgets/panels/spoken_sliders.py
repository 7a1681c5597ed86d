"""Sliders that can be used without being seen: in a page, those of a panel get names and the values beside them."""

from pathlib import Path

import anywidget


class SpokenSliders(anywidget.AnyWidget):
    """Takes no room; the sliders are those of the panel that it stands in, also such as come later."""

    _esm = Path(__file__).with_name("spoken_sliders.js")
