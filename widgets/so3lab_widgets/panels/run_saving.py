"""What is saved of a live simulation: frames as they come, and what is remembered, by the panel's own methods."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from so3lab_widgets.panels.job_bar import button
from so3lab_widgets.panels.save_row import Saveable, SaveRow, Writing, save_text

_THINGS = {
    "frames": Saveable("the remembered frames as extended XYZ", (".extxyz",)),
    "table": Saveable("what is remembered as CSV", (".csv",)),
    "figure": Saveable("the curves as a page that opens without a network", (".html",)),
    "session": Saveable("all that was clicked as a Python script", (".py",)),
}


class RunSaving(SaveRow):
    """The saving row of a panel of live dynamics, with a button that records.

    Args:
        panel: Has ``record``, ``save_frames``, ``save_figures``, ``table``, ``session`` and ``live``.
        number: Gives the replica that is meant.
        on_line: Called with a line of Python that does what somebody has just done.
        name: Of the job that writes.

    Attributes:
        record_button: Begins a file of the frames to come, or ends it.
    """

    def __init__(self, panel: Any, number: Callable[[], int], *, on_line: Callable[[str], None], name: str):
        self._panel, self._number, self._say_line = panel, number, on_line
        self.record_button = button("Record", "circle", "write frames to this file from now on", self._record)
        super().__init__(
            _THINGS, self._begin_saving, path="run.h5", name=name, on_line=on_line, before=(self.record_button,)
        )
        self.layout.display = "none"

    def recording(self, file: str | None) -> None:
        """Say which file is being written; None when it is complete."""
        self.record_button.description = "Record" if file is None else "End file"
        if file is not None:
            self.message.say(f"recording to {file}")
        elif self.message.sentence.startswith("recording"):
            self.message.clear()

    def look(self) -> None:
        """Say no longer that a file is being written when none is."""
        live = self._panel.live
        if live is None or not live.recording:
            self.recording(None)

    def close(self) -> None:
        """Take the row away; a recording is complete."""
        super().close()
        if self._panel.live is not None:
            self._panel.live.stop_recording()

    def _record(self) -> None:
        live = self._panel.live
        if live is not None and live.recording:
            live.stop_recording()
            self._say_line("panel.live.stop_recording()")
            self.look()
            return
        self.message.try_to(lambda: self._panel.record(self.path.value))

    def _begin_saving(self, what: str, target: Path) -> Writing:
        panel, number = self._panel, self._number()
        name, replica = repr(str(target)), f", replica={number}" if number else ""
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
