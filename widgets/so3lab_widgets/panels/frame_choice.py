"""Which frames somebody has chosen, and how they are saved: fields, buttons, and the functions behind them."""

from collections.abc import Callable
from pathlib import Path

import ipywidgets as ipw

from so3lab.trajectory import export

_FORMATS = (".extxyz", ".xyz", ".pdb", ".dcd", ".traj", ".h5")


class FrameChoice(ipw.VBox):
    """Chosen frames as numbers, to be typed or filled by dragging over a plot; and buttons that save them.

    Args:
        on_change: Called when other frames are chosen.
        on_save: Called with ``"frames"``, ``"table"``, ``"figure"`` or ``"session"`` when somebody wants to save these.
        on_zoom: Called with True to zoom to the chosen frames, with False to see all.
    """

    def __init__(
        self,
        on_change: Callable[[], None],
        on_save: Callable[[str], None],
        on_zoom: Callable[[bool], None],
    ):
        self._on_change, self._quiet = on_change, False
        narrow = {"layout": ipw.Layout(width="150px"), "style": {"description_width": "50px"}}
        self.first = ipw.BoundedIntText(0, min=0, max=0, description="Frames", continuous_update=False, **narrow)
        self.last = ipw.BoundedIntText(0, min=0, max=0, description="to", continuous_update=False, **narrow)
        self.every = ipw.BoundedIntText(1, min=1, max=1, description="every", continuous_update=False, **narrow)
        self.stem = ipw.Text(
            "frames", description="Save as", layout=ipw.Layout(width="240px"), style={"description_width": "56px"}
        )
        self.ending = ipw.Dropdown(options=_FORMATS, layout=ipw.Layout(width="100px"))
        self.count = ipw.Label()
        buttons = {}
        for word, text, tip in (
            ("frames", "Save frames", "Write the chosen frames in the format on the left"),
            ("table", "Save table", "Write all series of the chosen frames as CSV"),
            ("figure", "Save figure", "Write the plot as a page that opens without a network"),
            ("session", "Save session", "Write all that was clicked as a Python script"),
        ):
            buttons[word] = ipw.Button(description=text, tooltip=tip, layout=ipw.Layout(width="115px"))
            buttons[word].on_click(lambda _, word=word: on_save(word))
        self.save_frames, self.save_table, self.save_figure, self.save_session = buttons.values()
        closer = ipw.Button(description="Zoom to these", layout=ipw.Layout(width="120px"))
        whole = ipw.Button(description="Whole run", layout=ipw.Layout(width="100px"))
        closer.on_click(lambda _: on_zoom(True))
        whole.on_click(lambda _: on_zoom(False))
        self.zoom_in, self.zoom_out = closer, whole
        row = ipw.Layout(flex_flow="row wrap", align_items="center")
        super().__init__(
            [
                ipw.HBox([self.first, self.last, self.every, closer, whole, self.count], layout=row),
                ipw.HBox([self.stem, self.ending, *buttons.values()], layout=row),
            ]
        )
        for field in (self.first, self.last, self.every):
            field.observe(self._on_field, "value")

    @property
    def chosen(self) -> slice:
        """First frame, the one behind the last, and the step."""
        return slice(self.first.value, self.last.value + 1, self.every.value)

    def reset(self, frames: int) -> None:
        """There are so many frames; choose all of them."""
        self._quiet = True
        for field in (self.first, self.last, self.every):
            field.max = max(1, frames - 1)
        self._quiet = False
        self.choose(0, frames)

    def choose(self, first: int, stop: int, every: int = 1) -> None:
        """Choose the frames from ``first`` to before ``stop``."""
        self._quiet = True
        self.first.value, self.last.value, self.every.value = first, stop - 1, every
        self._quiet = False
        self._on_field(None)

    def _on_field(self, _: object) -> None:
        if self._quiet:
            return
        count = len(range(*self.chosen.indices(self.last.value + 1)))
        self.count.value = f"{count:,} frame{'' if count == 1 else 's'} chosen" if count else "no frame is chosen"
        self._on_change()


def save_frames(source: Path, target: Path, frames: slice) -> str:
    """Write frames of a trajectory; returns a sentence about it.

    Raises:
        FileExistsError: If the file exists: nothing is replaced.
        ValueError: If no frame is chosen, or the ending is none of those we can write.
    """
    check_new(target)
    count = export(source, target, frames)
    return f"Wrote {count:,} frames to {target}."


def save_text(target: Path, text: str) -> str:
    """Write a text file that must not exist yet; returns a sentence about it.

    Raises:
        FileExistsError: If it does.
    """
    check_new(target)
    target.write_text(text, encoding="utf-8")
    return f"Wrote {target}."


def check_new(target: Path) -> None:
    """Refuse to replace a file.

    Raises:
        FileExistsError: If it exists.
    """
    if target.exists():
        raise FileExistsError(f"{target} exists; choose another name")
