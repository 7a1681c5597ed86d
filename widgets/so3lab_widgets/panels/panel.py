"""What panels have in common: a place in a cell, and an end that leaves nothing behind."""

import itertools
from collections.abc import Sequence
from typing import Any, Protocol

import ipywidgets as ipw
from IPython.display import display

from so3lab_widgets.panels.spoken_sliders import SpokenSliders
from so3lab_widgets.running.cell import CellRun, running_cell
from so3lab_widgets.running.jobs import Job
from so3lab_widgets.running.not_in_marimo import NotInMarimo
from so3lab_widgets.viewer.static_preview import LIVES, SnapshotMixin, StaticPreview

_OPEN: "dict[Panel, CellRun | None]" = {}
_numbers = itertools.count(1)


class Runs(Protocol):
    """What may be busy when its panel goes."""

    def give_up(self) -> Sequence[Job[Any]]:
        """Want nothing more, without waiting; returns the jobs that end now."""


class Panel(NotInMarimo, ipw.VBox):
    """A panel of the cell that makes it: when that cell runs again, this one ends; all others stay.

    Subclasses call :meth:`_take_place` once their arguments are found to be right, and before they start threads.

    Attributes:
        ended: Why there is nothing to see any more, in a sentence; empty while the panel is open.
    """

    ended = ""
    _name = ""
    _preview: StaticPreview | None = None

    def __init__(self, children: Sequence[ipw.Widget], **options: Any):
        super().__init__([SpokenSliders(), *children], **options)
        self.add_class("so3-panel")  # by which a page says once that its kernel has ended

    def __repr__(self) -> str:
        """What stands where no widget can: in exports, and where the kernel has ended."""
        return f"{type(self).__name__}: {self.ended or LIVES}"

    def close(self) -> None:
        """Take the panel away with all its widgets."""
        _OPEN.pop(self, None)
        self.ended = self.ended or "This panel was closed."
        if self._preview is not None:
            self._preview.close(self.ended)
        held = _held_by(self)
        super().close()
        for widget in held:
            widget.close()

    def give_up(self) -> list[Job[Any]]:
        """Want nothing more of what runs for the panel, without waiting; returns the jobs that end now."""
        return [job for one in self._runs() for job in one.give_up()]

    def _runs(self) -> Sequence[Runs]:
        """What may be busy when the panel goes, and is waited for."""
        return ()

    def _take_place(self, kind: str) -> None:
        """Be a panel of the cell that runs, under a name of its own; those that the cell has made before end."""
        cell = running_cell()
        self._name = f"{kind} {next(_numbers)}"
        for panel, place in list(_OPEN.items()):
            if cell is not None and place is not None and place.cell == cell.cell and place.run != cell.run:
                panel.ended = f"This panel ({panel._name}) ended when its cell ran again and made {self._name}."
                panel.close()
        _OPEN[self] = cell
        self._preview = StaticPreview(self, self._snapshot_parts)

    def _snapshot_parts(self) -> Sequence[SnapshotMixin]:
        """What a picture of the panel shows."""
        raise NotImplementedError

    def _check_open(self) -> None:
        """Refuse to work after the end.

        Raises:
            ValueError: If the panel is closed; its sentence tells why.
        """
        if self.ended:
            raise ValueError(f"{self.ended} Make another one.")

    def _ipython_display_(self) -> None:
        if self._preview is None or self.ended:
            display({"text/plain": self.ended}, raw=True)
        else:
            self._preview.show()


def first_of(*given: Any) -> Any:
    """The first that is not None: what was given, what the session has, what is usual."""
    return next(one for one in given if one is not None)


def close_all(*widgets: ipw.Widget) -> None:
    """Close widgets and all that they hold: ipywidgets would leave children, layouts and styles open for ever."""
    for widget in widgets:
        for one in (widget, *_held_by(widget)):
            one.close()


def _held_by(widget: ipw.Widget) -> list[ipw.Widget]:
    """Its children and theirs, and the layouts and styles of all."""
    found = [widget]
    for holder in found:  # grows meanwhile
        for name in holder.keys:
            value = getattr(holder, name, None)
            for held in value if isinstance(value, list | tuple) else (value,):
                if isinstance(held, ipw.Widget) and held not in found:
                    found.append(held)
    return found[1:]
