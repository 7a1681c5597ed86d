"""A table that talks with Python: sorted by a click on a column, filtered by what is typed below it, linked by rows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import pandas as pd
import traitlets

from so3lab_widgets.tables.filters import matching
from so3lab_widgets.theme import label
from so3lab_widgets.viewer.static_preview import LIVES

_STATIC = Path(__file__).parent


class LinkedTable(anywidget.AnyWidget):
    """Rows that can be sorted, filtered, pointed at, looked at and selected; tens of thousands of them scroll.

    A page gets the columns once, as numbers, and the order of the rows whenever it changes; it draws those in sight.

    Args:
        noun: What a row is, such as ``"minimum"``.
        height: In pixels.

    Traits: ``current``, the row that is looked at, and ``pointed_at``, the one under the pointer, -1 for none;
    ``selected``, rows in the order in which they were selected; ``sorted_by``, a column or nothing, and ``descending``;
    ``filters``, what is typed below columns, by column (see :func:`so3lab_widgets.tables.filters.matching`);
    ``trouble``, what is wrong with a filter.

    Attributes:
        table: What is shown, all of it.
        rows: Numbers of the rows that pass the filters, in the order in which they are shown.
    """

    _esm = _STATIC / "linked_table.js"
    _css = _STATIC / "linked_table.css"
    _columns = traitlets.List(traitlets.Dict()).tag(sync=True)
    _numbers = traitlets.Bytes().tag(sync=True)
    _words = traitlets.Dict().tag(sync=True)
    _order = traitlets.Bytes().tag(sync=True)
    noun = traitlets.Unicode().tag(sync=True)
    height = traitlets.Int(260, min=80).tag(sync=True)
    current = traitlets.Int(-1, min=-1).tag(sync=True)
    pointed_at = traitlets.Int(-1, min=-1).tag(sync=True)
    selected = traitlets.List(traitlets.Int(min=0)).tag(sync=True)
    sorted_by = traitlets.Unicode().tag(sync=True)
    descending = traitlets.Bool(False).tag(sync=True)
    filters = traitlets.Dict().tag(sync=True)
    trouble = traitlets.Unicode().tag(sync=True)

    def __init__(self, noun: str = "row", *, height: int = 260):
        self.table = pd.DataFrame()
        self.rows: np.ndarray = np.zeros(0, np.int32)
        self._listeners: list[Callable[[], None]] = []
        super().__init__(noun=noun, height=height)
        self.observe(lambda change: self._arrange(), ["sorted_by", "descending", "filters"])

    def __repr__(self) -> str:
        return f"{type(self).__name__}: {LIVES}"

    def show(self, table: pd.DataFrame) -> None:
        """Show another table; sorting and filters by columns that it has as well stay."""
        fewer, self.table = len(table) < len(self.table), table
        numbers = [name for name in table.columns if pd.api.types.is_numeric_dtype(table[name])]
        others = [name for name in table.columns if name not in numbers]
        with self.hold_sync():
            if fewer:
                self.current, self.pointed_at = -1, -1
                self.selected = [row for row in self.selected if row < len(table)]
            self._columns = [self._described(str(name), name in numbers) for name in table.columns]
            self._numbers = b"".join(table[name].to_numpy(np.float64).tobytes() for name in numbers)
            self._words = {str(name): ["" if value is None else str(value) for value in table[name]] for name in others}
            self.filters = {name: wanted for name, wanted in self.filters.items() if name in table.columns}
            if self.sorted_by not in table.columns:
                self.sorted_by = ""
            self._arrange()

    def on_rows(self, act: Callable[[], None]) -> None:
        """Call ``act()`` when other rows are shown."""
        self._listeners.append(act)

    @traitlets.validate("current", "pointed_at")
    def _one_of_the_rows(self, proposal: Any) -> int:
        if proposal.value >= len(self.table):
            raise traitlets.TraitError(f"rows are numbered 0 to {len(self.table) - 1}, got {proposal.value}")
        return proposal.value

    @traitlets.validate("sorted_by")
    def _a_column(self, proposal: Any) -> str:
        if proposal.value and proposal.value not in self.table.columns:
            raise traitlets.TraitError(f"there is no column {proposal.value!r} to sort by")
        return proposal.value

    def _described(self, name: str, is_number: bool) -> dict[str, Any]:
        """What a page needs to know of a column."""
        return {
            "name": name, "label": label(name), "number": is_number,
            "decimals": _decimals(self.table[name]) if is_number else 0,
        }  # fmt: skip

    def _arrange(self) -> None:
        """Filter and sort anew."""
        keep, trouble = np.ones(len(self.table), bool), ""
        for name, wanted in self.filters.items():
            if name not in self.table.columns:  # of a table before, while another one is taken over
                continue
            try:
                keep &= matching(self.table[name], wanted)
            except ValueError as error:
                trouble = f"{label(name)}: {error}"
        rows = np.flatnonzero(keep)
        if self.sorted_by in self.table.columns:
            column = self.table[self.sorted_by].iloc[rows]
            order = column.reset_index(drop=True).sort_values(ascending=not self.descending, kind="stable")
            rows = rows[order.index.to_numpy()]
        changed = not np.array_equal(rows, self.rows)
        self.rows = rows.astype(np.int32)
        with self.hold_sync():
            self.trouble = trouble
            self._order = self.rows.tobytes()
        if changed:
            for listener in list(self._listeners):
                listener()


def _decimals(values: pd.Series) -> int:
    """Digits behind the point that tell values apart."""
    if pd.api.types.is_integer_dtype(values) or pd.api.types.is_bool_dtype(values):
        return 0
    finite = values.to_numpy(float)
    finite = finite[np.isfinite(finite)]
    if not len(finite) or np.array_equal(finite, np.round(finite)):
        return 0
    spread = float(np.ptp(finite)) or abs(float(finite[0]))
    return int(np.clip(3 - np.floor(np.log10(spread)), 0, 6))
