"""How a simulation begins: which atoms are held, and how the others move."""

import ase
import numpy as np
from ase.constraints import FixAtoms
from jaxtyping import Bool, Float

from so3lab.dynamics.ensembles import ENSEMBLES, Ensemble
from so3lab.dynamics.integrators import thermal_velocities, without_overall_motion
from so3lab.structures.constraints import held_atoms


def checked_held_atoms(atoms: ase.Atoms, ensemble: Ensemble) -> Bool[np.ndarray, " atoms"]:
    """Which atoms stay where they are, as :func:`so3lab.structures.constraints.held_atoms` finds them.

    Raises:
        ValueError: For other constraints, when nothing can move, or when the cell changes.
    """
    for constraint in atoms.constraints:
        if not isinstance(constraint, FixAtoms):
            raise ValueError(
                f"atoms.constraints may hold ASE's FixAtoms only, got {type(constraint).__name__}; "
                "hold distances, angles and dihedrals with so3lab.dynamics.Restraint"
            )
    held = held_atoms(atoms)
    if held.any() and ENSEMBLES[ensemble].constant_pressure:
        raise ValueError("atoms cannot be held while the cell changes; remove FixAtoms, or keep the volume constant")
    if held.all():
        raise ValueError("atoms.constraints hold every atom: nothing can move")
    return held


def start_velocities(
    atoms: ase.Atoms, held: Bool[np.ndarray, " atoms"], temperature_K: float, seed: int, ensemble: Ensemble
) -> Float[np.ndarray, "atoms 3"]:
    """Those of the structure, or thermal ones; nothing moves as a whole where the thermostat would not see it."""
    periodic = bool(atoms.pbc.any())
    if ENSEMBLES[ensemble].constant_pressure and not atoms.pbc.all():
        raise ValueError(
            f"constant pressure needs a cell that is periodic in all directions, got atoms.pbc {atoms.pbc.tolist()}"
        )
    velocities = np.array(atoms.get_velocities())
    if not np.any(velocities):
        return thermal_velocities(
            atoms.positions, atoms.get_masses(), temperature_K, seed=seed, periodic=periodic, held=held
        )
    velocities[held] = 0.0
    if ENSEMBLES[ensemble].thermostat == "rescaling" and not held.any() and len(atoms) > 1:
        return without_overall_motion(atoms.positions, velocities, atoms.get_masses(), periodic)
    return velocities
