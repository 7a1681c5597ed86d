"""How a notebook shows a molecule or a trajectory: nglview with good defaults, frames read one at a time."""

from collections.abc import Sequence
from typing import Any, Protocol

import nglview
import numpy as np
from ase import Atoms

from so3lab_widgets.theme import SIGNED_COLOURS
from so3lab_widgets.viewer.looks import STAGE, STYLES, Style

_LARGEST = 90.0
_BY_VALUE = {
    "colorScheme": "bfactor",
    "colorDomain": [-_LARGEST, _LARGEST],
    "colorScale": list(SIGNED_COLOURS),
    "colorMode": "rgb",
}
"""NGL reads the numbers that colour atoms where PDB has temperature factors: six characters, two of them decimals.
Its own way of mixing colours would go from orange to pale through pink."""


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


def show(
    structure: Atoms | Sequence[Atoms] | Frames,
    *,
    style: Style = "ball+stick",
    height: int = 400,
    unit_cell: bool | None = None,
    values: Sequence[float] | np.ndarray | None = None,
) -> nglview.NGLWidget:
    """Show a structure, or a trajectory with a player.

    Args:
        structure: Atoms, a list of atoms, or a trajectory, of which only the frames looked at are read.
        style: How atoms and bonds are drawn.
        height: Height of the view in pixels; its width follows the notebook.
        unit_cell: Whether to draw the cell; by default where the structure is periodic.
        values: One number per atom of a single structure to colour it by, such as partial charges: orange below zero,
            pale at zero, blue above.

    Returns:
        A plain nglview widget.

    Raises:
        TypeError: If this is nothing that can be shown.
        ValueError: If it is empty, or an argument has a value it cannot have.
    """
    if style not in STYLES:
        raise ValueError(f"style must be one of {', '.join(STYLES)}, got {style!r}")
    if height < 50:
        raise ValueError(f"height must be at least 50 (pixels), got {height}")
    first = _first(structure)
    frames = None if isinstance(structure, Atoms) else structure
    if values is not None and frames is not None:
        raise ValueError("values colour a single structure, and this is a trajectory; show one of its frames")
    drawn = _centred(first) if values is None else _with_values(_centred(first), values)
    shown = nglview.ASEStructure(drawn) if frames is None else _Player(frames)
    view = nglview.NGLWidget(shown, default=False, height=f"{height}px", width="100%")
    view.parameters = STAGE
    view.add_representation(style, **STYLES[style].parameters, **({} if values is None else _BY_VALUE))
    if unit_cell or (unit_cell is None and first.pbc.any()):
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


def _with_values(atoms: Atoms, values: Sequence[float] | np.ndarray) -> Atoms:
    """A copy whose PDB carries the values, on a scale of their own."""
    numbers = np.asarray(values, float)
    if numbers.shape != (len(atoms),) or not np.isfinite(numbers).all():
        raise ValueError(f"values must be {len(atoms)} finite numbers, one per atom, got {values!r}")
    carrier = atoms.copy()
    carrier.set_array("bfactor", _LARGEST * numbers / (np.abs(numbers).max() or 1.0))
    return carrier


def _centred(atoms: Atoms) -> Atoms:
    """A copy with its centre at the origin if it is free, the atoms themselves if they are periodic."""
    if atoms.pbc.any():
        return atoms
    return Atoms(atoms.numbers, atoms.positions - atoms.positions.mean(axis=0))
