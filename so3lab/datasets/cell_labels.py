r"""Which stress do the frames of a set have, under whatever name and in whatever form somebody wrote it?

A stress here is ASE's: the derivative of the energy with respect to a strain over the volume, so that a cell under
tension has a positive one. A virial is minus the stress times the volume, as GAP, MACE and GPUMD write it:

.. math:: \sigma = \frac1V \frac{\partial E}{\partial \varepsilon}, \qquad W = -V \sigma
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from jaxtyping import Float

from so3lab.datasets.numerals import numbers_of

STRESSES = ("stress", "REF_stress", "dft_stress", "stress_tensor")
"""Names of stresses, whatever their capitals and dashes."""
_OF_MANY = "stresses"
"""A further name in files of arrays; in ASE's, those of atoms are called so."""
VIRIALS = ("virial", "virials", "REF_virial", "REF_virials", "dft_virial", "dft_virials")
"""Names of virials."""
_VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
"""ASE's order of six numbers."""
_ASYMMETRY = 0.02
"""Of the largest entry, that rounding and relaxation of programs leave."""


class CellLabel(NamedTuple):
    """The name under which stresses stand, and whether it is that of virials."""

    name: str
    virial: bool

    @property
    def source(self) -> str:
        """Name and what was made of it."""
        return f"{self.name} (minus stress times volume)" if self.virial else self.name


def cell_label(available: Collection[str]) -> CellLabel | None:
    """The first usual name of a stress, else of a virial; None where there is neither."""
    for names, virial in ((STRESSES, False), (VIRIALS, True)):
        for wanted in names:
            for name in available:
                if _form(name) == _form(wanted):
                    return CellLabel(name, virial)
    return None


def stresses_of_frames(
    frames: Sequence[Atoms], entries: Sequence[Mapping[str, Any]], energy: float, length: float, where: str
) -> tuple[Float[np.ndarray, "frames 3 3"] | None, CellLabel | None]:
    """Stresses in eV/Å³ of frames that are cells, NaN for others; None where no frame has one.

    Args:
        frames: Structures, with cells in the unit of the file.
        entries: What each has under which name.
        energy: Value of the file's energy unit in eV; stresses are in it per volume, virials in itself.
        length: Value of its length unit in Å.
        where: What sentences call the set.

    Raises:
        ValueError: If an entry is no stress; the sentence names frame and key.
    """
    if not names_of_cell_labels(set().union(*entries)):
        return None, None
    periodic = [bool(atoms.pbc.all()) and atoms.cell.rank == 3 for atoms in frames]
    label = next(
        (found for entry, cell in zip(entries, periodic, strict=True) if cell and (found := cell_label(entry))), None
    )
    if label is None:
        return None, None
    result = np.full((len(frames), 3, 3), np.nan)
    for number, (atoms, entry) in enumerate(zip(frames, entries, strict=True)):
        if periodic[number] and label.name in entry:
            what = f"frame {number} of {where}, {label.name!r}"
            tensor = symmetric_tensor(numbers_of(entry[label.name], what, ()), what) * energy
            volume = float(atoms.cell.volume) * length**3
            result[number] = -tensor / volume if label.virial else tensor / length**3
    return result, label


def stresses_of_arrays(
    values: Mapping[str, Any], cells: Float[np.ndarray, "frames 3 3"] | None, energy: float, length: float, where: str
) -> tuple[Float[np.ndarray, "frames 3 3"] | None, CellLabel | None]:
    """The same of an array with a stress for each frame; ``cells`` are in Å, or like ``length`` in any unit with 1.

    Raises:
        ValueError: If there is not one for each frame, or one is no stress.
    """
    label = cell_label(values.keys()) or (CellLabel(_OF_MANY, False) if _OF_MANY in values else None)
    if label is None or cells is None:
        return None, None
    what, entries = f"{where}, {label.name!r}", np.asarray(values[label.name], float)
    if len(cells) == 1 and entries.shape in ((6,), (9,), (3, 3)):
        entries = entries[None]
    if entries.ndim < 2 or len(entries) != len(cells):
        raise ValueError(
            f"{what}: must be six or nine numbers for each of {len(cells)} frames, got shape {entries.shape}"
        )
    tensors = np.array([symmetric_tensor(row, f"{what}, frame {number}") for number, row in enumerate(entries)])
    tensors *= energy
    if not label.virial:
        return tensors / length**3, label
    volumes = np.abs(np.linalg.det(cells))
    return np.where(volumes[:, None, None] > 0, -tensors / np.maximum(volumes, 1e-12)[:, None, None], np.nan), label


def symmetric_tensor(values: np.ndarray, what: str) -> Float[np.ndarray, "3 3"]:
    """Six numbers in ASE's order (xx, yy, zz, yz, xz, xy), or nine, as a tensor.

    Raises:
        ValueError: If there are not so many, or nine are not symmetric.
    """
    numbers = np.ravel(values)
    if numbers.size not in (6, 9):
        raise ValueError(
            f"{what}: must be six numbers (xx, yy, zz, yz, xz, xy) or a tensor of nine, got {numbers.size}; of "
            "stresses of atoms take the sum"
        )
    if numbers.size == 9:
        tensor = numbers.reshape(3, 3)
        difference = np.abs(tensor - tensor.T).max()
        if difference > _ASYMMETRY * np.abs(tensor).max() + 1e-6:
            raise ValueError(f"{what}: a stress must be symmetric, got entries that differ by {difference:.3g}")
        return 0.5 * (tensor + tensor.T)
    tensor = np.zeros((3, 3))
    for (row, column), number in zip(_VOIGT, numbers, strict=True):
        tensor[row, column] = tensor[column, row] = number
    return tensor


def names_of_cell_labels(available: Collection[str]) -> list[str]:
    """Names among ``available`` that hold a stress or a virial."""
    forms = set(map(_form, (*STRESSES, *VIRIALS)))
    return sorted(name for name in available if _form(name) in forms)


def _form(name: str) -> str:
    return str(name).lower().replace("-", "_")
