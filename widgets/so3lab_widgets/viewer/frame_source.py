"""What a viewer draws: structures and trajectories behind one small interface, and the text that NGL reads."""

import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from ase import Atoms

from so3lab.frames import OpenedFrames, open_frames
from so3lab.observables import bonds, superpose

MOST_ATOMS = 20_000
"""A page that draws more cannot be turned any more."""
_WIDEST = 999.0
"""Å, what PDB's columns hold on both sides of zero."""
_STRETCHED = 4.0
"""Å beyond which a bond is one to a neighbouring cell, and not drawn."""


class Frames:
    """Frames by index: positions at once, everything else when somebody asks for it.

    Args:
        source: ``Atoms``, a sequence of them, a file, or an open one (:func:`so3lab.frames.open_frames`), of which only
            the frames looked at are read.
        values: Numbers per atom by which a frame can be coloured, by name: functions of the frame's index. Forces are
            there where the frames have them.

    Raises:
        TypeError: If this is nothing that can be drawn.
        ValueError: If it is empty, or too large to be drawn.
    """

    def __init__(self, source: Any, values: Mapping[str, Callable[[int], np.ndarray]] | None = None):
        self.source: Any = [source] if isinstance(source, Atoms) else source
        if isinstance(source, str | os.PathLike):
            self.source = open_frames(source)
        elif not (hasattr(source, "__len__") and hasattr(source, "__getitem__")):
            raise TypeError(f"structure must be Atoms, a sequence of Atoms or a file, not {type(source).__name__}")
        if not len(self.source):
            raise ValueError("the trajectory has no frames: there is nothing to show")
        self.first: Atoms = self.source[0]
        if not isinstance(self.first, Atoms):
            raise TypeError(f"the sequence must hold Atoms, not {type(self.first).__name__}")
        check_size(self.first)
        self._lazy = callable(getattr(self.source, "positions", None))  # a trajectory; a data set has arrays there
        carried = self.source.per_atom if isinstance(self.source, OpenedFrames) else {}
        self.values: dict[str, Callable[[int], np.ndarray]] = {**carried, **(values or {})}
        self.has_forces = self.forces(0) is not None
        """Whether frames know their forces."""
        if "force" not in self.values and self.has_forces:
            self.values["force"] = self._force_sizes

    def __len__(self) -> int:
        return len(self.source)

    def positions(self, index: int) -> np.ndarray:
        """Positions of a frame in Å; the centre of a free molecule is at the origin."""
        found = self.source.positions(index) if self._lazy else self._atoms(index).positions
        if len(found) != len(self.first):
            raise ValueError(f"frame {index} has {len(found)} atoms, frame 0 has {len(self.first)}")
        return found if self.first.pbc.any() else found - found.mean(axis=0)

    def smooth_positions(self, index: int, reach: int) -> np.ndarray:
        """Mean of the positions of a frame and of those up to ``reach`` before and after, superposed on it."""
        positions = self.positions(index)
        if not reach:
            return positions
        around = range(max(0, index - reach), min(len(self), index + reach + 1))
        if self._lazy:
            block = np.asarray(self.source.positions(slice(around.start, around.stop)), np.float64)
        else:
            block = np.stack([self._atoms(other).positions for other in around])
        if not self.first.pbc.any():
            block = superpose(block, positions)
        return block.mean(axis=0)

    def cell(self, index: int) -> np.ndarray | None:
        """Cell of a frame in Å, rows; None for a free molecule."""
        if not self.first.pbc.any():
            return None
        return np.asarray(self.source.cells(index) if self._lazy else self._atoms(index).cell)

    def forces(self, index: int) -> np.ndarray | None:
        """Forces of a frame in eV/Å, where it has any: of two kinds one after the other."""
        if self._lazy:
            return self.source.forces(index)
        calculator = self._atoms(index).calc
        found = getattr(calculator, "results", {}).get("forces")
        return None if found is None else np.asarray(found)

    def _atoms(self, index: int) -> Atoms:
        return self.source[index]

    def _force_sizes(self, index: int) -> np.ndarray:
        forces = self.forces(index)
        return np.zeros(len(self.first)) if forces is None else np.linalg.norm(forces[: len(self.first)], axis=1)


def check_size(atoms: Atoms) -> None:
    """Refuse what cannot be drawn.

    Raises:
        ValueError: If there is no atom, or there are too many.
    """
    if not len(atoms):
        raise ValueError("the structure has no atoms: there is nothing to show")
    if len(atoms) > MOST_ATOMS:
        raise ValueError(f"a view draws at most {MOST_ATOMS} atoms, got {len(atoms)}; show a part of them")


def residues_of(atoms: Atoms) -> list[str] | None:
    """Name and number of the residue of each atom, where the structure knows them."""
    names = atoms.arrays.get("residuenames")
    if names is None:
        return None
    numbers = atoms.arrays.get("residuenumbers", [""] * len(atoms))
    return [f"{str(name).strip()} {number}".strip() for name, number in zip(names, numbers, strict=True)]


def pdb_text(atoms: Atoms, *, centre: bool = True) -> str:
    """A structure in PDB's columns, with its bonds; positions are rough, exact ones follow.

    Each molecule is a residue of its own, as far as its atoms stand together: within a residue NGL compares all atoms
    with all.

    Args:
        atoms: The structure.
        centre: Whether a free molecule is moved to the origin, where positions come from frame by frame.
    """
    joined = bonds(atoms) if len(atoms) > 1 else np.zeros((0, 2), int)
    lengths = np.linalg.norm(atoms.positions[joined[:, 0]] - atoms.positions[joined[:, 1]], axis=1)
    joined = joined[lengths < _STRETCHED]
    residues = _molecules(len(atoms), joined)
    # As exact positions come: where a page looks at first.
    stays = atoms.pbc.any() or not centre
    middle = 0.0 if stays and np.abs(atoms.positions).max() < _WIDEST else atoms.positions.mean(axis=0)
    lines = [
        f"HETATM{number + 1:5d} {symbol:<4.4s} MOL {chr(65 + residue // 9999 % 26)}{residue % 9999 + 1:4d}    "
        f"{x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00          {symbol:>2s}"
        for number, (symbol, residue, (x, y, z)) in enumerate(
            zip(atoms.get_chemical_symbols(), residues, atoms.positions - middle, strict=True)
        )
    ]
    lines += [f"CONECT{i + 1:5d}{j + 1:5d}" for i, j in joined]
    return "\n".join([*lines, "END", ""])


def _molecules(atoms: int, joined: np.ndarray) -> np.ndarray:
    """Number of the molecule that each atom belongs to."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(joined)), (joined[:, 0], joined[:, 1])), shape=(atoms, atoms))
    return connected_components(graph, directed=False)[1]
