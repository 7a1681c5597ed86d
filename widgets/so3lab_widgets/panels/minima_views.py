"""Minima as people see them: one molecule, a map, a table, each of which moves the others."""

import threading
from collections.abc import Callable, Sequence

import ipywidgets as ipw
import numpy as np
import pandas as pd
from ase import Atoms

from so3lab.landscape import TransitionState
from so3lab.minima import Minimum
from so3lab.observables import overlaid, superpose
from so3lab_widgets.plots.property_map import PropertyMap
from so3lab_widgets.tables.linked_table import LinkedTable
from so3lab_widgets.viewer.overlays import MOST as MOST_OVERLAYS
from so3lab_widgets.viewer.viewer import Viewer

ARGON_A = 3.4
"""Å for which one unit of length stands when a cluster in reduced units is drawn."""


class MinimaViews(ipw.VBox):
    """Pointing at a minimum shows it, clicking stays with it, dragging over the map or filtering leaves some.

    Args:
        height: Of the molecule in pixels.
        reduced: Whether these are clusters in reduced units, drawn as argon.
        on_look: Called with the row that somebody stays with.
        on_select: Called with the rows that are selected.
        on_line: Called with a line of Python that does what somebody has just done.

    Attributes:
        minima: What is shown; rows are places in it.
        viewer, map, table: Their three views.
        current: The row that is looked at; None before there is one.
    """

    def __init__(
        self,
        *,
        height: int,
        reduced: bool,
        on_look: Callable[[int], None],
        on_select: Callable[[list[int]], None],
        on_line: Callable[[str], None],
    ):
        self.minima: list[Minimum] = []
        self.current: int | None = None
        self._height = "above_lowest" if reduced else "above_lowest_kcal_mol"
        self._length = ARGON_A if reduced else 1.0
        self._reference: np.ndarray | None = None
        self._brushed: tuple[str, ...] = ()
        self._on_look, self._on_select, self._on_line = on_look, on_select, on_line
        self._lock = threading.RLock()  # rows come from the page and from a search
        self.viewer = Viewer(height=height, saves=False, representation="spacefill" if reduced else "ball+stick")
        self.map = PropertyMap(
            "minimum", on_point=self.on_point, on_choice=self._on_brush, height=height,
            on_axes=lambda axis, column: on_line(f"panel.views.map.{axis}.value = {column!r}"),
        )  # fmt: skip
        self.table = LinkedTable("minimum", height=height - 40)
        self.table.on_rows(self._on_rows)
        self.table.observe(lambda change: self._on_table(change.new), "current")
        self.table.observe(lambda change: self._point_at(change.new if change.new >= 0 else None), "pointed_at")
        self.table.observe(lambda change: self._on_selected(change.new), "selected")
        for name in ("sorted_by", "descending", "filters"):
            self.table.observe(lambda change: on_line(f"panel.views.table.{change.name} = {change.new!r}"), name)
        super().__init__([side_by_side(self.viewer, self.map)])

    @property
    def selected(self) -> list[int]:
        """Rows that were selected, in that order."""
        return list(self.table.selected)

    @property
    def left(self) -> list[int]:
        """Rows that pass all filters, ascending."""
        return sorted(self.table.rows.tolist())

    def show(self, minima: Sequence[Minimum], data: pd.DataFrame) -> None:
        """Show minima, in place of those before or as more of them.

        Args:
            minima: In the order of the rows.
            data: A row of properties for each.
        """
        with self._lock:
            if not _goes_on(self.minima, minima):
                self.current, self._reference, self.table.selected = None, None, []
            self.minima = list(minima)
            self.table.show(data)
            self.map.prefer = _preferred([str(name) for name in data.columns], self._height)
            self.map.show(data)
            if self.minima and self.current is None:
                self.look_at(int(np.argmin([one.energy for one in self.minima])))
            elif not self.minima:
                self._reference = None

    def look_at(self, row: int) -> None:
        """Stay with a minimum.

        Raises:
            ValueError: If there is no such one.
        """
        if not 0 <= row < len(self.minima):
            raise ValueError(f"minima have numbers from 0 to {len(self.minima) - 1}, got {row}")
        with self._lock:
            self.current = row
            if self.table.current != row:
                self.table.current = row
            self._draw(row)
            self.map.mark(row, self.selected)
            self._overlay()
        self._on_look(row)

    def show_saddle(self, state: TransitionState) -> None:
        """Show a structure between two minima, until a minimum is pointed at."""
        first, second = state.minima
        self.show_structure(state.atoms, f"saddle {state.number}, between minima {first} and {second}")

    def show_structure(self, atoms: Atoms, words: str) -> None:
        """Show a structure that is no minimum, until a minimum is pointed at."""
        with self._lock:
            self._show(atoms, self._superposed(atoms), words)

    def select(self, rows: Sequence[int]) -> None:
        """Select minima, in this order."""
        self.table.selected = list(rows)

    def close(self) -> None:
        """Take the views away."""
        self.viewer.close()
        self.map.close()
        self.table.close()
        super().close()

    def positions(self, row: int) -> np.ndarray:
        """A minimum as it is drawn: superposed on the first one that was looked at, Å."""
        return self._superposed(self.minima[row].atoms)

    def _superposed(self, atoms: Atoms) -> np.ndarray:
        found = self._length * atoms.positions
        if self._reference is None or self._reference.shape != found.shape:
            self._reference = found - found.mean(axis=0)
        return superpose(found[None], self._reference)[0]

    def words_about(self, row: int) -> str:
        """Number and height of a minimum."""
        unit = " kcal/mol" if self._height.endswith("kcal_mol") else ""
        height = float(self.table.table[self._height].iloc[row])
        return f"minimum {self.minima[row].number} · {height:.2f}{unit} above the lowest"

    def _draw(self, row: int) -> None:
        self._show(self.minima[row].atoms, self.positions(row), self.words_about(row))

    def _show(self, atoms: Atoms, positions: np.ndarray, words: str) -> None:
        shown = self.viewer.atoms
        if shown is None or not np.array_equal(shown.numbers, atoms.numbers):
            drawn = atoms.copy()
            drawn.positions = positions
            self.viewer.show_live(drawn)
        else:
            self.viewer.push(positions)
        self.viewer.caption = words

    def _point_at(self, row: int | None) -> None:
        """Show what is pointed at, and what is stayed with when nothing is."""
        with self._lock:
            at = self.current if row is None else row
            if at is not None and at < len(self.minima):
                self._draw(at)

    def _overlay(self) -> None:
        """Lay the selected minima upon the one that is looked at."""
        if self.current is None:
            return
        stays = self._as_drawn(self.current)
        rows = [row for row in self.selected if row != self.current and row < len(self.minima)][:MOST_OVERLAYS]
        alike = [row for row in rows if sorted(self.minima[row].atoms.numbers) == sorted(stays.numbers)]
        placed = overlaid(stays, [self._as_drawn(row) for row in alike]).structures
        self.viewer.overlay(placed, [f"minimum {self.minima[row].number}" for row in alike], align=False)

    def _as_drawn(self, row: int) -> Atoms:
        drawn = self.minima[row].atoms.copy()
        drawn.positions = self.positions(row)
        return drawn

    def on_point(self, row: int, how: str) -> None:
        """Somebody points at a minimum, or clicks it."""
        if how == "hover":
            self._point_at(row)
        elif row < len(self.minima):
            self.look_at(row)
            self._on_line(f"panel.look_at({row})")

    def _on_table(self, row: int) -> None:
        if row >= 0 and row != self.current:
            self.look_at(row)
            self._on_line(f"panel.look_at({row})")

    def _on_selected(self, rows: list[int]) -> None:
        self.map.mark(self.current, rows)
        self._overlay()
        self._on_select(rows)
        self._on_line(f"panel.select({rows!r})")

    def _on_brush(self, rows: np.ndarray | None) -> None:
        """What is dragged over stands as filters below the columns, where it can be seen and changed."""
        ranges = {column: f"{low:.7g}..{high:.7g}" for column, (low, high) in self.map.box.items()}
        others = {column: wanted for column, wanted in self.table.filters.items() if column not in self._brushed}
        self._brushed = tuple(ranges)
        self.table.filters = {**others, **ranges}

    def _on_rows(self) -> None:
        rows = self.table.rows
        self.map.choose(None if len(rows) == len(self.table.table) else np.sort(rows))


def side_by_side(*parts: ipw.Widget) -> ipw.HBox:
    """Parts of the same width beside each other, or below each other on a narrow page."""
    boxes = [ipw.VBox([part], layout=ipw.Layout(flex="1 1 400px", min_width="0")) for part in parts]
    return ipw.HBox(boxes, layout=ipw.Layout(flex_flow="row wrap", grid_gap="0 12px"))


def _goes_on(before: Sequence[Minimum], now: Sequence[Minimum]) -> bool:
    """Whether every minimum stands where it stood, so that numbers mean what they meant."""
    return len(now) >= len(before) and all(
        one.atoms is other.atoms or one.atoms == other.atoms for one, other in zip(before, now, strict=False)
    )


def _preferred(columns: Sequence[str], height: str) -> dict[str, Sequence[str]]:
    """What the axes and the colour of the map begin with: two torsions and the energy, where there are two."""
    angles = [name for name in columns if name.endswith("_deg")]
    if len(angles) > 1:
        return {"x": angles[:1], "y": angles[1:2], "colour": [height]}
    return {"x": [*angles, "radius_of_gyration_A"], "y": [height], "colour": ["visits"]}
