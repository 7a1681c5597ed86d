"""What attention is compared with: the same structure by another model, or another frame by the same model."""

import html
from collections.abc import Callable

import ipywidgets as ipw

from so3lab.pretrained.loading import bundled_models
from so3lab_widgets.panels.message_line import MessageLine

NOTHING, FRAME, MODEL = "nothing", "another frame", "another model"
_STYLE = {"description_width": "auto"}


class CompareRow(ipw.HBox):
    """A menu, and a field for the frame or the model.

    Args:
        on_change: Called when something else is to be compared with; may raise what stands against it.
        message: Says that.
        show_code: Called with a line of Python that does the same.

    Attributes:
        what: The menu.
        frame: Field for the number of a frame.
        model: Field for a name or file.
        sentence: What is less what in all that is drawn.
    """

    def __init__(
        self, on_change: Callable[[], None], message: MessageLine, show_code: Callable[[str], None] = lambda line: None
    ):
        self._on_change, self._message, self._show_code = on_change, message, show_code
        self.what = ipw.Dropdown(options=(NOTHING, FRAME, MODEL), description="Compare with", style=_STYLE)
        self.what.layout.width = "230px"
        self.frame = ipw.BoundedIntText(0, min=0, max=0, description="Frame", style=_STYLE)
        self.frame.layout.width = "150px"
        self.model = ipw.Combobox(
            placeholder="name or file", options=[*sorted(bundled_models()), "so3lr"], description="Model", style=_STYLE
        )
        self.model.layout.width = "230px"
        self.model.continuous_update = False
        for field in (self.what, self.frame, self.model):
            field.observe(self._changed, "value")
        self.sentence = ipw.HTML()
        fields = [self.what, self.frame, self.model, self.sentence]
        super().__init__(fields, layout=ipw.Layout(flex_flow="row wrap", grid_gap="0 12px"))
        self._show_fields()

    def words(self, model: str, frame: int) -> str:
        """What is less what, of a model and of a frame that are shown; empty where nothing is compared."""
        other = self.model.value.strip()
        if self.what.value == FRAME:
            return f"frame {self.frame.value} − frame {frame}"
        return f"{other} − {model}" if self.what.value == MODEL and other else ""

    def tell(self, compared: str) -> None:
        """Say what is drawn: what is less what, or nothing where the string is empty."""
        words = f"Shown: {html.escape(compared)}, blue where the first attends more, orange where less"
        said = f'<span role="status">{words}</span>' if compared else ""
        if self.sentence.value != said:
            self.sentence.value = said

    def offer(self, frames: int) -> None:
        """There are so many frames to compare with."""
        self.frame.max = max(frames - 1, 0)
        if self._alone:
            self.what.value = NOTHING

    @property
    def _alone(self) -> bool:
        """Whether another frame is wanted, and there is none."""
        return self.what.value == FRAME and self.frame.max == 0

    def _changed(self, change: object) -> None:
        if self._alone:
            self.what.value = NOTHING
            self._message.warn(
                "there is but one structure; open a trajectory, give the panel a list of structures, or select minima "
                "in a lab and send them to Attention"
            )
            return
        owner = next(
            name for name in ("what", "frame", "model") if getattr(self, name) is getattr(change, "owner", None)
        )
        self._show_fields()
        self._show_code(f"panel.compare.{owner}.value = {getattr(self, owner).value!r}")
        self._message.try_to(self._on_change)

    def _show_fields(self) -> None:
        self.frame.layout.display = "" if self.what.value == FRAME else "none"
        self.model.layout.display = "" if self.what.value == MODEL else "none"
