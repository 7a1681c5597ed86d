"""What the texts mean that people type after ``--anneal``, ``--hold``, ``--restrain``, ``--pull``, ``--sphere``.

Each function refuses a text with a sentence that names the argument, the rule, the text, and an example.
"""

from collections.abc import Sequence
from typing import Any

import ase
import numpy as np
from ase.constraints import FixAtoms

from so3lab.trajectory.selection import chosen_atoms

NONE = "none"
"""Switches a limit off."""
_COORDINATES = {2: "a distance in Å", 3: "an angle in degrees", 4: "a dihedral in degrees"}


def ramp_of(text: str, timestep_fs: float) -> list[tuple[int, float]]:
    """Steps and temperatures of ``--anneal``, such as ``0:300,10:1000,50:100`` in ps and K."""
    corners = []
    for part in text.split(","):
        numbers = _numbers(part.split(":"))
        if numbers is None or len(numbers) != 2 or numbers[0] < 0 or numbers[1] < 0:
            raise ValueError(
                "--anneal must be times in ps and temperatures in K, neither of them negative, such as "
                f"0:300,10:1000,50:100; got {part!r} in {text!r}"
            )
        corners.append((round(numbers[0] * 1000.0 / timestep_fs), numbers[1]))
    steps = [step for step, _ in corners]
    if steps != sorted(set(steps)):
        raise ValueError(
            f"--anneal must have rising times, at least a time step ({timestep_fs} fs) apart, got {text!r}; "
            "sort its corners"
        )
    return corners


def with_held_atoms(atoms: ase.Atoms, text: str) -> ase.Atoms:
    """The structure with the atoms of ``--hold`` under ASE's ``FixAtoms``, besides those that are held anyway."""
    try:
        chosen = chosen_atoms(text, atoms.numbers)
    except ValueError as error:
        raise ValueError(f"--hold: {error}; for example --hold 0,1,2 or --hold heavy") from None
    held = atoms.copy()
    held.set_constraint([*atoms.constraints, FixAtoms(chosen)])
    return held


def restraint_of(text: str, atoms: int):
    """``--restrain`` as a :class:`~so3lab.engine.biases.Restraint`: ``1,2,3,4=180:0.5``."""
    from so3lab.engine.biases import Restraint

    names, _, rest = text.partition("=")
    numbers = _numbers(rest.split(":"))
    if numbers is None or len(numbers) != 2:
        raise ValueError(
            "--restrain must be ATOMS=CENTRE:STRENGTH, such as 0,1=1.5:20 (a distance of 1.5 Å held with 20 eV/Å²) or "
            f"1,2,3,4=180:0.5 (a dihedral of 180° held with 0.5 eV/rad²), got {text!r}"
        )
    members = _atoms_of("--restrain", names, text, atoms, (2, 3, 4))
    centre, strength = numbers
    highest = {2: np.inf, 3: 180.0, 4: 360.0}[len(members)]
    if not (-highest if len(members) == 4 else 0.0) <= centre <= highest:
        raise ValueError(f"--restrain: {_COORDINATES[len(members)]} cannot be {centre:g}, got {text!r}")
    if strength <= 0:
        raise ValueError(f"--restrain needs a positive strength behind the colon, got {strength:g} in {text!r}")
    return Restraint(members, centre, strength)


def pull_of(text: str, atoms: int):
    """``--pull`` as a :class:`~so3lab.engine.biases.Pull`: ``1,5=0.1``, or ``3=0,0,0.1`` for one atom."""
    from so3lab.engine.biases import Pull

    names, _, rest = text.partition("=")
    force = _numbers(rest.split(","))
    if force is None or len(force) not in (1, 3):
        raise ValueError(
            "--pull must be ATOM,ATOM=FORCE, such as 1,5=0.1 (two atoms pulled apart with 0.1 eV/Å; a negative force "
            f"pushes them together), or ATOM=X,Y,Z, such as 3=0,0,0.1, got {text!r}"
        )
    members = _atoms_of("--pull", names, text, atoms, (1, 2))
    if len(force) != (3 if len(members) == 1 else 1):
        raise ValueError(
            f"--pull needs one number for two atoms (1,5=0.1) and three for one atom (3=0,0,0.1), got {text!r}"
        )
    return Pull(members, force[0] if len(members) == 2 else (force[0], force[1], force[2]))


def sphere_of(text: str):
    """``--sphere`` as a :class:`~so3lab.engine.biases.SphericalWall`: a radius in Å, or ``8:2`` with a strength in
    eV/Å²."""
    from so3lab.engine.biases import SphericalWall

    numbers = _numbers(text.split(":"))
    if numbers is None or len(numbers) > 2 or min(numbers) <= 0:
        raise ValueError(
            "--sphere must be a positive radius in Å, such as 8, or 8:2 for a wall of 2 eV/Å² instead of 1, "
            f"got {text!r}"
        )
    return SphericalWall(*numbers)


def limit_of(argument: str, text: str) -> float | None:
    """A limit as a positive number, or None for the word ``none``."""
    numbers = _numbers([text])
    if text != NONE and (numbers is None or numbers[0] <= 0):
        raise ValueError(f"{argument} must be a positive number, or {NONE} for no limit, got {text!r}")
    return None if numbers is None else numbers[0]


def _numbers(parts: Sequence[str]) -> list[float] | None:
    """Finite numbers, or None when a part is none."""
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        return None
    return numbers if np.isfinite(numbers).all() else None


def _atoms_of(argument: str, names: str, text: str, atoms: int, counts: tuple[int, ...]) -> Any:
    """Atoms in front of the equals sign, of one of some counts."""
    try:
        members = tuple(int(name) for name in names.split(","))
    except ValueError:
        members = ()
    wanted = f"{', '.join(map(str, counts[:-1]))} or {counts[-1]}"
    if len(members) not in counts or len(set(members)) < len(members):
        raise ValueError(f"{argument} must name {wanted} different atoms before =, such as 0,1, got {text!r}")
    if not all(0 <= member < atoms for member in members):
        raise ValueError(f"{argument}: atoms must be numbers from 0 to {atoms - 1}, got {text!r}")
    return members
