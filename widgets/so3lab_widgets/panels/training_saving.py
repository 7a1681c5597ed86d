"""What is saved of training: the model, curves and errors as tables, pictures, and what was clicked."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from so3lab.potential.model_file import SUFFIX
from so3lab.potential.potential import Potential
from so3lab_widgets.panels.save_menu import Saveable, SaveMenu, Writing, check_new, save_text
from so3lab_widgets.panels.view_saving import OF_VIEW, writing_of_view

_THINGS = {
    "model": Saveable("the model in hand", (SUFFIX,)),
    "curve": Saveable("all epochs of this run as CSV", (".csv",)),
    "errors": Saveable("errors of each frame that was evaluated, as CSV", (".csv",)),
    "runs": Saveable("the table of runs as CSV", (".csv",)),
    "figure": Saveable("the pictures as a page that opens without a network", (".html",)),
    **OF_VIEW,
    "session": Saveable("all that was clicked as a Python script", (".py",)),
}


class TrainingSaving(SaveMenu):
    """The saving row of a panel that trains.

    Args:
        panel: Has ``hand``, ``curve``, ``errors``, ``runs``, ``save_figures``, ``view`` and ``session``.
        on_line: Called with a line of Python that does what somebody has just done.
        name: Of the job that writes.
    """

    def __init__(self, panel: Any, *, on_line: Callable[[str], None], name: str):
        self._panel = panel
        super().__init__(_THINGS, self._begin_saving, path="training", name=name, on_line=on_line)

    def _begin_saving(self, what: str, target: Path) -> Writing:
        panel, name = self._panel, repr(str(target))
        if what == "model":
            potential = panel.hand.present()
            return Writing(lambda: _save_model(potential, target), f"panel.hand.present().save({name})")
        if what in OF_VIEW:
            return writing_of_view(panel.view.viewer, "panel.view.viewer", what, target, self.closing)
        if what == "figure":
            return Writing(lambda: panel.save_figures(target), f"panel.save_figures({name})")
        if what == "session":
            line = f"print(panel.session(), file=open({name}, 'w'))"
            return Writing(lambda: save_text(target, panel.session()), line)
        table = getattr(panel, what)()
        line = f"panel.{what}().to_csv({name}, index=False)"
        return Writing(lambda: save_text(target, table.to_csv(index=False)), line)


def _save_model(potential: Potential, target: Path) -> str:
    check_new(target)
    potential.save(target)
    return f"Wrote {target}."
