"""Are coordinates and cell numbers that can be, in Å?"""

import ase
import numpy as np

from so3lab.structures.comments import NAMES_OF_UNITS, UNIT_WORDS

_LARGEST = 1e7
"""Å, a millimetre; nobody simulates more, and lists of neighbours overflow."""
_SHORTEST = 0.5
"""Å; no crystal repeats after less, and its images would have no end."""
_FLATTEST = 1e-3
"""Å, the smallest singular value of a cell that is not flat."""


def check_coordinates(atoms: ase.Atoms) -> None:
    """Refuse coordinates and cells that are no finite numbers in Å, masses that are none, placeholder atoms, and
    directions without a vector.

    Raises:
        ValueError: With the atom or the vectors, and what to do.
    """
    _check_length_unit(atoms)
    wrong = np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))
    if wrong.size:
        raise ValueError(
            f"the coordinates of atom {wrong[0]} must be finite numbers, got {atoms.positions[wrong[0]].tolist()}"
        )
    if not np.isfinite(np.asarray(atoms.cell)).all():
        raise ValueError(f"the vectors of the cell must be finite numbers, got {atoms.cell.tolist()}")
    if atoms.has("masses") and not (np.isfinite(atoms.get_masses()) & (atoms.get_masses() > 0)).all():
        atom = int(np.argmin(np.where(np.isfinite(atoms.get_masses()), atoms.get_masses(), -np.inf)))
        raise ValueError(
            f"masses must be positive numbers in amu, got {atoms.get_masses()[atom]:g} for atom {atom}; correct it, or "
            "leave masses out"
        )
    largest = max(np.abs(atoms.positions).max(), np.abs(np.asarray(atoms.cell)).max())
    if largest > _LARGEST:
        raise ValueError(
            f"coordinates and cell must be in Å and below {_LARGEST:g}, got {largest:.3g}; check their unit"
        )
    placeholders = np.flatnonzero(atoms.numbers < 1)
    if placeholders.size:
        raise ValueError(
            f"every atom must be an element, and atom {placeholders[0]} is the placeholder X; remove it or name its "
            "element"
        )
    _check_cell(np.asarray(atoms.cell)[atoms.pbc], atoms)


def _check_cell(vectors: np.ndarray, atoms: ase.Atoms) -> None:
    """Refuse periodic directions without a vector, or with images that would have no end."""
    lengths = np.linalg.norm(vectors, axis=1)
    if not len(vectors):
        return
    molecule = "--no-cell (atoms.pbc = False) makes a molecule of it"
    if lengths.min() == 0.0:
        raise ValueError(
            f"atoms.cell must have a vector along every periodic direction, got {atoms.cell.tolist()} for pbc "
            f"{atoms.pbc.tolist()}; {molecule}"
        )
    if lengths.min() < _SHORTEST:
        raise ValueError(
            f"the vectors of the cell must be at least {_SHORTEST:g} Å long, got {lengths.min():.3g} Å; check their "
            f"unit, or {molecule}"
        )
    if np.linalg.svd(vectors, compute_uv=False).min() < _FLATTEST:
        raise ValueError(
            f"the vectors of the cell must point in different directions, got {atoms.cell.tolist()}; {molecule}"
        )


def _check_length_unit(atoms: ase.Atoms) -> None:
    """Refuse a structure whose ``info`` names another unit of length than Å."""
    for key, value in atoms.info.items():
        word = UNIT_WORDS.search(value) if isinstance(value, str) and NAMES_OF_UNITS.fullmatch(str(key)) else None
        if word:
            raise ValueError(
                f"coordinates must be in Å, but {key}={value!r} says {word[0]}; convert them, and remove the word"
            )
