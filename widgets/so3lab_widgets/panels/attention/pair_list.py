"""The strongest pairs as a list to choose from, by mouse or arrow keys."""

from collections.abc import Callable, Sequence

import ipywidgets as ipw

from so3lab_widgets.panels.attention.shown import Shown

MOST = 40


class PairList(ipw.VBox):
    """Pairs of atoms with their distance and weights, strongest first; choosing one picks it.

    Args:
        on_pair: Called with the two atoms.

    Attributes:
        menu: The list.
    """

    def __init__(self, on_pair: Callable[[list[int]], None]):
        self._on_pair = on_pair
        self._telling = True
        self._pairs: list[tuple[int, int]] = []
        self.heading = ipw.HTML()
        self.menu = ipw.Select(rows=9, layout=ipw.Layout(width="calc(100% - 4px)"))
        self.menu.observe(self._on_choice, "index")
        super().__init__([self.heading, self.menu])

    def draw(self, shown: Shown) -> None:
        """Show these pairs."""
        pairs, weights = shown.links.pairs[:MOST], shown.links.weights[:MOST]
        names, matrix = shown.names, shown.matrix
        lines = [
            f"{names[i]} – {names[j]}   {shown.distances[i, j]:.2f} Å   {weight:+.4f}   "
            f"({names[i]} ← {names[j]} {matrix[i, j]:+.4f}, {names[j]} ← {names[i]} {matrix[j, i]:+.4f})"
            for (i, j), weight in zip(pairs.tolist(), weights, strict=True)
        ]
        chosen = self._pairs[self.menu.index] if self.menu.index is not None and self._pairs else None
        self._telling = False
        try:
            self._pairs = [(int(i), int(j)) for i, j in pairs]
            self.menu.options = [line.replace("   ", " \u2002") for line in lines]
            self.menu.index = self._pairs.index(chosen) if chosen in self._pairs else None
        finally:
            self._telling = True
        self.heading.value = "<b>Strongest pairs</b>: distance, sum of both directions, each direction"

    def mark(self, picked: Sequence[int]) -> None:
        """Choose the picked pair, where it is among these."""
        pair = (min(picked), max(picked)) if len(picked) == 2 else None
        self._telling = False
        try:
            self.menu.index = self._pairs.index(pair) if pair in self._pairs else None
        finally:
            self._telling = True

    def _on_choice(self, change: object) -> None:
        if self._telling and self.menu.index is not None:
            self._on_pair(list(self._pairs[self.menu.index]))
