"""What is saved of a live simulation: frames as they come, what is remembered, and the molecule as it stands."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from so3lab_widgets.panels.job_bar import button
from so3lab_widgets.panels.save_menu import Saveable, SaveMenu, Writing, save_text
from so3lab_widgets.panels.saved_file import links_to
from so3lab_widgets.panels.view_saving import OF_VIEW, writing_of_view

_RECORDING = "recording"
_THINGS = {
    "frames": Saveable("the remembered frames as extended XYZ", (".extxyz",)),
    _RECORDING: Saveable("every frame from now on, until End recording is pressed", (".h5",)),
    "table": Saveable("what is remembered as CSV", (".csv",)),
    "figure": Saveable("the curves as a page that opens without a network", (".html",)),
    **OF_VIEW,
    "session": Saveable("all that was clicked as a Python script", (".py",)),
}


class RunSaving(SaveMenu):
    """The saving row of a panel of live dynamics, whose menu has a recording of the frames to come.

    Args:
        panel: Has ``record``, ``save_frames``, ``save_figures``, ``table``, ``session``, ``viewers`` and ``live``.
        number: Gives the replica that is meant.
        on_line: Called with a line of Python that does what somebody has just done.
        name: Of the job that writes.

    Attributes:
        end_button: Ends a recording; in sight while there is one.
    """

    def __init__(self, panel: Any, number: Callable[[], int], *, on_line: Callable[[str], None], name: str):
        self._panel, self._number, self._say_line = panel, number, on_line
        self._recorded: Path | None = None
        self.end_button = button("End recording", "stop", "complete the file that is being written", self._end)
        self.end_button.layout.display = "none"
        super().__init__(_THINGS, self._begin_saving, path="run", name=name, on_line=on_line, after=(self.end_button,))
        self.layout.display = "none"

    def recording(self, file: Path) -> None:
        """Say that frames are written to this file."""
        self._recorded = file
        self.end_button.layout.display = ""
        self.message.say(f"recording to {file} …")

    def look(self) -> None:
        """Say no longer that a file is being written when none is, and where the one is that was."""
        live, file = self._panel.live, self._recorded
        if file is None or (live is not None and live.recording):
            return
        self._recorded = None
        self.end_button.layout.display = "none"
        self.message.say(f"Wrote {file}.", links_to(file))

    def save(self, what: str) -> None:
        """Write something in a thread, or begin to record; what came of it is said behind the button."""
        if what == _RECORDING:
            self.message.try_to(lambda: self._panel.record(self._place()))
        else:
            super().save(what)

    def close(self) -> None:
        """Take the row away; a recording is complete."""
        super().close()
        if self._panel.live is not None:
            self._panel.live.stop_recording()

    def _place(self) -> Path:
        """The file of a recording; for several replicas a folder without an ending."""
        file = self.target(_RECORDING)
        return file if len(self._panel.viewers) == 1 else file.with_suffix("")

    def _end(self) -> None:
        if self._panel.live is not None:
            self._panel.live.stop_recording()
            self._say_line("panel.live.stop_recording()")
        self.look()

    def _begin_saving(self, what: str, target: Path) -> Writing:
        panel, number = self._panel, self._number()
        name, replica = repr(str(target)), f", replica={number}" if number else ""
        if what in OF_VIEW:
            return writing_of_view(panel.viewers[number], f"panel.viewers[{number}]", what, target, self.closing)
        if what == "frames":
            return Writing(lambda: panel.save_frames(target, number), f"panel.save_frames({name}{replica})")
        if what == "table":
            return Writing(
                lambda: save_text(target, panel.table(number).to_csv(index=False)),
                f"panel.table({number or ''}).to_csv({name}, index=False)",
            )
        if what == "figure":
            return Writing(lambda: panel.save_figures(target), f"panel.save_figures({name})")
        return Writing(lambda: save_text(target, panel.session()), f"print(panel.session(), file=open({name}, 'w'))")


def page_of(figures: Sequence[go.Figure]) -> str:
    """Figures one below the other in a page that needs no network."""
    first, *others = figures
    return first.to_html() + "".join(other.to_html(full_html=False, include_plotlyjs=False) for other in others)
