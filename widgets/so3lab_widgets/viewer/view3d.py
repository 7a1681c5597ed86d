"""How a notebook shows a molecule or a trajectory in one line, coloured by numbers where there are some."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from so3lab_widgets.viewer.looks import STYLES, Style
from so3lab_widgets.viewer.viewer import Viewer


def show(
    structure: Any,
    *,
    style: Style = "ball+stick",
    height: int = 400,
    values: Sequence[float] | np.ndarray | None = None,
    name: str = "value",
    unit: str = "",
) -> Viewer:
    """Show a structure, or a trajectory with a player.

    Args:
        structure: ``Atoms``, a sequence of them, a data set, a file of so3lab or of any other program, or an open one
            (:func:`so3lab.frames.open_frames`), of which only the frames looked at are read.
        style: How atoms and bonds are drawn.
        height: Height of the view in pixels; its width follows the notebook.
        values: A number per atom to colour by, such as partial charges, shape ``(atoms,)``; of several frames also
            ``(frames, atoms)``. Where some are negative the scale goes from orange through pale to blue.
        name: What these numbers are; the legend says it.
        unit: Their unit, for the legend.

    Returns:
        The viewer; :meth:`~so3lab_widgets.Viewer.as_nglview` gives the same as a plain nglview widget.

    Raises:
        FileNotFoundError: If there is no such file.
        TypeError: If this is nothing that can be shown.
        ValueError: If it is empty, or an argument has a value it cannot have.
    """
    if style not in STYLES:
        raise ValueError(f"style must be one of {', '.join(STYLES)}, got {style!r}")
    if height < 50:
        raise ValueError(f"height must be at least 50 (pixels), got {height}")
    if values is None:
        return Viewer(structure, representation=style, height=height)
    if not name or name == "element":
        raise ValueError(f"name must say what the values are, such as 'charge', got {name!r}")
    viewer = Viewer(representation=style, height=height)
    try:
        numbers = np.asarray(values, float)
        viewer.show(structure, {name: lambda frame: numbers if numbers.ndim == 1 else numbers[frame]}, {name: unit})
        _check_values(numbers, max(viewer.frames, 1), len(viewer.atoms or ()))
        viewer.colour = name
    except Exception:
        viewer.close()
        raise
    return viewer


def _check_values(numbers: np.ndarray, frames: int, atoms: int) -> None:
    if numbers.shape not in ((atoms,), (frames, atoms)) or not np.isfinite(numbers).all():
        wanted = f"{atoms} finite numbers, one per atom" + (f", or {frames} rows of them" if frames > 1 else "")
        raise ValueError(f"values must be {wanted}, got an array of shape {numbers.shape}: {numbers}")
