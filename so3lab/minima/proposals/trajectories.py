"""Where does a short stretch of dynamics lead?

Hydrogens are made heavier and steps longer (:func:`so3lab.structures.elements.masses_with_heavy_hydrogens`).
"""

from collections.abc import Sequence
from typing import Any

import ase
import numpy as np

from so3lab.dynamics import Control, Limits, replicas_on_devices
from so3lab.engine.energy_model import EnergyModel
from so3lab.potential.potential import Potential
from so3lab.structures.elements import masses_with_heavy_hydrogens

TIMESTEP_FS = 1.5
FRICTION_PER_PS = 5.0


def snapshots(
    potential: Potential | EnergyModel,
    structures: Sequence[ase.Atoms],
    temperatures_K: Sequence[float],
    *,
    fs_between: float,
    frames: int,
    rng: np.random.Generator,
) -> list[list[ase.Atoms]]:
    """Frames of short Langevin dynamics from each structure; fewer of one that blew up.

    Args:
        potential: The force field.
        structures: Where they begin, at rest.
        temperatures_K: One for each.
        fs_between: Time between frames, fs.
        frames: How many of each.
        rng: Of velocities and noise.
    """
    starts = []
    for atoms in structures:
        heavy = ase.Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc, info=dict(atoms.info))
        heavy.set_constraint(atoms.constraints)
        heavy.set_masses(masses_with_heavy_hydrogens(heavy))
        starts.append(heavy)
    options: dict[str, Any] = {"timestep_fs": TIMESTEP_FS, "friction_per_ps": FRICTION_PER_PS}
    control = Control(temperature_K=tuple(temperatures_K), **options)
    seeds = rng.integers(0, 2**31 - 1, len(starts)).tolist()
    limits = Limits(bond_stretch=None)  # what reacts is accounted for once it is relaxed
    replicas = replicas_on_devices(potential, starts, control=control, seeds=seeds, limits=limits)
    interval = max(1, round(fs_between / TIMESTEP_FS))
    found: list[list[ase.Atoms]] = [[] for _ in starts]
    for _ in range(frames):
        chunks = replicas.advance(1, interval)
        for number, chunk in enumerate(chunks):
            if len(chunk):
                frame = structures[number].copy()
                frame.positions = np.asarray(chunk.positions[-1], float)
                found[number].append(frame)
    return found
