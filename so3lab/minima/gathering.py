"""What do all searches of a database have found together, the lowest first?"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from so3lab.minima.accounts import Minimum
from so3lab.minima.database import SEARCH, MinimaDatabase, StoredMinimum
from so3lab.minima.identity import DuplicateRule, KnownMinima, distinct


def gather(database: MinimaDatabase, rule: DuplicateRule | None = None) -> list[Minimum]:
    """Minima by energy, numbered anew from the lowest; those that several searches found are one, with all visits.

    Args:
        database: Of one or more searches.
        rule: When two are the same; default: as the searches had it. Another rule needs no new search.

    Returns:
        The lowest of each group, unchanged but for numbers and visits; ``parent`` and ``mirror_image_of`` are the new
        numbers of the minima that stand for theirs.

    Raises:
        ValueError: If searches had different rules or models, and no rule says which holds.
    """
    return gather_with_names(database, rule)[0]


def merge(minima: Sequence[Minimum], rule: DuplicateRule) -> list[Minimum]:
    """The same for minima of one search that are in no database; one rule may merge what another kept apart.

    Args:
        minima: With the numbers of their search.
        rule: When two are the same.

    Returns:
        As of :func:`gather`.
    """
    return _gathered([StoredMinimum("", one, {}) for one in minima], rule)[0]


def gather_with_names(
    database: MinimaDatabase, rule: DuplicateRule | None = None
) -> tuple[list[Minimum], dict[tuple[str, int], int]]:
    """The same, and by the names of a search and its numbers the new numbers of minima; arguments as of
    :func:`gather`."""
    return gather_stored(database, list(database.minima()), rule)


def gather_stored(
    database: MinimaDatabase, stored: list[StoredMinimum], rule: DuplicateRule | None = None
) -> tuple[list[Minimum], dict[tuple[str, int], int]]:
    """The same of minima that have been read.

    Args:
        database: Where they were read from.
        stored: All of its minima.
        rule: As of :func:`gather`.
    """
    if not stored:
        return [], {}
    searches = sorted({one.search for one in stored})
    if rule is None and len(searches) > 1:
        rule = common_rule(database, searches)
    return _gathered(stored, rule)


def _gathered(
    stored: list[StoredMinimum], rule: DuplicateRule | None
) -> tuple[list[Minimum], dict[tuple[str, int], int]]:
    """Minima by energy, merged where there is a rule, and their new numbers by name."""
    minima = [one.minimum for one in stored]
    energies = np.array([one.energy for one in minima])
    structures = [one.atoms for one in minima]
    stands_for = np.arange(len(minima)) if rule is None else distinct(structures, energies.tolist(), rule)
    visits = np.bincount(stands_for, [one.visits for one in minima], len(minima)).astype(int)
    kept = np.unique(stands_for)
    kept = kept[np.argsort(energies[kept], kind="stable")]
    new_number = {int(row): number for number, row in enumerate(kept)}
    row_of = {(one.search, one.minimum.number): row for row, one in enumerate(stored)}

    def renamed(row: int, number: int | None) -> int | None:
        other = None if number is None else row_of.get((stored[row].search, number))
        return None if other is None else new_number[int(stands_for[other])]

    gathered = [
        replace(
            minima[row],
            number=new_number[int(row)],
            visits=int(visits[row]),
            parent=renamed(row, minima[row].parent),
            mirror_image_of=renamed(row, minima[row].mirror_image_of),
        )
        for row in kept.tolist()
    ]
    if rule is not None and rule.mirror_images == "kept":
        _label_mirror_images(gathered, rule)
    return gathered, {name: new_number[int(stands_for[row])] for name, row in row_of.items()}


def _label_mirror_images(minima: list[Minimum], rule: DuplicateRule) -> None:
    """Say of minima whose mirror image lies lower, or comes first, that they are one, whichever search found it."""
    known = KnownMinima(rule)
    for one in minima:
        image = known.find_mirror_image(one.atoms, one.energy)
        one.mirror_image_of = None if image is None else image.number
        known.add(one.atoms, one.energy)


def common_rule(database: MinimaDatabase, searches: list[str]) -> DuplicateRule:
    """The rule that searches of one model share; landscapes of other rules beside them change nothing."""
    found = []
    for search in [one for one in searches if one.startswith(SEARCH)] or searches:
        stored = database.find(search)
        assert stored is not None
        found.append((stored.settings["model"], DuplicateRule(**stored.settings["rule"])))
    if len({model for model, _ in found}) > 1:
        raise ValueError(f"searches must be of one model to be compared, and those in {database.name} are of several")
    if len({rule for _, rule in found}) > 1:
        raise ValueError(f"searches in {database.name} had different rules for duplicates; say which holds")
    return found[0][1]
