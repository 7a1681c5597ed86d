"""What was understood of a structure: where each of its facts comes from, and what was left out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import ase
import numpy as np
from ase.data import atomic_masses

from so3lab import units
from so3lab.structures.boxes import gaps
from so3lab.structures.constraints import held_atoms
from so3lab.structures.electrons import (
    Stated,
    level_in,
    overlooked,
    overlooked_columns,
    stated_charge,
    stated_spin,
)
from so3lab.structures.loose_parts import loose_parts
from so3lab.structures.plausibility import bare_carbon

_VELOCITY_NAMES = ("velocities", "velocity", "vel", "velo", "v")
_HOT = 1e5
"""K; no file means such velocities."""
_ROOM = 10.0
"""Å of emptiness in all directions from which a cell is said to hold a molecule."""


class Content(NamedTuple):
    """What a reader of some format found."""

    atoms: ase.Atoms
    format: str
    notes: Sequence[str] = ()
    """Decisions of the reader, a sentence each."""


def which_of(count: int, which: int, words: str, path: Path) -> list[str]:
    """What there is to say of taking one of several structures of a file.

    Raises:
        ValueError: If there are not so many.
    """
    if not -count <= which < count:
        raise ValueError(f"{path} holds {count} {words}, counted from 0, so there is no {path.name}:{which}")
    if count == 1:
        return []
    if which == -1:
        return [f"the last of {count} {words}"]
    return [f"number {which % count} of {count} {words}, counted from 0"]


@dataclass(frozen=True)
class Several:
    """The structures of a file that may have more than one; each is made when it is asked for."""

    path: Path
    words: str
    """What the format calls them, such as models."""
    count: int
    content: Callable[[int], Content]

    def one(self, which: int) -> Content:
        """That with an index, from 0, or from the end where negative; it says which of several it is.

        Raises:
            ValueError: If there are not so many, or it cannot be understood; the sentence names line and token.
        """
        about = which_of(self.count, which, self.words, self.path)
        found = self.content(which % self.count)
        return found._replace(notes=[*about, *found.notes])

    def all(self) -> list[Content]:
        """All of them.

        Raises:
            ValueError: If one cannot be understood.
        """
        return [self.content(number) for number in range(self.count)]


@dataclass(frozen=True, eq=False)
class Understood:
    """A structure together with what so3lab understood of it.

    Attributes:
        atoms: The structure.
        source: Where it came from.
        format: As what it was read.
        charge: Total charge in e, and under which name it was found.
        unpaired: Number of unpaired electrons, likewise.
        notes: What was decided and what was left out, a sentence each.
    """

    atoms: ase.Atoms
    source: str
    format: str
    charge: Stated
    unpaired: Stated
    notes: tuple[str, ...]

    @classmethod
    def of(cls, content: Content, source: str) -> "Understood":
        """What a reader found, with what it says about charge, spin and all else."""
        atoms = content.atoms
        charge, unpaired = stated_charge(atoms), stated_spin(atoms)
        notes = (
            *content.notes,
            *_about_charge(charge),
            *_about_spin(atoms, unpaired),
            *_left_out(atoms),
            *_about_cell(atoms),
        )
        return cls(atoms, source, content.format, charge, unpaired, notes)

    def facts(self) -> dict[str, Any]:
        """Everything as plain values that JSON can hold."""
        atoms = self.atoms
        return {
            "source": self.source,
            "format": self.format,
            "formula": atoms.get_chemical_formula(),
            "atoms": len(atoms),
            "total_charge": self.charge.value,
            "total_charge_from": self.charge.source or None,
            "unpaired_electrons": self.unpaired.value,
            "unpaired_electrons_from": self.unpaired.source or None,
            "periodic": atoms.pbc.tolist(),
            "cell": atoms.cell.cellpar().round(6).tolist() if atoms.pbc.any() else None,
            "isotopes": isotopes(atoms),
            "velocities_temperature_K": velocity_temperature_K(atoms),
            "held_atoms": int(held_atoms(atoms).sum()),
            "notes": list(self.notes),
        }

    def summary(self) -> str:
        """Formula, format, and charge and spin where something says them, in one line."""
        words = [f"{self.atoms.get_chemical_formula()}, read as {self.format}"]
        if self.charge.source:
            words.append(f"total charge {self.charge.value:+g} e ({self.charge.source})")
        if self.unpaired.value:
            words.append(f"{self.unpaired.value:g} unpaired electrons ({self.unpaired.source})")
        return ", ".join(words)

    def lines(self) -> list[str]:
        """The same as text, a fact each; notes are not among them."""
        facts, silent = self.facts(), "nothing says so"
        lines = [
            f"{self.source}: {facts['formula']}, {facts['atoms']} atoms, read as {self.format}",
            f"total charge {self.charge.value:+g} e ({self.charge.source or silent})",
            f"{self.unpaired.value:g} unpaired electrons ({self.unpaired.source or silent})",
        ]
        if facts["cell"] is None:
            lines.append("no cell")
        else:
            a, b, c, alpha, beta, gamma = facts["cell"]
            along = "" if all(facts["periodic"]) else f", periodic along {_vectors(facts['periodic'])} only"
            lines.append(
                f"cell of {a:.5g} x {b:.5g} x {c:.5g} Å, angles {alpha:.4g} {beta:.4g} {gamma:.4g} degrees{along}"
            )
        if facts["isotopes"]:
            lines.append("masses: " + ", ".join(f"{atom} {mass:.4g} amu" for atom, mass in facts["isotopes"].items()))
        if facts["velocities_temperature_K"] is not None:
            lines.append(f"velocities of {facts['velocities_temperature_K']:.4g} K")
        if facts["held_atoms"]:
            lines.append(f"{facts['held_atoms']} atoms are held")
        return lines


def isotopes(atoms: ase.Atoms) -> dict[str, float]:
    """Masses in amu of atoms that have another one than their element on average, by element and number."""
    if not atoms.has("masses"):
        return {}
    symbols, masses = atoms.get_chemical_symbols(), atoms.get_masses()
    other = np.flatnonzero(np.abs(masses - atomic_masses[atoms.numbers]) > 0.01)
    return {f"{symbols[atom]}{atom}": float(masses[atom]) for atom in other}


def velocity_temperature_K(atoms: ase.Atoms) -> float | None:
    """Temperature of a structure's velocities in K; None where it has none."""
    if not atoms.has("momenta") or not np.any(atoms.get_momenta()):
        return None
    free = max(1, int((~held_atoms(atoms)).sum()))
    return float(2.0 * atoms.get_kinetic_energy() / (3.0 * free * units.kB))


def _about_charge(charge: Stated) -> list[str]:
    """That a molecule has whole electrons."""
    if charge.value == round(charge.value):
        return []
    return [
        f"{charge.source}={charge.value:g} is no whole number of electrons; what is computed is a mixture of two ions"
    ]


def _about_spin(atoms: ase.Atoms, unpaired: Stated) -> list[str]:
    """That a spin of 1 leaves nothing unpaired, where somebody may mean S = 1."""
    if unpaired.value or not unpaired.source.lower().endswith("spin") or level_in(atoms.info[unpaired.source]):
        return []
    if not float(atoms.info[unpaired.source]):
        return []
    return [
        f"{unpaired.source}={atoms.info[unpaired.source]} is read as a multiplicity, so no electron is unpaired; write "
        "multiplicity=3 if the total spin is meant"
    ]


def _left_out(atoms: ase.Atoms) -> list[str]:
    notes = [
        f"{name!r} = {atoms.info[name]} is left out, since so3lab does not know the name; if it is the total charge or "
        "the spin, call it charge or multiplicity"
        for name in overlooked(atoms)
    ]
    notes += [
        f"the column {name} is left out, and adds up to {atoms.arrays[name].sum():.4g}: if that is the total charge or "
        "the number of unpaired electrons, give it with --charge or --multiplicity"
        for name in overlooked_columns(atoms)
    ]
    unknown = [name for name in atoms.arrays if name.lower() in _VELOCITY_NAMES]
    if unknown:
        notes.append(
            f"the column {unknown[0]} is left out: its unit is not known; ASE's momenta are read (atoms.set_velocities "
            "makes them)"
        )
    temperature_K = velocity_temperature_K(atoms)
    if temperature_K is not None and temperature_K > _HOT:
        notes.append(
            f"the velocities mean {temperature_K:.3g} K, so their unit is probably another one; remove them from the "
            "file to start with thermal ones"
        )
    notes += loose_parts(atoms)
    bare = bare_carbon(atoms)
    if bare:
        notes.append(f"{bare}: hydrogens are probably missing; add them, or what is computed is another molecule")
    return notes


def _about_cell(atoms: ase.Atoms) -> list[str]:
    if not atoms.pbc.any():
        return ["a cell is given, but no direction is periodic: a molecule"] if atoms.cell.rank == 3 else []
    if atoms.pbc.all() and atoms.cell.rank == 3:
        empty = float(gaps(atoms).min())
        if empty > _ROOM:
            return [
                f"the cell is empty around a molecule, at least {empty:.3g} Å in every direction; --no-cell (atoms.pbc "
                "= False) makes a molecule of it"
            ]
    return []


def _vectors(pbc: Sequence[bool]) -> str:
    return " and ".join(name for name, periodic in zip("abc", pbc, strict=True) if periodic)
