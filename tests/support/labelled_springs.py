"""Frames of molecules and cells whose energies and forces belong together: springs between neighbours."""

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule
from ase.data import covalent_radii

from so3lab.datasets import Dataset

STIFFNESS = 20.0
"""eV/Å² of every spring of the crystal."""
BONDED, ACROSS = 34.0, 6.0
"""eV/Å² of springs along single bonds, which shorter ones exceed, and across angles."""
REACH = 2.3
"""Å up to which atoms of the molecule at rest are joined."""


def springs(name: str = "CH3CH2OH", frames: int = 40, spread: float = 0.06, seed: int = 0) -> dict[str, np.ndarray]:
    """Frames around the geometry at rest: numbers, positions (Å), energies (eV, in all) and forces (eV/Å)."""
    rest = molecule(name)
    rng = np.random.default_rng(seed)
    i, j = np.triu_indices(len(rest), 1)
    apart = np.linalg.norm(rest.positions[i] - rest.positions[j], axis=1)
    i, j, apart = i[apart < REACH], j[apart < REACH], apart[apart < REACH]
    radii = covalent_radii[rest.numbers]
    beyond = apart - radii[i] - radii[j]
    stiffness = np.where(beyond < 0.25, BONDED * np.exp(-3.67 * beyond), ACROSS)
    positions = rest.positions + spread * rng.normal(size=(frames, len(rest), 3))
    arrows = positions[:, i] - positions[:, j]
    lengths = np.linalg.norm(arrows, axis=2)
    energies = total_energy(rest.numbers) + 0.5 * (stiffness * (lengths - apart) ** 2).sum(axis=1)
    pulls = -(stiffness * (1.0 - apart / lengths))[:, :, None] * arrows
    forces = np.zeros_like(positions)
    for pair, (a, b) in enumerate(zip(i, j, strict=True)):
        forces[:, a] += pulls[:, pair]
        forces[:, b] -= pulls[:, pair]
    return {"numbers": rest.numbers, "positions": positions, "energies": energies, "forces": forces}


def total_energy(numbers: np.ndarray) -> float:
    """About the energy of all electrons in eV."""
    known = {1: -13.6, 6: -1029.0, 7: -1485.0, 8: -2042.0, 15: -9287.0}
    return float(sum(known[int(z)] for z in numbers))


def as_dataset(name: str = "springs", **arrays: np.ndarray) -> Dataset:
    """The set of the arrays of :func:`springs`."""
    return Dataset.from_arrays(name, **arrays)


def crystal(frames: int = 20, spread: float = 0.05, seed: int = 0) -> Dataset:
    """Copper atoms bound to their places, in a cell of which each frame is shifted by whole lattice vectors."""
    rest = bulk("Cu", cubic=True) * (2, 1, 1)
    rng = np.random.default_rng(seed)
    moves = spread * rng.normal(size=(frames, len(rest), 3))
    moves -= moves.mean(axis=1, keepdims=True)
    images = rng.integers(-1, 2, size=(frames, len(rest), 3)) @ np.asarray(rest.cell)
    return Dataset.from_arrays(
        "crystal",
        rest.numbers,
        rest.positions + moves + images,
        -30.0 + 0.5 * STIFFNESS * (moves**2).sum(axis=(1, 2)),
        -STIFFNESS * moves,
        cells=np.tile(np.asarray(rest.cell), (frames, 1, 1)),
        pbc=np.ones((frames, 3), bool),
    )


def as_atoms(arrays: dict[str, np.ndarray], energy: str = "energy", forces: str = "forces") -> list[Atoms]:
    """The same as atoms that carry their labels under these names, for files."""
    frames = []
    for positions, e, f in zip(arrays["positions"], arrays["energies"], arrays["forces"], strict=True):
        atoms = Atoms(arrays["numbers"], positions, info={energy: float(e)})
        atoms.arrays[forces] = f
        frames.append(atoms)
    return frames
