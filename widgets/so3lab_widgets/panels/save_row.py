"""Where a live simulation is written to: a file of frames from now on, what is remembered, figures, the session."""

import html
from collections.abc import Callable

import ipywidgets as ipw

from so3lab_widgets.panels.job_bar import button


class SaveRow(ipw.HBox):
    """A field for a name and buttons that save under it.

    Args:
        on_record: Called when somebody begins a file or ends it.
        on_save: Called with ``"frames"``, ``"table"``, ``"figure"`` or ``"session"``.

    Attributes:
        words: What was said last.
    """

    def __init__(self, on_record: Callable[[], None], on_save: Callable[[str], None]):
        self.path = ipw.Text(
            "run.h5",
            description="File",
            layout=ipw.Layout(width="230px"),
            style={"description_width": "40px"},
        )
        self.record_button = button("Record", "circle", "write frames to this file from now on", on_record)
        self.buttons = {
            what: button(what.capitalize(), "download", tip, lambda what=what: on_save(what))  # type: ignore[misc]
            for what, tip in (
                ("frames", "the remembered frames as extended XYZ, beside the file"),
                ("table", "what is remembered as CSV, beside the file"),
                ("figure", "the curves as a page that opens without a network"),
                ("session", "all that was clicked as a Python script"),
            )
        }
        self.words, self._words = "", ipw.HTML()
        super().__init__(
            [self.path, self.record_button, *self.buttons.values(), self._words],
            layout=ipw.Layout(display="none", flex_flow="row wrap", align_items="center"),
        )

    def recording(self, file: str | None) -> None:
        """Say which file is being written; None when it is complete."""
        self.record_button.description = "Record" if file is None else "End file"
        if file is not None:
            self.show_message(f"recording to {file}")
        elif self.words.startswith("recording"):
            self.show_message("")

    def show_message(self, sentence: str) -> None:
        """Show a sentence behind the buttons."""
        self.words = sentence
        self._words.value = f'<span role="status">{html.escape(sentence)}</span>' if sentence else ""
