"""What a page gets to draw a viewer with: one module of JavaScript, joined from the table of styles and its files."""

from pathlib import Path

from so3lab_widgets.packed_script import with_libraries
from so3lab_widgets.viewer.looks import looks_script

PARTS = (
    "geometry.js", "theme.js", "scene.js", "elements.js", "pointing.js", "movie_form.js", "controls.js", "page.js",
)  # fmt: skip
"""In this order: each may use what stands in those before it."""


def page_module() -> str:
    """The module as anywidget takes it; its last part has the default export."""
    folder = Path(__file__).parent
    return with_libraries("\n".join([looks_script(), *((folder / name).read_text("utf-8") for name in PARTS)]))
