"""What is saved of attention: its table, the open figure, and what was clicked, by the panel's own methods."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from so3lab_widgets.panels.save_menu import Saveable, SaveMenu, Writing, save_text
from so3lab_widgets.panels.view_saving import MOVIE, OF_VIEW, MovieFields, writing_of_view

_THINGS = {
    "table": Saveable("attention of the shown structure in all layers and heads, and responses, as CSV", (".csv",)),
    "figure": Saveable("the figure as a page that opens without a network", (".html",)),
    **OF_VIEW,
    "movie": MOVIE,
    "session": Saveable("all that was clicked as a Python script", (".py",)),
}


class AttentionSaving(SaveMenu):
    """The saving row of the attention panel.

    Args:
        panel: Has ``table``, ``figure``, ``viewer`` and ``session``.
        on_line: Called with a line of Python that does what somebody has just done.
        name: Of the job that writes.

    Attributes:
        movie: Fields that say what a movie is like.
    """

    def __init__(self, panel: Any, *, on_line: Callable[[str], None], name: str):
        self._panel, self.movie = panel, MovieFields()
        fields = {"movie": self.movie.all}
        super().__init__(_THINGS, self._begin_saving, path="attention", name=name, on_line=on_line, fields=fields)

    def _begin_saving(self, what: str, target: Path) -> Writing:
        panel, name = self._panel, repr(str(target))
        if what == "table":
            table = panel.table()
            line = f"panel.table().to_csv({name}, index=False)"
            return Writing(lambda: save_text(target, table.to_csv(index=False)), line)
        if what == "movie" or what in OF_VIEW:
            return writing_of_view(panel.viewer, "panel.viewer", what, target, self.closing, self.movie)
        if what == "figure":
            figure = panel.figure()
            return Writing(lambda: save_text(target, figure.to_html()), f"panel.figure().write_html({name})")
        return Writing(lambda: save_text(target, panel.session()), f"print(panel.session(), file=open({name}, 'w'))")
