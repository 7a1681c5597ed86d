"""Labelled frames that cost nothing: a force field that ASE brings along."""

import numpy as np
from ase.build import molecule
from ase.calculators.emt import EMT

from so3lab import datasets


def labelled(count: int = 60, formula: str = "CH3CH2OH", seed: int = 0) -> datasets.Dataset:
    """Rattled molecules with ASE's EMT labels: cheap, smooth, and wrong about chemistry."""
    frames = []
    for k in range(count):
        atoms = molecule(formula)
        atoms.rattle(0.06, seed=seed + k)
        atoms.calc = EMT()
        atoms.get_forces()
        frames.append(atoms)
    return datasets.Dataset.from_arrays(
        "emt",
        frames[0].numbers,
        np.stack([atoms.positions for atoms in frames]),
        np.array([atoms.get_potential_energy() for atoms in frames]),
        np.stack([atoms.get_forces() for atoms in frames]),
    )
