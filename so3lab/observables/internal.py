"""How do chosen distances, angles and dihedrals change along a trajectory?"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from so3lab.observables.checks import times_of
from so3lab.observables.periodic import Cell, minimum_image

Dihedral = tuple[int, int, int, int]
"""Four atoms in the order of the chain."""


def internal_coordinates(
    positions: Float[np.ndarray, "frames atoms 3"],
    coordinates: Mapping[str, Sequence[int]],
    time_fs: Float[np.ndarray, " frames"] | None = None,
    cell: Cell = None,
) -> pd.DataFrame:
    """Distances (two atoms), angles (three, the vertex in the middle) and dihedrals (four) in every frame.

    Angles are in [0, 180], dihedrals in (-180, 180] with the sign of IUPAC: positive when, seen along the middle
    bond, the far bond is turned clockwise from the near one.

    Args:
        positions: Å.
        coordinates: Names and atoms, such as ``{"OH": (0, 1), "phi": (1, 3, 4, 6)}``.
        time_fs: Time of each frame; it becomes the first column.
        cell: Lattice vectors as rows, Å, for all frames or one set per frame: bonds go to the nearest image.

    Returns:
        One row per frame, one column per coordinate: its name with ``_A`` (distances, Å) or ``_deg`` (degrees).

    Raises:
        ValueError: If a coordinate names no two to four different atoms of the frames, or the times are not as many as
            the frames.

    Source: IUPAC-IUB Commission on Biochemical Nomenclature, Biochemistry 9, 3471 (1970), for the sign of dihedrals.
    """
    positions = np.asarray(positions, np.float64)
    columns: dict[str, np.ndarray] = {}
    if time_fs is not None:
        columns["time_fs"] = times_of(time_fs, len(positions))
    for name, atoms in coordinates.items():
        _check_atoms(name, atoms, positions.shape[1])
        chain = positions[:, list(atoms)]
        bonds = minimum_image(chain[:, 1:] - chain[:, :-1], cell)
        if len(atoms) == 2:
            columns[f"{name}_A"] = np.linalg.norm(bonds[:, 0], axis=-1)
        else:
            columns[f"{name}_deg"] = _angle(bonds) if len(atoms) == 3 else _dihedral(bonds)
    return pd.DataFrame(columns)


def dihedral_degrees(positions: Float[np.ndarray, "frames atoms 3"], atoms: Dihedral) -> Float[np.ndarray, " frames"]:
    """Signed dihedral angle of four atoms in each frame, degrees in (-180, 180], IUPAC sign; no periodic images."""
    _check_atoms("dihedral", atoms, positions.shape[1])
    chain = positions[:, list(atoms)]
    return _dihedral(chain[:, 1:] - chain[:, :-1])


def _check_atoms(name: str, atoms: Sequence[int], count: int) -> None:
    if len(atoms) not in (2, 3, 4) or len(set(atoms)) != len(atoms):
        raise ValueError(f"coordinate {name!r} must name two, three or four different atoms, got {tuple(atoms)}")
    if min(atoms) < 0 or max(atoms) >= count:
        raise ValueError(f"coordinate {name!r} must name atoms 0 to {count - 1}, got {tuple(atoms)}")


def _angle(bonds: np.ndarray) -> np.ndarray:
    """Angle between the two bonds of a vertex, with full precision near 0 and 180 degrees too."""
    back, forth = -bonds[:, 0], bonds[:, 1]
    sine = np.linalg.norm(np.cross(back, forth), axis=-1)
    return np.degrees(np.arctan2(sine, np.einsum("fx,fx->f", back, forth)))


def _dihedral(bonds: np.ndarray) -> np.ndarray:
    near, axis, far = bonds[:, 0], bonds[:, 1], bonds[:, 2]
    first, second = np.cross(near, axis), np.cross(axis, far)
    sine = np.einsum("fx,fx->f", np.cross(first, second), axis) / np.linalg.norm(axis, axis=1)
    return np.degrees(np.arctan2(sine, np.einsum("fx,fx->f", first, second)))
