"""What the buttons of the save row do: record; write frames, tables, figures and the session in a thread."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from so3lab_widgets.panels.frame_choice import save_text
from so3lab_widgets.panels.save_row import SaveRow
from so3lab_widgets.running.jobs import Job


class RunSaving:
    """Saves what a panel of live dynamics holds, by the panel's own methods.

    Args:
        panel: Has ``record``, ``save_frames``, ``save_figures``, ``table``, ``session`` and ``live``.
        number: Gives the replica that is meant.
        try_to: Does what was clicked; what stands against it is said in a sentence.
        on_change: Called with a line of Python that does what somebody has just done.
        on_trouble: Told in a sentence what could not be written.
        name: Of the job that writes.

    Attributes:
        row: The buttons.
    """

    def __init__(
        self,
        panel: Any,
        number: Callable[[], int],
        *,
        try_to: Callable[[Callable[[], Any]], None],
        on_change: Callable[[str], None],
        on_trouble: Callable[[str], None],
        name: str,
    ):
        self._panel, self._number, self._name = panel, number, name
        self._try, self._on_change, self._on_trouble = try_to, on_change, on_trouble
        self._job: Job | None = None
        self.row = SaveRow(self._on_record, self._on_save)

    def close(self) -> None:
        """What is being written is written no more; a recording is complete."""
        if self._job is not None:
            self._job.stop()
        if self._panel.live is not None:
            self._panel.live.stop_recording()

    def _on_record(self) -> None:
        live = self._panel.live
        if live is not None and live.recording:
            live.stop_recording()
            self._on_change("panel.live.stop_recording()")
            self.look()
            return
        self._try(lambda: self._panel.record(self.row.path.value))

    def look(self) -> None:
        """Say no longer that a file is being written when none is."""
        live = self._panel.live
        if live is None or not live.recording:
            self.row.recording(None)

    def _on_save(self, what: str) -> None:
        self._try(lambda: self._save(what))

    def _save(self, what: str) -> None:
        """Write something in a thread; what came of it is said behind the buttons."""
        panel, number = self._panel, self._number()
        panel.atoms()  # refuses where nothing has run
        endings = {"frames": ".extxyz", "table": ".csv", "figure": ".html", "session": ".py"}
        target = Path(self.row.path.value.strip() or "run").with_suffix(endings[what])
        name, replica = repr(str(target)), f", replica={number}" if number else ""
        work: dict[str, tuple[Callable[[], str], str]] = {
            "frames": (lambda: panel.save_frames(target, number), f"panel.save_frames({name}{replica})"),
            "table": (
                lambda: save_text(target, panel.table(number).to_csv(index=False)),
                f"panel.table({number or ''}).to_csv({name}, index=False)",
            ),
            "figure": (lambda: panel.save_figures(target), f"panel.save_figures({name})"),
            "session": (
                lambda: save_text(target, panel.session()),
                f"print(panel.session(), file=open({name}, 'w'))",
            ),
        }
        function, line = work[what]

        def finish(job: Job) -> None:
            if job.state == "failed":
                self.row.show_message("")
                self._on_trouble(job.error or "")

        def show(sentence: str) -> None:
            self.row.show_message(sentence)
            self._on_change(line)

        self.row.show_message(f"writing {target} …")
        self._job = Job(lambda: iter([function()]), on_item=show, name=self._name)
        self._job.subscribe(finish)
        self._job.start()


def page_of(figures: Sequence[go.Figure]) -> str:
    """Figures one below the other in a page that needs no network."""
    first, *others = figures
    return first.to_html() + "".join(other.to_html(full_html=False, include_plotlyjs=False) for other in others)
