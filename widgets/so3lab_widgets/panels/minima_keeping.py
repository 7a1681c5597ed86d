"""What goes with the minima that are shown: may a structure stand among them, and which of them did it become?"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from ase import Atoms

from so3lab.minima import DuplicateRule, Minimum, compare


def check_compound(minima: Sequence[Minimum], atoms: Atoms) -> None:
    """Refuse a structure of other atoms than the minima.

    Raises:
        ValueError: If it is one.
    """
    if minima and sorted(minima[0].atoms.numbers) != sorted(atoms.numbers):
        raise ValueError(
            f"this is {atoms.get_chemical_formula()}, and the minima that are shown are of "
            f"{minima[0].atoms.get_chemical_formula()}; search for its own, or open a database of this compound"
        )


def in_memory(searched: Sequence[Minimum], relaxed: Sequence[Minimum]) -> list[Minimum]:
    """What no database holds: minima of a search, and then those of its compound that were relaxed one by one."""
    first = [*searched, *relaxed[-1:]][:1]
    alike = [one for one in relaxed if sorted(one.atoms.numbers) == sorted(first[0].atoms.numbers)]
    return [replace(one, number=number) for number, one in enumerate([*searched, *alike])]


def number_of(minima: Sequence[Minimum], found: Minimum, rule: DuplicateRule) -> int:
    """Number of the minimum that stands for one that was gathered with the others by this rule.

    Args:
        minima: At least one.
        found: As it was before it was gathered.
        rule: When two are the same.
    """
    apart = np.array([abs(one.energy - found.energy) for one in minima])
    near = np.flatnonzero(apart <= max(rule.max_energy_difference, apart.min()))
    return min((compare(minima[at], found, rule) for at in near), key=lambda pair: (not pair.same, pair.rmsd)).first
