"""Under which names do files keep the quantities of a data set?"""

from collections.abc import Collection, Mapping

from so3lab.datasets.cell_labels import CellLabel, names_of_cell_labels

QUANTITIES = ("numbers", "positions", "energies", "forces")
"""What every frame needs, and the keys of the ``keys`` argument."""

NAMES: dict[str, tuple[str, ...]] = {
    "numbers": ("z", "Z", "nuclear_charges", "numbers", "atomic_numbers", "atNUM"),
    "positions": ("R", "coords", "positions", "coordinates", "atXYZ"),
    "energies": ("energy", "E", "energies", "ePBE0+MBD", "REF_energy", "total_energy", "potential_energy", "dft_energy",
                 "dft_total_energy", "free_energy"),
    "forces": ("forces", "F", "force", "totFOR", "REF_forces", "REF_force", "dft_forces", "dft_force"),
    "atom_counts": ("N",),
    "cells": ("cells", "cell", "lattice"),
    "pbc": ("pbc",),
}  # fmt: skip
"""Usual names, in the order in which they are looked for; capitals and dashes count in single letters alone."""

PLAIN = ("energy", "energies", "E", "forces", "F", "ePBE0+MBD", "totFOR")
"""Names that leave nothing to say."""


def found_under(available: Collection[str], quantity: str, keys: Mapping[str, str]) -> list[str]:
    """Names among ``available`` that hold a quantity, the first of them the one to read.

    Args:
        available: Names in a file.
        quantity: One of ``NAMES``.
        keys: The caller's names, which take the place of the usual ones.
    """
    if quantity in keys:
        return [keys[quantity]] if keys[quantity] in available else []
    by_form: dict[str, list[str]] = {}
    for name in available:
        by_form.setdefault(_form(name), []).append(name)
    found = []
    for known in NAMES[quantity]:
        spelled = by_form.get(_form(known), [])
        found += [known] if known in spelled else spelled
    return list(dict.fromkeys(found))


def nothing_found(available: Collection[str], quantity: str, keys: Mapping[str, str]) -> str:
    """The end of the sentence about a file without a quantity: what it has, and what to do."""
    wanted = keys.get(quantity)
    tried = repr(wanted) if wanted else " or ".join(map(repr, NAMES[quantity]))
    others = ", ".join(map(repr, sorted(available))) or "nothing else"
    gradients = [name for name in available if quantity == "forces" and "grad" in name.lower()]
    hint = f" ({gradients[0]!r} may be a gradient, whose negative the forces are)" if gradients else ""
    return (
        f"no {quantity} under {tried}; it has {others}{hint}: if one of these holds the {quantity}, pass "
        f"keys={{{quantity!r}: '...'}}; a set without {quantity} cannot be used"
    )


def record_of_names(names: Mapping[str, str]) -> dict[str, str]:
    """For a dataset's meta: the names of labels where they are none of ``PLAIN``."""
    return {f"{q}_read_from": names[q] for q in ("energies", "forces") if names[q] not in PLAIN}


def record_of_cell_labels(available: Collection[str], used: CellLabel | None) -> dict[str, str]:
    """For a dataset's meta: where stresses are read from, and labels of cells that are left out.

    Args:
        available: Names in a file.
        used: That of which stresses were made, if any.
    """
    record = {} if used is None else {"stresses_read_from": used.source}
    others = [name for name in names_of_cell_labels(available) if used is None or name != used.name]
    if others:
        named = ", ".join(map(repr, others))
        reason = "the frames are no cells" if used is None else f"stresses are those of {used.name!r}"
        record["left_out"] = f"{named}: {reason}"
    return record


def is_name_of(name: str, quantity: str) -> bool:
    """Whether a name is one of the usual ones of a quantity."""
    return _form(name) in set(map(_form, NAMES[quantity]))


def _form(name: str) -> str:
    return name if len(name) == 1 else name.lower().replace("-", "_")
