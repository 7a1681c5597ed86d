"""Copper in cells of all shapes with energies, forces and stresses of ASE's EMT."""

import numpy as np
from ase.build import bulk
from ase.calculators.emt import EMT

from so3lab.datasets import Dataset


def strained(frames: int = 24, strain: float = 0.02, rattle: float = 0.03, seed: int = 0) -> Dataset:
    """Frames of one crystal, each with its own cell."""
    rng = np.random.default_rng(seed)
    labelled = []
    for _ in range(frames):
        atoms = bulk("Cu", cubic=True)
        atoms.set_cell(atoms.cell[:] @ (np.eye(3) + strain * rng.normal(size=(3, 3))), scale_atoms=True)
        atoms.positions += rattle * rng.normal(size=(len(atoms), 3))
        atoms.calc = EMT()
        atoms.get_stress()
        labelled.append(atoms)
    return Dataset.from_arrays(
        "strained",
        labelled[0].numbers,
        np.stack([atoms.positions for atoms in labelled]),
        np.array([atoms.get_potential_energy() for atoms in labelled]),
        np.stack([atoms.get_forces() for atoms in labelled]),
        cells=np.stack([atoms.cell[:] for atoms in labelled]),
        pbc=np.ones((frames, 3), bool),
        stresses=np.stack([atoms.get_stress(voigt=False) for atoms in labelled]),
    )
