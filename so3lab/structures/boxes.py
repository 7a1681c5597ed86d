"""Is a cell one, or an empty box that some program drew around a molecule?

A plane-wave program needs a box, and many files carry one of any size. Waves and meshes fill the whole of it, so its
emptiness would cost memory for nothing.
"""

import ase
import numpy as np
from jaxtyping import Float

EMPTY = 40.0
"""Å between a molecule and its images, in every direction, from which nothing that matters reaches across."""


def widths(atoms: ase.Atoms) -> Float[np.ndarray, " 3"]:
    """How far the cell measures across along each vector, from face to face, in Å."""
    cell = np.asarray(atoms.cell)
    normals = np.cross(np.roll(cell, -1, axis=0), np.roll(cell, -2, axis=0))
    return np.abs(np.sum(cell * normals, axis=1)) / np.linalg.norm(normals, axis=1)


def gaps(atoms: ase.Atoms) -> Float[np.ndarray, " 3"]:
    """The widest empty layer along each vector of a cell that is periodic in all directions, in Å."""
    _, empty = _layers(atoms)
    return empty * widths(atoms)


def is_empty_box(atoms: ase.Atoms) -> bool:
    """Whether what a cell holds is a molecule: at least ``EMPTY`` Å away from its images in every direction."""
    if not (atoms.pbc.all() and np.isfinite(np.asarray(atoms.cell)).all()):
        return False
    if atoms.cell.rank < 3 or (widths(atoms) < EMPTY).any():
        return False
    return bool((gaps(atoms) >= EMPTY).all())


def without_box(atoms: ase.Atoms) -> ase.Atoms:
    """A copy as a molecule without a cell, made whole where the box's faces cut it; its calculator is left behind."""
    begins, empty = _layers(atoms)
    middles = begins - 0.5 * empty  # of the layers, where no atom is
    fractions = atoms.cell.scaled_positions(atoms.positions)
    result = atoms.copy()
    result.positions = (middles + (fractions - middles) % 1.0) @ np.asarray(atoms.cell)
    result.pbc, result.cell = False, None
    return result


def _layers(atoms: ase.Atoms) -> tuple[Float[np.ndarray, " 3"], Float[np.ndarray, " 3"]]:
    """Along each vector: where the atoms begin behind the widest empty layer, and its thickness; both as fractions."""
    places = np.sort(atoms.cell.scaled_positions(atoms.positions) % 1.0, axis=0)
    steps = np.diff(np.concatenate([places[-1:] - 1.0, places]), axis=0)
    widest = np.argmax(steps, axis=0)
    return places[widest, np.arange(3)], steps[widest, np.arange(3)]
