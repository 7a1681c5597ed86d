"""The strongest pairs as a table to sort, filter and choose from, by mouse or arrow keys."""

import html
from collections.abc import Callable, Sequence

import ipywidgets as ipw
import pandas as pd

from so3lab_widgets.panels.attention.shown import Shown
from so3lab_widgets.tables.linked_table import LinkedTable

MOST = 40
_HEIGHT = 190


class PairList(ipw.VBox):
    """Pairs of atoms with their distance and weights, strongest first; choosing one picks it.

    Args:
        on_pair: Called with the two atoms.

    Attributes:
        table: The pairs, one a row.
        heading: What its columns are.
    """

    def __init__(self, on_pair: Callable[[list[int]], None]):
        self._on_pair = on_pair
        self._telling = True
        self._pairs: list[tuple[int, int]] = []
        self.table = LinkedTable("pair", height=_HEIGHT)
        self.table.observe(self._on_choice, "current")
        self.heading = ipw.HTML(_heading(""))
        super().__init__([self.heading, self.table])

    def draw(self, shown: Shown) -> None:
        """Show these pairs."""
        pairs, names, matrix = [(int(i), int(j)) for i, j in shown.links.pairs[:MOST]], shown.names, shown.matrix
        rows = [(f"{names[i]}–{names[j]}", shown.distances[i, j], matrix[i, j], matrix[j, i]) for i, j in pairs]
        found = pd.DataFrame(rows, columns=["pair", "distance_A", "first_reads", "second_reads"])
        found.insert(2, "both", shown.links.weights[:MOST].tolist())
        chosen = self._pairs[self.table.current] if self.table.current >= 0 else None
        self._telling = False
        try:
            self._pairs = pairs
            self.heading.value = _heading(shown.compared)
            self.table.show(found)
            self.table.current = self._row_of(chosen)
        finally:
            self._telling = True

    def mark(self, picked: Sequence[int]) -> None:
        """Choose the picked pair, where it is among these."""
        self._telling = False
        try:
            self.table.current = self._row_of((min(picked), max(picked)) if len(picked) == 2 else None)
        finally:
            self._telling = True

    def _row_of(self, pair: tuple[int, int] | None) -> int:
        return self._pairs.index(pair) if pair in self._pairs else -1

    def _on_choice(self, change: object) -> None:
        if self._telling and self.table.current >= 0:
            self._on_pair(list(self._pairs[self.table.current]))


def _heading(compared: str) -> str:
    """What the columns are; of changes also what is less what."""
    what = f"<b>Largest changes</b>, {html.escape(compared)}" if compared else "<b>Strongest pairs</b>"
    return f"{what}: weights of both directions, what the first reads of the second, and vice versa"
