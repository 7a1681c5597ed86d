"""Trajectories in the formats of other programs: extended XYZ, ASE's .traj, PDB, DCD."""

import errno
import os
import warnings
from pathlib import Path

import ase.io
import numpy as np
from ase.io.extxyz import write_extxyz
from ase.io.proteindatabank import write_proteindatabank

from so3lab.trajectory.reader import Trajectory


def export(
    path_in: str | os.PathLike,
    path_out: str | os.PathLike,
    frames: slice = slice(None),
    *,
    overwrite: bool = False,
) -> int:
    """Write frames of a trajectory in the format that the name's ending says.

    ``.extxyz`` and ``.xyz`` keep velocities (as momenta), energies and forces in text with eight
    decimals, ``.traj`` keeps them exactly; ``.pdb`` and ``.dcd`` keep positions and cell only.

    Args:
        path_in: File written by ``TrajectoryWriter``.
        path_out: File to make.
        frames: Which frames, ``slice(None, None, 10)`` for every tenth.
        overwrite: Whether ``path_out`` may be replaced.

    Returns:
        How many frames were written.

    Raises:
        FileExistsError: If ``path_out`` exists and ``overwrite`` is not set.
        ValueError: If the ending is unknown, or no frame is chosen.
        ImportError: If ``.dcd`` is asked for and MDAnalysis is not installed.
    """
    path_out = Path(path_out)
    writers = {
        ".extxyz": _write_extxyz,
        ".xyz": _write_extxyz,
        ".traj": _write_traj,
        ".pdb": _write_pdb,
        ".dcd": _write_dcd,
    }
    if path_out.suffix.lower() not in writers:
        raise ValueError(f"the name of path_out must end in one of {', '.join(writers)}, got {path_out}")
    if path_out.exists() and not overwrite:
        raise FileExistsError(
            errno.EEXIST, f"{path_out} exists; choose another name or allow it with overwrite=True"
        )
    temporary = path_out.with_name(f".{path_out.name}.{os.getpid()}.tmp")
    with Trajectory(path_in) as trajectory:
        chosen = trajectory[frames]
        if not chosen:
            raise ValueError(
                f"frames must choose at least one of the {len(trajectory)} of {path_in}, got {frames}"
            )
        try:
            writers[path_out.suffix.lower()](temporary, chosen)
            os.replace(temporary, path_out)
        finally:
            temporary.unlink(missing_ok=True)
        return len(chosen)


def _write_extxyz(path: Path, trajectory: Trajectory) -> None:
    with open(path, "w", encoding="utf-8") as file:
        write_extxyz(file, iter(trajectory))


def _write_traj(path: Path, trajectory: Trajectory) -> None:
    with ase.io.Trajectory(path, "w") as file:
        for atoms in trajectory:
            file.write(atoms)


def _write_pdb(path: Path, trajectory: Trajectory) -> None:
    with open(path, "w", encoding="utf-8") as file:
        write_proteindatabank(file, trajectory)


def _write_dcd(path: Path, trajectory: Trajectory) -> None:
    try:
        from MDAnalysis import Universe
        from MDAnalysis.coordinates.DCD import DCDWriter
    except ImportError:
        raise ImportError(
            "writing .dcd needs MDAnalysis; install it with: pip install MDAnalysis, or export to .extxyz"
        ) from None
    times_ps = trajectory[:2].times_fs / 1000.0
    spacing_ps = float(np.diff(times_ps)[0]) if len(times_ps) > 1 else 1.0
    universe = Universe.empty(len(trajectory.atomic_numbers), trajectory=True)
    with warnings.catch_warnings(), DCDWriter(str(path), universe.atoms.n_atoms, dt=spacing_ps) as file:
        warnings.filterwarnings("ignore", message="No dimensions set")  # a free molecule has none
        for atoms in trajectory:
            if atoms.pbc.any():  # DCD knows lengths and angles only: turn the atoms with the cell
                cell, rotation = atoms.cell.standard_form()
                atoms.positions = atoms.positions @ rotation.T
                universe.dimensions = cell.cellpar()
            universe.atoms.positions = atoms.positions
            file.write(universe.atoms)
