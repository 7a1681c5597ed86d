"""Which cell of a notebook is running, and which of its runs this is: how a panel knows that its cell runs again."""

from typing import NamedTuple

from IPython.core.getipython import get_ipython


class CellRun(NamedTuple):
    """A run of a cell."""

    cell: str
    """As the notebook names the cell, the same whenever it runs."""
    run: str
    """Of this run alone."""


def running_cell() -> CellRun | None:
    """The run of a cell that calls this; None outside of notebooks, and where the page does not name its cells."""
    asked = getattr(get_ipython(), "get_parent", None)  # only the shell of a kernel has it
    request = asked() if asked is not None else {}
    cell = request.get("metadata", {}).get("cellId") if request else None
    return CellRun(str(cell), str(request["header"]["msg_id"])) if cell else None
