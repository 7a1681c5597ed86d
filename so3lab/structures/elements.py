"""Which elements do what in a molecule."""

import ase
import numpy as np
from ase.data import chemical_symbols
from jaxtyping import Bool, Float, Int

COVALENT = frozenset((1, 5, 6, 7, 8, 9, 14, 15, 16, 17, 32, 33, 34, 35, 52, 53))
"""Elements whose bonds have a direction; metals and ions change their neighbours as they like."""
_IS_COVALENT = np.isin(np.arange(len(chemical_symbols)), list(COVALENT))
_HEAVY_HYDROGEN = 4.0  # amu


def are_covalent(numbers: Int[np.ndarray, "*shape"]) -> Bool[np.ndarray, "*shape"]:
    """Which atomic numbers are those of ``COVALENT`` elements."""
    found: np.ndarray = _IS_COVALENT[numbers]
    return found


def masses_with_heavy_hydrogens(atoms: ase.Atoms) -> Float[np.ndarray, " atoms"]:
    """Masses in amu with hydrogens made heavier, so that dynamics that only sample take longer steps.

    Positions are distributed as Boltzmann's whatever the masses.
    """
    return np.where(atoms.numbers == 1, _HEAVY_HYDROGEN, atoms.get_masses())
