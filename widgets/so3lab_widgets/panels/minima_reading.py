"""Where minima that a panel shows come from: a database, or the memory of a search, gathered by a rule."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from so3lab.landscape import Landscape
from so3lab.minima import DuplicateRule, Minimum, merge
from so3lab_widgets.confinement import permitted


def where_of(database: Any) -> str:
    """The file or URL of a database that was given as such, or open; nothing for None.

    Raises:
        PermissionError: If it may not be opened (:func:`so3lab_widgets.confinement.permitted`).
    """
    return "" if database is None else permitted(str(getattr(database, "where", database)).strip())


def is_there(where: str) -> bool:
    """Whether there is a database: files are looked for, servers are believed in."""
    return "://" in where or Path(where).is_file()


def gathered(where: str, kept: Sequence[Minimum], rule: DuplicateRule | None) -> Landscape:
    """Minima, and what joins them where a database knows it.

    Args:
        where: The database; nothing for memory.
        kept: What memory holds.
        rule: When two are the same; None for what searches of a database had, and for memory as it is.

    Raises:
        ValueError: If nothing is there.
    """
    if where and is_there(where):
        return Landscape.read(where, rule)
    if not kept:
        raise ValueError("there are no minima to be gathered; search, or open a database")
    minima = list(kept) if rule is None else merge(kept, rule)
    return Landscape(minima, [], [None] * len(minima))
