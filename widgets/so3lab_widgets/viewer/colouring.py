"""Colours of a running molecule: cheap numbers with every frame, others when the model has answered."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from ase import Atoms, units

from so3lab_widgets.running.sender import LatestValueSender
from so3lab_widgets.viewer.links import NO_LINKS, Links
from so3lab_widgets.viewer.viewer import Viewer

_ASKED_HZ, _LEAST_HZ = 10.0, 2.0
_SHARE = 0.2
"""Of a core's time that a model's answers may take, as long as there are some each second."""
OF_FRAMES: dict[str, Callable[[Any], np.ndarray]] = {
    "force": lambda chunk: np.linalg.norm(chunk.forces[-1], axis=1),
    "speed": lambda chunk: np.linalg.norm(chunk.velocities[-1], axis=1) * units.fs,
}
"""What the last frame of a chunk is coloured by."""


def asked_hz(answer_s: float) -> float:
    """How often a model is asked in a second whose answers take so long: dynamics shares its processors."""
    return min(_ASKED_HZ, max(_LEAST_HZ, _SHARE / max(answer_s, 1e-6)))


class Colouring:
    """Numbers per atom for the colours that viewers have chosen.

    A model is asked in a thread for the newest frame, as often as :func:`asked_hz` says; until it answers, atoms
    keep the colours of the answer before.

    Args:
        values: What a model says of a structure, by name.
        links: What is drawn between atoms while the colour is ``"attention"``, as :meth:`Viewer.link` takes it.
        on_trouble: Told in a sentence what could not be computed.
    """

    def __init__(
        self,
        values: Mapping[str, Callable[[Atoms], np.ndarray]],
        links: Callable[[Atoms], Links] | None = None,
        on_trouble: Callable[[str], None] = lambda sentence: None,
    ):
        self.names = [*OF_FRAMES, *values]
        self._asked_for = {*values} | ({"attention"} if links is not None else set())
        self._values, self._links, self._on_trouble = values, links, on_trouble
        self._known: dict[Viewer, tuple[str, np.ndarray]] = {}
        self._linked: set[Viewer] = set()
        self._closed = False
        self._quickest_s = float("inf")  # the first answer may have compiled
        self._sender = LatestValueSender(self._ask, _ASKED_HZ, name="colours")

    def of_chunk(self, viewer: Viewer, chunk: Any) -> dict[str, np.ndarray]:
        """Numbers for the last frame of a chunk, as :meth:`Viewer.push` takes them."""
        name = viewer.colour
        if name in OF_FRAMES:
            return {name: OF_FRAMES[name](chunk)}
        known = self._known.get(viewer)
        return {name: known[1]} if known is not None and known[0] == name else {}

    def ask(self, views: Sequence[tuple[Viewer, Callable[[], Atoms]]], resting: bool = False) -> None:
        """Renew what models must be asked for; never waits.

        Args:
            views: Viewers, and what gives the structure that each shows.
            resting: Whether no further frame will bring the answer to the page.
        """
        if self._linked or any(viewer.colour in self._asked_for for viewer, _ in views):
            self._sender.put((list(views), resting))

    def close(self) -> None:
        """Ask no more; the thread ends, and an answer that comes later is for nobody."""
        self._closed = True
        self._sender.close()

    def _ask(self, item: tuple[list[tuple[Viewer, Callable[[], Atoms]]], bool]) -> None:
        views, resting = item
        began = time.monotonic()
        try:
            for viewer, structure in views:
                self._ask_for(viewer, structure, resting)
        except Exception as error:
            self._on_trouble(" ".join(str(error).split()))
        self._quickest_s = min(self._quickest_s, time.monotonic() - began)
        self._sender.limit(asked_hz(self._quickest_s))
        self._sender.report(1)

    def _ask_for(self, viewer: Viewer, structure: Callable[[], Atoms], resting: bool) -> None:
        name = viewer.colour
        if viewer in self._linked and name != "attention":
            self._linked.discard(viewer)
            viewer.link(*NO_LINKS)
        if name not in self._asked_for:
            return
        atoms = structure()
        if name in self._values:
            values = self._values[name](atoms)
            if self._closed:
                return
            self._known[viewer] = (name, values)
            if resting:
                viewer.recolour({name: values})
        if name == "attention" and self._links is not None:
            links, shown = self._links(atoms), viewer.atoms
            if self._closed or shown is None or len(shown) != len(atoms):  # an answer about another molecule
                return
            viewer.link(*links)
            self._linked.add(viewer)
