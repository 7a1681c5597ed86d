"""The molecules of a live simulation side by side: their newest frames, colours, picked atoms, and what blew up."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as ipw
from ase import Atoms

from so3lab import atom_properties
from so3lab.dynamics.live import LiveDynamics
from so3lab.engine.energy_model import EnergyModel
from so3lab.potential.potential import Potential
from so3lab_widgets.panels.attention_choice import AttentionChoice
from so3lab_widgets.panels.attention_source import AttentionSource, heard_words
from so3lab_widgets.panels.panel import close_all
from so3lab_widgets.viewer.colouring import Colouring
from so3lab_widgets.viewer.viewer import Viewer

_MOST_BESIDE = 2
"""More views stand in two rows."""
_SHARE_OF_ROWS = 0.62
"""Of its height, where there are two rows."""
_SHARED = ["representation", "colour", "labels", "forces", "follow", "images"]
"""What is chosen for all views at once."""


class ReplicaViews(ipw.HBox):
    """A viewer for each replica, four of them two by two; what is picked in one is picked in all, and the bar above the
    first one is that of all.

    Args:
        height: Of each in pixels.
        on_viewer: Called with each new viewer and its number.
        on_pick: Called with the atoms that somebody has picked.
        on_looks: Called when somebody wants other colours or arrows.
        on_trouble: Told in a sentence what a model could not say.
        show_code: Called with a line of Python that does what was clicked in the choice of attention.

    Attributes:
        viewers: One for each replica.
        attention: Which attention links and colours show, in sight while atoms are coloured by it.
    """

    def __init__(
        self,
        height: int,
        *,
        on_viewer: Callable[[Viewer, int], None],
        on_pick: Callable[[list[int]], None],
        on_looks: Callable[[], None],
        on_trouble: Callable[[str], None],
        show_code: Callable[[str], None] = lambda line: None,
    ):
        self.viewers: list[Viewer] = []
        self._height, self._on_viewer, self._on_trouble = height, on_viewer, on_trouble
        self._on_pick, self._on_looks = on_pick, on_looks
        self._colouring = Colouring({})
        self._warned: set[int] = set()
        self._picked_before: list[int] = []
        self.attention = AttentionChoice(self._on_channel, show_code, "panel.views.attention")
        self.attention.layout.flex = "1 1 100%"
        super().__init__(layout=ipw.Layout(width="100%", min_width="0", flex_flow="row wrap", align_items="flex-end"))

    def set_structure(self, potential: Potential | EnergyModel, structure: Atoms, copies: int) -> None:
        """Show so many copies of a structure; viewers that stood there for the same one stay."""
        self._colouring.close()
        if isinstance(potential, Potential):
            self.attention.offer(potential.settings)
            source = AttentionSource(potential, lambda: self.attention.channel)
            values = atom_properties.per_atom_functions(potential) | {"attention": source.received}
            self._colouring = Colouring(values, source.links, self._on_trouble)
        else:
            self._colouring = Colouring({})
        self._warned.clear()
        while len(self.viewers) > copies:
            close_all(self.viewers.pop())
        for viewer in self.viewers:
            viewer.show_live(structure, self._colouring.names, forces=True)
        while len(self.viewers) < copies:
            self.viewers.append(self._made(structure))
        for number, viewer in enumerate(self.viewers):
            viewer.layout.flex = f"1 1 {90 // min(copies, _MOST_BESIDE)}%"
            viewer.height = self._height if copies <= _MOST_BESIDE else int(_SHARE_OF_ROWS * self._height)
            viewer.caption = f"replica {number}" if copies > 1 else ""
        self.attention.draw_in(*self.viewers)
        self.children = (*self.viewers, self.attention)
        self._describe()

    def push(self, live: LiveDynamics, chunks: Sequence[Any]) -> None:
        """Show the last frame of each chunk, where there is one."""
        for viewer, chunk in zip(self.viewers, chunks, strict=False):
            if len(chunk):
                viewer.push(
                    chunk.positions[-1],
                    cell=None if chunk.cell is None else chunk.cell[-1],
                    values=self._colouring.of_chunk(viewer, chunk),
                    arrows=chunk.forces[-1] if viewer.forces else None,
                )
        self._ask(live, -1)

    def show(self, live: LiveDynamics, frame: int) -> None:
        """Show a remembered frame, the last one of those that ended before, while nothing runs."""
        numbers = range(len(self.viewers))
        self.push(live, [live.frame(number, _until(live, number, frame)) for number in numbers])
        self._ask(live, frame, resting=True)

    def warn(self, live: LiveDynamics) -> None:
        """Say at once who blew up, and mark the atoms of the bond that went."""
        if live.replicas.alive.all():
            return
        for number, sentence in live.failures.items():
            if number in self._warned:
                continue
            self._warned.add(number)
            self.viewers[number].notice = sentence.split(". Try")[0]
            bond = live.weakest_bond(number)
            if bond is not None:
                self._picked_before = self._picked_before or list(self.viewers[number].picked)
                self.viewers[number].picked = list(bond)

    def clear_warnings(self) -> None:
        """Nobody has blown up any more: take warnings away, and pick what was picked before."""
        self._warned.clear()
        for viewer in self.viewers:
            viewer.notice = ""
        before, self._picked_before = self._picked_before, []
        if before and self.viewers:
            self.viewers[0].picked = before

    def close(self) -> None:
        """Take the views away; threads end."""
        self._colouring.close()
        for viewer in self.viewers:
            viewer.close()
        close_all(self.attention)
        super().close()

    def _made(self, structure: Atoms) -> Viewer:
        looks = {name: getattr(self.viewers[0], name) for name in _SHARED if self.viewers and name != "colour"}
        viewer = Viewer(
            height=self._height, layout=ipw.Layout(min_width="240px"), tools=not self.viewers, saves=False, **looks
        )
        viewer.show_live(structure, self._colouring.names, forces=True)
        viewer.observe(self._share_picks, "picked")
        viewer.observe(self._share_looks, _SHARED)
        viewer.observe(lambda change: self._look(), ["colour", "forces"])
        self._on_viewer(viewer, len(self.viewers))
        return viewer

    def _look(self) -> None:
        self._describe()
        self._on_looks()

    def _on_channel(self) -> None:
        """Another attention is wanted: a molecule at rest shows it now."""
        for viewer in self.viewers:
            viewer.describe("attention", heard_words(self.attention.channel))
        self._on_looks()

    def _describe(self) -> None:
        shown = any(viewer.colour == "attention" for viewer in self.viewers)
        self.attention.layout.display = "" if shown else "none"

    def _share_picks(self, change: Any) -> None:
        for viewer in self.viewers:
            if viewer is not change.owner and viewer.picked != change.new:
                viewer.picked = change.new
        self._on_pick(list(change.new))

    def _share_looks(self, change: Any) -> None:
        """Show all replicas as somebody wants to see one."""
        for viewer in self.viewers:
            if viewer is not change.owner and getattr(viewer, change.name) != change.new:
                setattr(viewer, change.name, change.new)

    def _ask(self, live: LiveDynamics, frame: int, resting: bool = False) -> None:
        """Ask the model for colours of a frame, where such colours are chosen."""
        asked = [
            (viewer, functools.partial(live.atoms, number, _until(live, number, frame)))
            for number, viewer in enumerate(self.viewers)
        ]
        self._colouring.ask(asked, resting)


def _until(live: LiveDynamics, number: int, frame: int) -> int:
    """A frame, or the last one of a replica that has fewer."""
    return min(frame, live.frames(number) - 1)
