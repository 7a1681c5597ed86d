"""Minima as structures that files hold: with their numbers beside them."""

from collections.abc import Iterable

import ase

from so3lab.minima.accounts import Minimum


def frames(minima: Iterable[Minimum]) -> list[ase.Atoms]:
    """Copies of the structures with energy and forces, and ``number``, ``visits`` and ``origin`` in ``info``."""
    found = []
    for one in minima:
        atoms = one.atoms.copy()
        atoms.calc = one.atoms.calc
        atoms.info |= {"number": one.number, "visits": one.visits, "origin": one.origin}
        found.append(atoms)
    return found
