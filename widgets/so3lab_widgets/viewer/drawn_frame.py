"""What a page draws of a frame: positions where they are followed to, colours with their scale, arrows, a cell."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from ase import Atoms

from so3lab_widgets.viewer.colour_scale import ColourScale
from so3lab_widgets.viewer.frame_source import Frames
from so3lab_widgets.viewer.placing import Placer
from so3lab_widgets.viewer.traits import ViewerTraits


class DrawnFrameMixin(ViewerTraits):
    """A viewer's newest frame, and how it is sent."""

    _lock: threading.RLock
    send: Callable[..., None]
    linked: np.ndarray
    latest: dict[str, np.ndarray]
    """Arrays of what is shown, by name, as they go to the page."""

    def _begin_drawing(self) -> None:
        self.latest = {}
        self._sent_names: set[str] = set()
        self._values_of = ""
        self._scale = ColourScale()
        self._draw_anew(Atoms("H"))

    def _draw_anew(self, atoms: Atoms) -> None:
        """Another structure is shown, upon which its frames are laid."""
        self.latest.clear()
        self._placer = Placer(atoms)
        self._stored: np.ndarray | None = None  # positions before they are placed
        self._stored_arrows: np.ndarray | None = None

    @property
    def legend(self) -> dict[str, Any]:
        """What the colours of the atoms mean: ``label`` with unit, ``definition``, ``low``, ``high``, ``scale``; empty
        before any were sent."""
        return dict(self._legend)

    @property
    def drawn(self) -> frozenset[str]:
        """Names of what the page draws now: positions, and cell, values, arrows and links where there are any."""
        return frozenset(self._sent_names)

    def describe(self, colour: str, definition: str) -> None:
        """Say what the numbers of a colour are from now on, for the legend, whose range begins anew."""
        with self._lock:
            self._scale.describe(colour, definition)

    def _read(self, content: Frames, index: int) -> None:
        positions, colour = content.smooth_positions(index, self.smoothing), self.colour
        values = {colour: content.values[colour](index)} if colour in content.values else {}
        forces = content.forces(index) if self.forces and content.has_forces else None
        self._take(positions, content.cell(index), values, forces)

    def _take(self, positions, cell, values, arrows) -> None:
        self._stored = np.asarray(positions)
        self._take_arrows(arrows)
        if cell is not None:
            self.latest["cell"] = np.asarray(cell)
        self._take_values(values)
        self._place()

    def _take_arrows(self, arrows: np.ndarray | None) -> None:
        self._stored_arrows = None if arrows is None else np.asarray(arrows)
        if arrows is None:
            self.latest.pop("arrows", None)

    def _place(self) -> None:
        """Put what came last where it is drawn."""
        if self._stored is None:
            return
        placed = self._placer.place(
            self._stored,
            self.latest.get("cell"),
            self._stored_arrows,
            follow=self.follow,
            images=self.images,
            picked=list(self.picked),
        )
        self.latest["positions"] = placed.positions
        if placed.arrows is not None:
            self.latest["arrows"] = placed.arrows

    def _take_values(self, values: Mapping[str, np.ndarray]) -> None:
        """Keep the numbers of the chosen colour, where they are among these."""
        self._values_of = self.colour
        found = values.get(self._values_of)
        if found is not None:
            self.latest["values"] = np.asarray(found)
        else:
            self.latest.pop("values", None)

    def _send_latest(self) -> None:
        if self.colour != self._values_of:  # another colour was chosen: its numbers are still to come
            self.latest.pop("values", None)
        arrays = {name: np.ascontiguousarray(x, np.float32) for name, x in self.latest.items()}
        if "positions" not in arrays:
            return
        message: dict[str, Any] = {
            "kind": "frame",
            "parts": list(arrays),
            "gone": sorted(self._sent_names - arrays.keys()),
        }
        if "links" in arrays:
            message["pairs"] = self.linked.ravel().tolist()
        if "values" in arrays:
            legend = self._scale.take(self._values_of, arrays["values"])
            if legend != self._legend:
                self._legend = legend
            message |= {"domain": [legend["low"], legend["high"]], "scale": legend["scale"]}
        self._sent_names = set(arrays)
        self.send(message, [x.tobytes() for x in arrays.values()])
