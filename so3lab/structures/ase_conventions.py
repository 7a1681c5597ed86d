"""What do files mean that ASE's readers take for something else: grids for cells, Å for bohr, units of velocities?"""

import re
from collections.abc import Sequence
from pathlib import Path

import ase
import numpy as np
from ase.data import atomic_masses, atomic_numbers

from so3lab import units
from so3lab.structures.boxes import gaps

_GRID_MARGIN = 3.0
"""Å of emptiness in all directions from which the grid of a cube file surrounds a molecule; crystals have less."""
_LAMMPS_UNITS = re.compile(r"^ITEM: UNITS\s*\n(\w+)", re.MULTILINE)
_TO_METAL = {"metal": 1.0, "real": 1000.0}
"""Of LAMMPS's units with lengths in Å, how many Å/ps their unit of velocity is."""
_COORD_UNIT = re.compile(r"^\$coord[ \t]+([A-Za-z]\w*)", re.MULTILINE)
_SPECIES = re.compile(r"^\s*ATOMIC_SPECIES[^\n]*\n((?:\s*[A-Za-z]\w*[ \t]+\S+[ \t]+\S+[ \t]*\n)+)", re.MULTILINE)
_SAME_MASS = 0.3
"""amu between the mass of an element and another number for it."""
_HEAD = 1_000_000


def mend(frames: Sequence[ase.Atoms], format: str, path: Path) -> list[str]:
    """Give structures of a file the meaning that it has.

    Args:
        frames: As ASE read them; changed in place.
        format: ASE's name of the format.
        path: The file.

    Returns:
        A sentence for what was decided.

    Raises:
        ValueError: If the file is in a unit of length that is not read.
    """
    if format == "cube":
        return [_without_grid(atoms) for atoms in frames]
    if format not in ("turbomole", "espresso-in") and not format.startswith("lammps-dump"):
        return []
    with path.open(errors="replace") as file:
        head = file.read(_HEAD)
    if format == "turbomole":
        return _in_angstrom(frames, head)
    if format == "espresso-in":
        return _masses_left_out(head)
    return _velocities_of_lammps(frames, head)


def _without_grid(atoms: ase.Atoms) -> str:
    if atoms.pbc.all() and atoms.cell.rank == 3 and gaps(atoms).min() >= _GRID_MARGIN:
        atoms.pbc, atoms.cell = False, None
        return "the grid of a cube file around a molecule is no cell: a molecule without one"
    return "the grid of the cube file is taken for a cell; --no-cell (atoms.pbc = False) makes a molecule of it"


def _in_angstrom(frames: Sequence[ase.Atoms], head: str) -> list[str]:
    """xtb's ``$coord angs``, which ASE reads in bohr."""
    unit = _COORD_UNIT.search(head)
    if unit is None or unit[1].lower() == "bohr":
        return []
    if not unit[1].lower().startswith("ang"):
        raise ValueError(f"$coord must be in bohr or angs, got {unit[1]!r}")
    for atoms in frames:
        atoms.positions /= units.bohr
    return ["$coord says that lengths are in Å"]


def _masses_left_out(head: str) -> list[str]:
    """Isotopes of pw.x, of whose labels ASE keeps the elements alone."""
    card = _SPECIES.search(head)
    other = []
    for row in card[1].splitlines() if card else ():
        label, mass = row.split()[:2]
        symbol = re.sub(r"[\d_-].*", "", label).capitalize()
        stated = float(mass)  # which ASE has read
        if symbol in atomic_numbers and abs(stated - atomic_masses[atomic_numbers[symbol]]) > _SAME_MASS:
            other.append(f"{label} {stated:g}")
    return [f"masses of ATOMIC_SPECIES are left out: {', '.join(other)} amu"] if other else []


def _velocities_of_lammps(frames: Sequence[ase.Atoms], head: str) -> list[str]:
    """Velocities of a dump, whose unit its line ``ITEM: UNITS`` says or nobody knows."""
    found = _LAMMPS_UNITS.search(head)
    if found and found[1] not in _TO_METAL:
        raise ValueError(f"lengths must be in Å, as in LAMMPS's units {' and '.join(_TO_METAL)}, got {found[1]!r}")
    moving = [atoms for atoms in frames if atoms.has("momenta") and np.any(atoms.get_momenta())]
    if not moving:
        return []
    for atoms in moving:
        if found:
            atoms.set_momenta(atoms.get_momenta() * _TO_METAL[found[1]])
        else:
            del atoms.arrays["momenta"]
    if found:
        return []
    return [
        "velocities are left out, since nothing says their unit: with 'dump_modify ID units yes' LAMMPS writes it into "
        "the file"
    ]
