"""Which way leads from one selected minimum to the other, and how high is it? A path on request, and played."""

from collections.abc import Callable

import ipywidgets as ipw
import plotly.graph_objects as go
from ase import Atoms

from so3lab.landscape import Band
from so3lab_widgets import figures
from so3lab_widgets.figures.landscape import EnergyUnit, per_unit
from so3lab_widgets.panels.job_bar import button

_EVERY_MS = 150


class MinimaPath(ipw.HBox):
    """A button that looks for a path, and a player of its images, which is there when one was found.

    Args:
        unit: Of energies.
        on_find: Called when somebody wants the path between the two that are selected.
        on_image: Called with an image of the path and words about it, when somebody goes there.

    Attributes:
        band: The path, None before one was found.
        ends: Numbers of its minima.
        find_button: The button.
        place: A slider over the images.
    """

    def __init__(self, unit: EnergyUnit, on_find: Callable[[], None], on_image: Callable[[Atoms, str], None]):
        self._unit, self._on_image = unit, on_image
        self.band: Band | None = None
        self.ends = (0, 0)
        self.find_button = button(
            "Path and barrier", "random", "the way of lowest energy between the two that are selected", on_find
        )
        self.play = ipw.Play(0, min=0, max=1, interval=_EVERY_MS, repeat=True, tooltip="play the path")
        self.place = ipw.IntSlider(0, min=0, max=1, description="Path", style={"description_width": "40px"})
        ipw.jslink((self.play, "value"), (self.place, "value"))
        self.words = ipw.HTML()
        self._player = ipw.HBox([self.play, self.place, self.words], layout=ipw.Layout(display="none"))
        self._player.layout.flex_flow, self._player.layout.align_items = "row wrap", "center"
        self.place.observe(lambda change: self.go_to(change.new), "value")
        layout = ipw.Layout(flex_flow="row wrap", align_items="center", grid_gap="0 10px")
        super().__init__([self.find_button, self._player], layout=layout)

    @property
    def sentence(self) -> str:
        """How high the path is, and whether it has converged."""
        if self.band is None:
            return ""
        band, (first, second) = self.band, self.ends
        up = band.barrier / per_unit(self._unit)
        back = (band.energies[band.highest] - band.energies[-1]) / per_unit(self._unit)
        sure = "" if band.converged else f"; not converged, {band.max_force:.2g} eV/Å are left"
        way = f", by way of {len(band.minima)} more" if band.minima else ""
        return f"{up:.2f} {self._unit} from minimum {first} to {second}{way}, {back:.2f} back{sure}."

    def take(self, band: Band, ends: tuple[int, int]) -> None:
        """Have a path, and go to its highest image."""
        self.band, self.ends = band, ends
        self.play.max = self.place.max = len(band.images) - 1
        self._player.layout.display = ""
        self.words.value = f'<span role="status">{self.sentence}</span>'
        if self.place.value == band.highest:
            self.go_to(band.highest)
        else:
            self.place.value = band.highest

    def forget(self) -> None:
        """Have none, since its minima are no longer those that are shown."""
        self.band = None
        self._player.layout.display = "none"

    def go_to(self, image: int) -> None:
        """Show an image of the path."""
        if self.band is not None and 0 <= image < len(self.band.images):
            first, second = self.ends
            words = f"image {image} of the path from minimum {first} to {second}"
            self._on_image(self.band.images[image], words)

    def drawn(self) -> go.Figure:
        """The energies along the path.

        Raises:
            ValueError: If there is none.
        """
        if self.band is None:
            raise ValueError("No path is known: select two minima, and press Path and barrier.")
        return figures.path_profile(self.band.profile(), ends=self.ends, unit=self._unit)
