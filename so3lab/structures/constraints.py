"""Which atoms of a structure are held."""

import ase
import numpy as np
from ase.constraints import FixAtoms
from jaxtyping import Bool


def held_atoms(atoms: ase.Atoms) -> Bool[np.ndarray, " atoms"]:
    """Which atoms stay where they are: those under ASE's ``FixAtoms``; other constraints hold none."""
    held = np.zeros(len(atoms), bool)
    for constraint in atoms.constraints:
        if isinstance(constraint, FixAtoms):
            held[constraint.get_indices()] = True
    return held
