"""The same molecule or trajectory as a plain nglview widget, for whoever wants all that nglview can do."""

from collections.abc import Sequence
from typing import Any, Protocol

import nglview
import numpy as np
from ase import Atoms

from so3lab_widgets.viewer.looks import STAGE, STYLES, Style


class Frames(Protocol):
    """Anything that has a length and gives structures by index, such as an open trajectory file."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Atoms: ...


class _Player(nglview.ASETrajectory):
    """Frames for nglview, read when they are shown; a free molecule's centre stays at the origin."""

    def __init__(self, frames: Frames):
        super().__init__(frames)
        self._first = _centred(frames[0])

    def get_coordinates(self, index: int) -> np.ndarray:
        atoms = self.trajectory[index]
        if len(atoms) != len(self._first):
            raise ValueError(f"frame {index} has {len(atoms)} atoms, frame 0 has {len(self._first)}")
        return _centred(atoms).positions

    def get_structure_string(self) -> str:
        return nglview.ASEStructure(self._first).get_structure_string()


def in_nglview(
    structure: Atoms | Sequence[Atoms] | Frames, style: Style = "ball+stick", height: int = 400
) -> nglview.NGLWidget:
    """A structure, or a trajectory with nglview's player.

    Args:
        structure: Atoms, a list of atoms, or a trajectory, of which only the frames looked at are read.
        style: How atoms and bonds are drawn.
        height: Height of the view in pixels; its width follows the notebook.

    Raises:
        TypeError: If this is nothing that can be shown.
        ValueError: If it is empty.
    """
    first = _first(structure)
    shown = nglview.ASEStructure(_centred(first)) if isinstance(structure, Atoms) else _Player(structure)
    view = nglview.NGLWidget(shown, default=False, height=f"{height}px", width="100%")
    view.parameters = STAGE
    view.add_representation(style, **STYLES[style].parameters)
    if first.pbc.any():
        view.add_unitcell()
    view.center()
    view.control.spin((1.0, 0.6, 0.0), 0.35)  # symmetric molecules do not hide atoms behind atoms
    return view


def _first(structure: Any) -> Atoms:
    """The structure, or the first of many, after a look at whether it can be shown at all."""
    if isinstance(structure, Atoms):
        first = structure
    elif isinstance(structure, str) or not (hasattr(structure, "__len__") and hasattr(structure, "__getitem__")):
        raise TypeError(f"structure must be Atoms or a sequence of Atoms, not {type(structure).__name__}")
    elif len(structure) == 0:
        raise ValueError("the trajectory has no frames: there is nothing to show")
    else:
        first = structure[0]
    if not isinstance(first, Atoms):
        raise TypeError(f"the sequence must hold Atoms, not {type(first).__name__}")
    if len(first) == 0:
        raise ValueError("the structure has no atoms: there is nothing to show")
    return first


def _centred(atoms: Atoms) -> Atoms:
    """A copy with its centre at the origin if it is free, the atoms themselves if they are periodic."""
    if atoms.pbc.any():
        return atoms
    return Atoms(atoms.numbers, atoms.positions - atoms.positions.mean(axis=0))
