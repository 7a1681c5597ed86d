"""Which minima does a saddle join: down both sides, in steps too short to leave the valley.

A quasi-Newton step that is as long as a relaxation likes may jump into another basin; these are not. What they end in
is then relaxed as minima of a search are.
"""

from collections.abc import Sequence
from typing import NamedTuple

import ase
import numpy as np
from jaxtyping import Float

from so3lab.engine.energy_model import EnergyModel
from so3lab.landscape.models import energy_model, padded
from so3lab.minimize import Relaxed, minimize
from so3lab.minimize.cartesian_lbfgs import CartesianLBFGS
from so3lab.minimize.evaluators import EngineEvaluator
from so3lab.minimize.freedom import Freedom
from so3lab.potential.potential import Potential

FIRST_DROP_MEV = 1.0
"""By which the first push lowers the energy, as the curvature predicts it."""
SHORTEST_PUSH, LONGEST_PUSH = 0.03, 0.3
"""Å that the atom which moves most is pushed."""
LONGEST = 0.05
"""Å that an atom moves in a step."""
CALM = 0.05
"""eV/Å of the largest force at which the valley's floor is reached and longer steps do no harm."""
MOST_STEPS = 400
AT_ONCE = 32


class Crest(NamedTuple):
    """A saddle to slide from."""

    atoms: ase.Atoms
    mode: Float[np.ndarray, "atoms 3"]
    """Direction downwards."""
    curvature: float  # eV/Å², negative


def slide(
    potential: Potential | EnergyModel, crests: Sequence[Crest], *, max_force: float, max_gain_meV: float = 0.03
) -> list[tuple[Relaxed, Relaxed]]:
    """What lies down the two sides of each saddle: against its mode, and along it.

    Args:
        potential: Whose saddles they are.
        crests: Of the same atoms.
        max_force, max_gain_meV: When a minimum has converged, see :func:`so3lab.minimize.minimize`.
    """
    starts = [pushed for crest in crests for pushed in (_pushed(crest, -1.0), _pushed(crest, 1.0))]
    parts = [padded(starts[first : first + AT_ONCE]) for first in range(0, len(starts), AT_ONCE)]
    floors = [atoms for part in parts for atoms in _down(potential, part)]
    found = sorted(
        minimize(potential, floors, max_force=max_force, max_gain_meV=max_gain_meV), key=lambda one: one.number
    )
    return list(zip(found[: len(starts) : 2], found[1 : len(starts) : 2], strict=True))


def _pushed(crest: Crest, sign: float) -> ase.Atoms:
    atoms = crest.atoms.copy()
    largest = np.linalg.norm(crest.mode, axis=1).max()
    wanted = np.sqrt(2e-3 * FIRST_DROP_MEV / max(-crest.curvature, 1e-6)) * largest
    atoms.positions += sign * np.clip(wanted, SHORTEST_PUSH, LONGEST_PUSH) / largest * crest.mode
    return atoms


def _down(potential: Potential | EnergyModel, structures: Sequence[ase.Atoms]) -> list[ase.Atoms]:
    """Each at the floor of its valley."""
    evaluator = EngineEvaluator(energy_model(potential), structures)
    freedoms = [Freedom(atoms) for atoms in structures]
    positions = np.stack([atoms.positions for atoms in structures])
    there = positions.copy()
    stepper = CartesianLBFGS(positions.shape[1], len(structures), LONGEST)
    every = np.arange(len(structures))
    stepper.begin(every)
    active, top = every, np.full(len(structures), -np.inf)
    for number in range(MOST_STEPS):
        energies, gradients = evaluator(there)
        gradients = np.stack([one.project(g, at) for one, g, at in zip(freedoms, gradients, there, strict=True)])
        if number == 0:
            top = energies.copy()
        accepted = active[stepper.tell(active, there[active], energies[active], gradients[active])]
        positions[accepted] = there[accepted]
        forces = np.linalg.norm(gradients, axis=2).max(axis=1)
        low = (forces < CALM) & (energies < top - 5e-3 * FIRST_DROP_MEV) & np.isin(every, accepted)
        active = active[~low[active]]
        if not len(active):
            break
        there = positions.copy()
        there[active] = stepper.propose(active)
    return [_at(atoms, place) for atoms, place in zip(structures, positions, strict=True)]


def _at(atoms: ase.Atoms, positions: np.ndarray) -> ase.Atoms:
    moved = atoms.copy()
    moved.positions = positions  # whatever is fixed has not moved
    return moved
