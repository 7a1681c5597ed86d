"""Does a trajectory file belong to a structure: the same atoms in the same order, with the same masses?"""

import os
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import covalent_radii

from so3lab.trajectory import layout as _layout
from so3lab.trajectory import recovery

_SAME_PLACE, _SAME_MASS = 0.05, 1e-3
"""Å and amu by which two values may differ and be the same."""
_BONDED, _APART = 1.15, 1.4
"""Times the sum of covalent radii within which atoms are bonded, and beyond which they surely are not."""
_NONMETALS = (1, 5, 6, 7, 8, 9, 14, 15, 16, 17, 34, 35, 53)


def check_same_atoms(path: str | os.PathLike, structure: Atoms) -> None:
    """Refuse a trajectory file that began with other atoms.

    Elements, their order, masses and which cell vectors repeat must be the same. Atoms of one element are told apart
    by where the file's first frame has them, and by what they are bonded to there; another geometry of the same
    molecule is none of this function's business.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the atoms differ, or the file is damaged or was not written by so3lab.
    """
    with recovery.open_readable(Path(path)) as file:
        layout = _layout.read_layout(file)
        frames = int(file[f"{_layout.PRIVATE}/frames"][()])
        datasets = _layout.growing_datasets(file, layout)
        began = np.asarray(datasets["positions"][0], float) if frames else None
    there = Atoms(numbers=layout.atomic_numbers, pbc=layout.pbc)
    problem = _other_elements(there, structure) or _other_masses(layout.masses, structure)
    if not problem and began is not None:
        problem = _exchanged(began, structure) or _other_bonds(began, structure)
    if problem:
        raise ValueError(
            f"{path} cannot be resumed with this structure: {problem}; give the structure that it began with, or "
            "choose another file"
        )


def _other_elements(there: Atoms, structure: Atoms) -> str:
    if np.array_equal(there.numbers, structure.numbers) and np.array_equal(there.pbc, structure.pbc):
        return ""
    if sorted(there.numbers) == sorted(structure.numbers) and np.array_equal(there.pbc, structure.pbc):
        atom = int(np.flatnonzero(there.numbers != structure.numbers)[0])
        old, new = (atoms.get_chemical_symbols()[atom] for atoms in (there, structure))
        return (
            f"it is a trajectory of the atoms of {there.get_chemical_formula()} in another order, in which atom {atom} "
            f"is {old} instead of {new}"
        )
    names = (f"{atoms.get_chemical_formula()}{' in a cell' if atoms.pbc.any() else ''}" for atoms in (there, structure))
    return "it is a trajectory of {}, not {}".format(*names)


def _other_masses(masses: np.ndarray, structure: Atoms) -> str:
    other = np.flatnonzero(np.abs(masses - structure.get_masses()) > _SAME_MASS)
    if not other.size:
        return ""
    atom = int(other[0])
    name = f"{structure.get_chemical_symbols()[atom]}{atom}"
    return f"{name} has a mass of {masses[atom]:.4g} amu there, instead of {structure.get_masses()[atom]:.4g}"


def _exchanged(began: np.ndarray, structure: Atoms) -> str:
    """Which two atoms of one element stand where the other one began."""
    if np.abs(began - structure.positions).max() < _SAME_PLACE:
        return ""
    from scipy.spatial import cKDTree  # here, as vesin below: whoever only writes needs neither

    distances, nearest = cKDTree(began).query(structure.positions)
    moved = (distances < _SAME_PLACE) & (nearest != np.arange(len(began)))
    moved &= structure.numbers[nearest] == structure.numbers
    if not moved.any():
        return ""
    atom = int(np.flatnonzero(moved)[0])
    other, symbol = int(nearest[atom]), structure.get_chemical_symbols()[atom]
    first, second = sorted((atom, other))
    return f"atoms {first} and {second} differ: {symbol}{first} and {symbol}{second} are in another order"


def _other_bonds(began: np.ndarray, structure: Atoms) -> str:
    """Which two atoms are bonded in one of the two and not in the other, where not even the places are the same."""
    if np.abs(began - structure.positions).max() < _SAME_PLACE:
        return ""
    first = structure.copy()
    first.positions = began
    only_there = _near(first, _BONDED) - _near(structure, _APART)
    only_here = _near(structure, _BONDED) - _near(first, _APART)
    if not only_there | only_here:
        return ""
    symbols = structure.get_chemical_symbols()
    i, j = min(only_there | only_here)
    where = "there, and not in this structure" if (i, j) in only_there else "in this structure, and not there"
    return f"atoms {i} and {j} differ: {symbols[i]}{i} and {symbols[j]}{j} are bonded {where}"


def _near(atoms: Atoms, share: float) -> set[tuple[int, int]]:
    """Pairs of nonmetals nearer than a share of the sum of their covalent radii."""
    from vesin import ase_neighbor_list

    radii = covalent_radii[atoms.numbers]
    i, j, distances = ase_neighbor_list("ijd", atoms, 2.0 * share * float(radii.max()))
    kept = (distances < share * (radii[i] + radii[j])) & (i < j)
    kept &= np.isin(atoms.numbers[i], _NONMETALS) & np.isin(atoms.numbers[j], _NONMETALS)
    return set(zip(i[kept].tolist(), j[kept].tolist(), strict=True))
