"""What is saved of minima: structures, their table, the map, and all that was clicked."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.io

from so3lab.minima import frames
from so3lab_widgets.panels.save_menu import Saveable, SaveMenu, Writing, check_new, save_text
from so3lab_widgets.panels.view_saving import PICTURE, writing_of_view

_THINGS = {
    "structures": Saveable(
        "the selected minima, or all that pass the filters", (".extxyz", ".xyz", ".traj", ".pdb", ".db")
    ),
    "table": Saveable("the same minima with their properties as CSV", (".csv",)),
    "figure": Saveable("the map as a page that opens without a network", (".html",)),
    "picture": PICTURE,
    "session": Saveable("all that was clicked as a Python script", (".py",)),
}


class MinimaSaving(SaveMenu):
    """The saving row of a minima panel.

    Args:
        panel: Has ``chosen``, ``save_structures``, ``table``, ``views``, ``viewer`` and ``session``.
        on_line: Called with a line of Python that does what somebody has just done.
        name: Of the job that writes.
    """

    def __init__(self, panel: Any, *, on_line: Callable[[str], None], name: str):
        self._panel = panel
        super().__init__(_THINGS, self._begin_saving, path="minima", name=name, on_line=on_line)

    def _begin_saving(self, what: str, target: Path) -> Writing:
        panel, name = self._panel, repr(str(target))
        if what == "structures":
            return Writing(lambda: panel.save_structures(target), f"panel.save_structures({name})")
        if what == "table":
            return Writing(
                lambda: save_text(target, panel.table().loc[panel.chosen].to_csv(index=False)),
                f"panel.table().loc[panel.chosen].to_csv({name}, index=False)",
            )
        if what == "picture":
            return writing_of_view(panel.viewer, "panel.viewer", what, target, self.closing)
        if what == "figure":
            return Writing(
                lambda: save_text(target, panel.views.map.picture().to_html()),
                f"panel.views.map.picture().write_html({name})",
            )
        return Writing(lambda: save_text(target, panel.session()), f"print(panel.session(), file=open({name}, 'w'))")


def write_structures(target: Path, minima: Any) -> str:
    """Write minima to a file that must not exist yet; returns a sentence about it.

    Raises:
        FileExistsError: If it does.
        ValueError: If there are none.
    """
    check_new(target)
    structures = frames(minima)
    if not structures:
        raise ValueError("there are no minima to be saved; select some, or let the filters pass some")
    ase.io.write(target, structures)
    return f"Wrote {len(structures):,} minim{'um' if len(structures) == 1 else 'a'} to {target}."
