"""How a simulation begins: which atoms are held, how the others move, and how many degrees of freedom that is."""

import ase
import numpy as np
from ase.constraints import FixAtoms
from jaxtyping import Bool

from so3lab.dynamics.ensembles import ENSEMBLES, Ensemble
from so3lab.dynamics.integrators import (
    degrees_of_freedom,
    is_linear,
    thermal_velocities,
    without_overall_motion,
)
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


def start_velocities(atoms: ase.Atoms, held: np.ndarray, temperature_K: float, seed: int, ensemble: Ensemble):
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


def freedom_of(atoms: ase.Atoms, held: np.ndarray, velocities: np.ndarray, ensemble: Ensemble) -> float:
    """Degrees of freedom; at constant energy, overall motion counts if the start has it."""
    periodic, masses = bool(atoms.pbc.any()), atoms.get_masses()
    if ensemble == "nve" and not held.any() and len(atoms) > 1:
        inner = without_overall_motion(atoms.positions, velocities, masses, periodic)
        if np.abs(inner - velocities).max() > 1e-6 * max(np.abs(velocities).max(), 1e-12):
            return 3.0 * len(atoms)
    return float(degrees_of_freedom(len(atoms), ensemble, periodic, is_linear(atoms.positions), int(held.sum())))


def degrees_of_freedom_when_pulled(
    atoms: ase.Atoms, freedom: float, ensemble: Ensemble, held: bool, directions: list[np.ndarray]
) -> float:
    """Degrees of freedom once pulls along independent directions have turned a free molecule, which spins from then on.

    A pull has no torque about its own direction: one direction sets two rotations free, several set three. Constant
    energy that counts overall motion already, Langevin noise, cells and held atoms know no such limit.
    """
    kept = ENSEMBLES[ensemble].thermostat == "noise" or bool(atoms.pbc.any()) or held or len(atoms) == 1
    if kept or not directions or freedom == 3.0 * len(atoms):
        return freedom
    return freedom + (3.0 if len(directions) > 1 and not is_linear(atoms.positions) else 2.0)
