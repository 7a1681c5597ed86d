"""Under which names do files keep the quantities of a data set?"""

from collections.abc import Collection, Mapping

from so3lab.datasets.cell_labels import CellLabel, names_of_cell_labels

QUANTITIES = ("numbers", "positions", "energies", "forces")
"""What every frame needs, and the keys of the ``keys`` argument."""

NAMES: dict[str, tuple[str, ...]] = {
    "numbers": ("z", "Z", "nuclear_charges", "numbers", "atomic_numbers", "atNUM", "species"),
    "positions": ("R", "coords", "positions", "coordinates", "atXYZ", "conformations", "coord"),
    "energies": ("energy", "E", "energies", "ePBE0+MBD", "REF_energy", "total_energy", "potential_energy", "dft_energy",
                 "dft_total_energy", "free_energy", "wb97x_dz.energy", "wB97x_6-31G(d).energy"),
    "forces": ("forces", "F", "force", "totFOR", "REF_forces", "REF_force", "dft_forces", "dft_force",
               "wb97x_dz.forces", "wB97x_6-31G(d).forces"),
    "atom_counts": ("N",),
    "cells": ("cells", "cell", "lattice"),
    "pbc": ("pbc",),
}  # fmt: skip
"""Usual names, in the order in which they are looked for; capitals and dashes count in single letters alone."""

_FAMILIES = ("ref", "dft", "")
"""Beginnings of names that belong together, reference labels before those of whatever ran last."""
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


def in_order_of_families(energies: list[str], forces: list[str]) -> tuple[list[str], list[str]]:
    """Names of both labels with those of one family first, which has both: reference ones before plain ones.

    MACE and others write ``REF_energy`` and ``REF_forces`` because ASE keeps results of whatever calculator ran last
    under the plain names.

    Args:
        energies: Names of :func:`found_under`.
        forces: The same of forces.
    """
    both = {_family(name) for name in energies} & {_family(name) for name in forces}
    first = min(both, key=_FAMILIES.index, default="")

    def ordered(names: list[str]) -> list[str]:
        return sorted(names, key=lambda name: _family(name) != first)

    return ordered(energies), ordered(forces)


def record_of_families(energies: list[str], forces: list[str]) -> dict[str, str]:
    """For a dataset's meta: labels of another family than the first of each, which are left out.

    Args:
        energies: Names of energies, the one that is read first.
        forces: The same of forces.
    """
    others = [
        name for names in (energies, forces) for name in names[1:] if _family(name) != _family(names[0])
    ]  # of one family, such as energy and free_energy, the first is meant
    if not others:
        return {}
    read = " and ".join(repr(names[0]) for names in (energies, forces) if names)
    return {"labels_left_out": f"{', '.join(map(repr, others))}: {read} are read; --keys (keys=) chooses others"}


def is_gradient(name: str) -> bool:
    """Whether a name is one of gradients, whose negative the forces are."""
    return "grad" in name.lower()


def nothing_found(available: Collection[str], quantity: str, keys: Mapping[str, str]) -> str:
    """The end of the sentence about a file without a quantity: what it has, and what to do."""
    wanted = keys.get(quantity)
    tried = repr(wanted) if wanted else " or ".join(map(repr, NAMES[quantity]))
    others = ", ".join(map(repr, sorted(available))) or "nothing else"
    gradients = [name for name in available if quantity == "forces" and is_gradient(name)]
    hint = f" (of {gradients[0]!r}, if it is named, the negative is taken)" if gradients else ""
    return (
        f"no {quantity} under {tried}; it has {others}{hint}: if one of these holds the {quantity}, pass "
        f"keys={{{quantity!r}: '...'}}; a set without {quantity} cannot be used"
    )


def record_of_names(names: Mapping[str, str]) -> dict[str, str]:
    """For a dataset's meta: the names of labels where they are none of ``PLAIN``."""
    record = {f"{q}_read_from": names[q] for q in ("energies", "forces") if names[q] not in PLAIN}
    if is_gradient(names["forces"]):
        record["forces_read_from"] = f"{names['forces']} times -1, because forces are minus the gradient"
    return record


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


def _family(name: str) -> str:
    return next(family for family in _FAMILIES if _form(name).startswith(f"{family}_" if family else ""))
