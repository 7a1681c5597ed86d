"""Which attention is looked at: fields for layer and head or degree, and for which of its links are drawn."""

from collections.abc import Callable

import ipywidgets as ipw

from so3lab.attention import Channel
from so3lab.network.settings import ModelSettings
from so3lab_widgets.viewer.viewer import Viewer

_STYLE = {"description_width": "auto"}


class AttentionChoice(ipw.HBox):
    """Layer, head or degree, threshold of links, and whether only links of picked atoms are drawn.

    Args:
        on_channel: Called when another attention is wanted.
        show_code: Called with a line of Python that does what was clicked.
        name: Of this in Python.

    Attributes:
        layer, head: The menus.
        threshold: Slider, in percent of the strongest link.
        of_picked: Checkbox.
    """

    def __init__(
        self,
        on_channel: Callable[[], None],
        show_code: Callable[[str], None] = lambda line: None,
        name: str = "panel.attention",
    ):
        self._on_channel, self._show_code, self._name = on_channel, show_code, name
        self._viewers: list[Viewer] = []
        self._settings: ModelSettings | None = None
        self._telling = True
        self.layer = ipw.Dropdown(description="Layer", layout=ipw.Layout(width="130px"), style=_STYLE)
        self.head = ipw.Dropdown(description="Head or degree", layout=ipw.Layout(width="250px"), style=_STYLE)
        self.threshold = ipw.FloatSlider(
            0.0, min=0.0, max=100.0, step=1.0, description="Links from (%)", readout_format=".0f",
            tooltip="percent of the strongest link, below which links are not drawn",
            layout=ipw.Layout(width="290px"), style=_STYLE,
        )  # fmt: skip
        self.of_picked = ipw.Checkbox(
            False, description="only links of picked atoms", indent=False, layout=ipw.Layout(width="220px")
        )
        for menu in (self.layer, self.head):
            menu.observe(self._on_menu, "value")
        self.threshold.observe(self._on_drawn, "value")
        self.of_picked.observe(self._on_drawn, "value")
        super().__init__(
            [self.layer, self.head, self.threshold, self.of_picked],
            layout=ipw.Layout(flex_flow="row wrap", align_items="center", grid_gap="0 12px"),
        )

    @property
    def channel(self) -> Channel:
        """What is chosen."""
        kind, number = self.head.value or (None, None)
        return Channel(self.layer.value or None, kind, number)

    @channel.setter
    def channel(self, wanted: Channel) -> None:
        if self._settings is None:
            raise ValueError("there is no model yet whose attention could be chosen; give the panel one")
        Channel(*wanted).members(self._settings)
        self._telling = False
        self.layer.value = wanted[0] or 0
        self._telling = True
        before, self.head.value = self.head.value, (wanted[1], wanted[2])
        if before == self.head.value:
            self._tell()

    def offer(self, settings: ModelSettings) -> None:
        """Offer what a network has; what was chosen stays where it has that, too."""
        if settings == self._settings:
            return
        self._settings, before = settings, self.channel
        heads = [(f"head {number}", ("features", number)) for number in range(1, settings.num_heads + 1)]
        degrees = [(f"degree {degree}", ("euclidean", degree)) for degree in settings.degrees]
        sums = [
            ("all (sum of sizes)", (None, None)),
            ("all heads", ("features", None)),
            ("all degrees", ("euclidean", None)),
        ]
        self._telling = False
        self.layer.options = [("all", 0), *((str(layer), layer) for layer in range(1, settings.num_layers + 1))]
        self.head.options = [*sums, *heads, *degrees]
        self.layer.value, self.head.value = 0, (None, None)
        try:
            before.members(settings)
            self.layer.value, self.head.value = before.layer or 0, (before.kind, before.number)
        except ValueError:
            pass
        self._telling = True

    def draw_in(self, *viewers: Viewer) -> None:
        """Let the threshold and the checkbox be those of these viewers from now on."""
        self._viewers = list(viewers)
        self._apply()

    def _on_menu(self, change: object) -> None:
        if self._telling and self.head.value is not None:
            self._tell()

    def _tell(self) -> None:
        self._show_code(f"{self._name}.channel = {tuple(self.channel)!r}")
        self._on_channel()

    def _on_drawn(self, change: object) -> None:
        self._apply()
        which = "threshold" if getattr(change, "owner", None) is self.threshold else "of_picked"
        self._show_code(f"{self._name}.{which}.value = {getattr(self, which).value!r}")

    def _apply(self) -> None:
        for viewer in self._viewers:
            viewer.link_threshold = self.threshold.value / 100
            viewer.links_of_picked = self.of_picked.value
