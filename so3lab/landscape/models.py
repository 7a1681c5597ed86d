"""What of a potential do saddles need: fast energies and forces, exact second derivatives, element shifts, and batches
of few sizes."""

from collections.abc import Sequence

import ase
import jax
import numpy as np

from so3lab.engine.energy_model import EnergyModel
from so3lab.potential.potential import Potential


def energy_model(potential: Potential | EnergyModel) -> EnergyModel:
    """For energies and forces."""
    return potential.energy_model if isinstance(potential, Potential) else potential


def exact_model(potential: Potential | EnergyModel) -> EnergyModel:
    """For Hessians: differentiable twice, in double precision."""
    if isinstance(potential, Potential):
        return potential.plain_model
    parameters = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), potential.parameters)
    return potential._replace(parameters=parameters, dtype="float64")


def shift_of(potential: Potential | EnergyModel, atoms: ase.Atoms) -> float:
    """Sum of element shifts, eV, which energy models leave out."""
    return potential.shift_of(atoms) if isinstance(potential, Potential) else 0.0


FEWEST = 8
"""Slots of a batch: fewer take hardly less time, and another program."""


def slots_for(structures: int) -> int:
    """Slots of a batch that holds so many structures: a power of two, since every size is a program to be compiled."""
    return max(FEWEST, 1 << max(0, structures - 1).bit_length())


def padded(structures: Sequence[ase.Atoms]) -> list[ase.Atoms]:
    """Structures with copies of the last one in the slots that are left."""
    return [*structures, *[structures[-1]] * (slots_for(len(structures)) - len(structures))]
