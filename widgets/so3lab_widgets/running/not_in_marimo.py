"""What marimo shows of what it cannot draw: a sentence that says where it can be seen."""

import html


class NotInMarimo:
    """What is made of sliders, menus and buttons of Jupyter, of which marimo, that draws anywidgets, draws none."""

    def _mime_(self) -> tuple[str, str]:
        """A type and what is of that type, as marimo asks for it."""
        sentence = (
            f"{type(self).__name__} has sliders, menus or buttons of Jupyter, which marimo does not draw: open it in "
            "JupyterLab, Notebook 7 or Voilà (so3lab lab, so3lab app). Viewer and show work here."
        )
        return "text/html", f"<p>{html.escape(sentence)}</p>"
