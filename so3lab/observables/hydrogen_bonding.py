"""Which hydrogen bonds are there, how many at a time, and how long of the time?"""

from collections.abc import Sequence

import ase
import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from so3lab.observables.bonding import bonds
from so3lab.observables.periodic import minimum_image
from so3lab.structures.neighbors import pair_list

POLAR = ("N", "O", "F")
"""Elements that give and take hydrogen bonds unless others are named."""


def hydrogen_bonds(
    positions: Float[np.ndarray, "frames atoms 3"],
    atoms: ase.Atoms,
    *,
    cells: Float[np.ndarray, "frames 3 3"] | None = None,
    longest: float = 2.5,
    smallest_angle_deg: float = 120.0,
    polar: Sequence[str] = POLAR,
) -> pd.DataFrame:
    """Every hydrogen bond of every frame: donor-H···acceptor, short and nearly straight.

    Args:
        positions: Å; wrapped into the cell or not.
        atoms: Structure that says which hydrogens are bonded to which donors, and whether the cell repeats.
        cells: Lattice vectors as rows, Å, of each frame; None takes that of ``atoms`` for all.
        longest: Largest distance H···acceptor, Å.
        smallest_angle_deg: Smallest angle donor-H···acceptor, degrees.
        polar: Elements of donors and acceptors.

    Returns:
        One row per bond and frame: ``frame``, ``donor``, ``hydrogen``, ``acceptor`` (atoms), ``distance_A`` (H to
        acceptor, Å), ``angle_deg``. Two images of one acceptor are two rows.

    Raises:
        ValueError: If ``longest`` is not positive, the angle is not between 0 and 180, or the cells are not as many as
            the frames.

    Source: E. N. Baker and R. E. Hubbard, Prog. Biophys. Mol. Biol. 44, 97 (1984), for 2.5 Å and 120 degrees.
    """
    if not longest > 0:
        raise ValueError(f"longest must be positive (Å), got {longest}")
    if not 0 <= smallest_angle_deg <= 180:
        raise ValueError(f"smallest_angle_deg must lie between 0 and 180, got {smallest_angle_deg}")
    if cells is not None and len(cells) != len(positions):
        raise ValueError(f"cells must be one per frame, got {len(cells)} for {len(positions)} frames")
    donors, hydrogens = _donors(atoms, polar)
    acceptors = np.flatnonzero(np.isin(atoms.get_chemical_symbols(), list(polar)))
    blocks = [np.zeros((0, 6))]
    for frame, place in enumerate(np.asarray(positions, np.float64) if len(donors) else ()):
        cell = np.asarray(atoms.cell if cells is None else cells[frame]) * atoms.pbc[:, None]
        found = _contacts(place, donors, hydrogens, acceptors, cell, longest)
        found = found[found[:, -1] >= smallest_angle_deg]
        blocks.append(np.insert(found, 0, frame, axis=1))
    whole = {name: int for name in ("frame", "donor", "hydrogen", "acceptor")}
    return pd.DataFrame(np.concatenate(blocks), columns=[*whole, "distance_A", "angle_deg"]).astype(whole)


def hydrogen_bond_counts(table: pd.DataFrame, time_fs: Float[np.ndarray, " frames"]) -> pd.DataFrame:
    """How many hydrogen bonds each frame has; columns ``time_fs`` and ``hydrogen_bonds`` (number).

    Args:
        table: From :func:`hydrogen_bonds`.
        time_fs: Time of every frame that was looked at, those without a bond included.

    Raises:
        ValueError: If the table names more frames than there are times.
    """
    _check_frames(table, len(time_fs))
    counts = np.bincount(table["frame"].to_numpy(int), minlength=len(time_fs))
    return pd.DataFrame({"time_fs": np.asarray(time_fs, np.float64), "hydrogen_bonds": counts})


def hydrogen_bond_occupancy(table: pd.DataFrame, atoms: ase.Atoms, frames: int) -> pd.DataFrame:
    """In which share of the frames each hydrogen bond is there, the most frequent first.

    Args:
        table: From :func:`hydrogen_bonds`.
        atoms: Structure that gives the elements.
        frames: Number of frames that were looked at, those without a bond included.

    Returns:
        One row per bond: ``bond`` (name such as ``N3-H13···O7``), ``donor``, ``hydrogen``, ``acceptor``, ``occupancy``
        (0 to 1), ``distance_A`` and ``angle_deg`` (means while it is there).

    Raises:
        ValueError: If the table names more frames than there are.
    """
    _check_frames(table, frames)
    trio = ["donor", "hydrogen", "acceptor"]
    groups = table.groupby(trio, as_index=False).agg(
        occupancy=("frame", "nunique"), distance_A=("distance_A", "mean"), angle_deg=("angle_deg", "mean")
    )
    groups["occupancy"] = groups["occupancy"] / frames
    symbols = atoms.get_chemical_symbols()
    names = [f"{symbols[d]}{d}-{symbols[h]}{h}···{symbols[a]}{a}" for d, h, a in groups[trio].to_numpy(int)]
    groups.insert(0, "bond", names)
    return groups.sort_values("occupancy", ascending=False, kind="stable", ignore_index=True)


def _donors(
    atoms: ase.Atoms, polar: Sequence[str]
) -> tuple[Int[np.ndarray, " hydrogens"], Int[np.ndarray, " hydrogens"]]:
    """Donor and hydrogen of every polar bond to a hydrogen."""
    pairs = bonds(atoms)
    pairs = np.concatenate([pairs, pairs[:, ::-1]])
    symbols = np.array(atoms.get_chemical_symbols())
    giving = np.isin(symbols[pairs[:, 0]], list(polar)) & (symbols[pairs[:, 1]] == "H")
    return pairs[giving, 0], pairs[giving, 1]


def _contacts(
    positions: Float[np.ndarray, "atoms 3"],
    donors: Int[np.ndarray, " hydrogens"],
    hydrogens: Int[np.ndarray, " hydrogens"],
    acceptors: Int[np.ndarray, " acceptors"],
    cell: Float[np.ndarray, "3 3"],
    longest: float,
) -> Float[np.ndarray, "contacts 5"]:
    """Donor, hydrogen, acceptor, their distance and angle, of all close pairs of one frame."""
    others = np.concatenate([hydrogens, acceptors])
    i, j, images = pair_list(positions[others], longest, cell, np.any(cell, axis=1))
    vectors = positions[others[j]] - positions[others[i]] + images @ cell
    mixed = (i < len(hydrogens)) != (j < len(hydrogens))
    backwards = (i >= len(hydrogens))[mixed]
    first, second, vectors = i[mixed], j[mixed], np.where(backwards[:, None], -1, 1) * vectors[mixed]
    row = np.where(backwards, second, first)  # of the list of hydrogens
    donor, hydrogen = donors[row], hydrogens[row]
    acceptor = others[np.where(backwards, first, second)]
    to_donor = minimum_image((positions[donor] - positions[hydrogen])[None], cell)[0]
    sine = np.linalg.norm(np.cross(to_donor, vectors), axis=1)
    angle = np.degrees(np.arctan2(sine, np.einsum("px,px->p", to_donor, vectors)))
    distance = np.linalg.norm(vectors, axis=1)
    own = (acceptor == donor) & (angle < 1.0)  # no contact: the donor itself
    return np.column_stack([donor, hydrogen, acceptor, distance, angle])[~own]


def _check_frames(table: pd.DataFrame, frames: int) -> None:
    if len(table) and table["frame"].max() >= frames:
        raise ValueError(
            f"the table of hydrogen bonds must come from the given {frames} frames, it names frame "
            f"{table['frame'].max()}"
        )
