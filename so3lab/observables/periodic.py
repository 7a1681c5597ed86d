"""What is the shortest way between two points of a cell, and which way did an atom go that was wrapped into it?"""

import numpy as np
from ase.geometry import find_mic
from ase.geometry.minkowski_reduction import minkowski_reduce
from jaxtyping import Float

Cell = Float[np.ndarray, "3 3"] | Float[np.ndarray, "frames 3 3"] | None
"""Lattice vectors as rows, Å: one cell for all frames or one per frame; None, and vectors of zeros, do not repeat."""


def minimum_image(vectors: Float[np.ndarray, "frames *rest 3"], cell: Cell) -> Float[np.ndarray, "frames *rest 3"]:
    """The shortest vectors that differ from the given ones by lattice vectors; exact for skewed cells too.

    Args:
        vectors: Å.
        cell: Lattice vectors as rows, Å, for all frames or one set per frame; None for a free molecule.

    Raises:
        ValueError: If there are neither one cell nor as many cells as frames.

    Source: the neighbours of a Minkowski-reduced cell, as in :func:`ase.geometry.find_mic`.
    """
    vectors = np.asarray(vectors, np.float64)
    if cell is None or not np.any(cell):
        return vectors
    cells = np.asarray(cell, np.float64)
    if cells.ndim == 3 and len(cells) != len(vectors):
        raise ValueError(f"cell must be one cell or one per frame, got {len(cells)} for {len(vectors)} frames")
    if cells.ndim == 3 and (cells == cells[0]).all():
        cells = cells[0]
    if cells.ndim == 2:
        return _shortest(vectors, cells)
    return np.stack([_shortest(frame[None], own)[0] for frame, own in zip(vectors, cells, strict=True)])


def unwrap(positions: Float[np.ndarray, "frames atoms 3"], cell: Cell) -> Float[np.ndarray, "frames atoms 3"]:
    r"""Positions that run on when an atom leaves the cell, from positions that jump to the other side.

    .. math:: u_0 = r_0, \qquad u_{k+1} = u_k + [r_{k+1} - r_k]_\mathrm{shortest}

    The shortest step is taken in the later frame's cell, which keeps diffusion right when the cell breathes.

    Args:
        positions: Å, wrapped or not; frames so close in time that atoms move less than half the cell between them.
        cell: Lattice vectors as rows, Å, for all frames or one set per frame; None for a free molecule.

    Returns:
        Å; the first frame as it was.

    Raises:
        ValueError: If a step is so long that the shortest image may be the wrong one.

    Source: J. T. Bullerjahn, S. von Bülow, M. Heidari, J. Hénin, G. Hummer, J. Chem. Theory Comput. 19, 3406 (2023).
    """
    positions = np.asarray(positions, np.float64)
    if cell is None or not np.any(cell):
        return positions
    cells = np.asarray(cell, np.float64)
    steps = minimum_image(np.diff(positions, axis=0), cells[1:] if cells.ndim == 3 else cells)
    longest = float(np.linalg.norm(steps, axis=-1).max(initial=0.0))
    limit = min(_shortest_lattice_vector(own) for own in np.unique(cells.reshape(-1, 3, 3), axis=0)) / 2
    if longest > limit:
        raise ValueError(
            f"positions must move by less than half of the shortest lattice vector ({limit:.2f} Å) between frames, "
            f"one atom moved by {longest:.2f} Å or more; save frames more often"
        )
    return np.concatenate([positions[:1], positions[:1] + np.cumsum(steps, axis=0)])


def _shortest(vectors: np.ndarray, cell: np.ndarray) -> np.ndarray:
    reduced, _ = minkowski_reduce(cell, pbc=cell.any(axis=1))
    return find_mic(vectors.reshape(-1, 3), reduced)[0].reshape(vectors.shape)


def _shortest_lattice_vector(cell: np.ndarray) -> float:
    repeats = cell.any(axis=1)
    reduced, _ = minkowski_reduce(cell, pbc=repeats)
    return float(np.linalg.norm(reduced[repeats], axis=1).min())
