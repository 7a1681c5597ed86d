"""Trajectories in the formats of other programs, whole or in part: extended XYZ, ASE's .traj, PDB, DCD, H5MD."""

import contextlib
import errno
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io.extxyz import write_extxyz
from ase.io.proteindatabank import write_proteindatabank
from jaxtyping import Integer

from so3lab.machine.files import atomic_write, check_writable
from so3lab.trajectory.reader import Trajectory
from so3lab.trajectory.selection import Selection, chosen_atoms
from so3lab.trajectory.writer import TrajectoryWriter

_BLOCK = 256


def export(
    path_in: str | os.PathLike | Sequence[Atoms],
    path_out: str | os.PathLike,
    frames: slice = slice(None),
    *,
    atoms: Selection | None = None,
    overwrite: bool = False,
) -> int:
    """Write frames of a trajectory, of all atoms or some, in the format that the name's ending says.

    ``.extxyz`` and ``.xyz`` keep velocities (as momenta), energies and forces in text with eight
    decimals, ``.traj`` keeps them exactly; ``.pdb`` and ``.dcd`` keep positions and cell only.
    ``.h5`` and ``.h5md`` are trajectories of so3lab again, compressed, which cannot be resumed. Where
    some atoms are left out, so are the energies and the temperature, which belong to all.

    Args:
        path_in: File written by ``TrajectoryWriter``, or an open trajectory; ``so3lab.frames.open_frames`` opens other
            ones, which are written in all formats but H5MD.
        path_out: File to make.
        frames: Which frames, ``slice(None, None, 10)`` for every tenth.
        atoms: Which atoms, and in which order: indices, a mask, ``"heavy"``, or a text such as ``"0:10,12"``;
            all when None. See :func:`so3lab.trajectory.selection.chosen_atoms`.
        overwrite: Whether ``path_out`` may be replaced.

    Returns:
        How many frames were written.

    Raises:
        FileExistsError: If ``path_out`` exists and ``overwrite`` is not set.
        FileNotFoundError: If there is no ``path_in``, or no folder for ``path_out``.
        ValueError: If the ending is unknown, no frame or atom is chosen, an atom does not exist or is chosen twice,
            or both paths are the same file.
        TypeError: If ``atoms`` is of another kind.
        ImportError: If ``.dcd`` is asked for and MDAnalysis is not installed.
    """
    path_out = Path(path_out)
    writers = {
        ".extxyz": _write_extxyz,
        ".xyz": _write_extxyz,
        ".traj": _write_traj,
        ".pdb": _write_pdb,
        ".dcd": _write_dcd,
        ".h5": _write_h5md,
        ".h5md": _write_h5md,
    }
    if path_out.suffix.lower() not in writers:
        raise ValueError(f"the name of path_out must end in one of {', '.join(writers)}, got {path_out}")
    path = path_in if isinstance(path_in, str | os.PathLike) else getattr(path_in, "path", None)
    if path is not None and path_out.exists() and Path(path).exists() and os.path.samefile(path, path_out):
        raise ValueError(f"path_out must be another file than path_in, got {path_out} for both")
    if path_out.exists() and not overwrite:
        raise FileExistsError(errno.EEXIST, f"{path_out} exists; choose another name or allow it with overwrite=True")
    check_writable(path_out)
    opened: Any = Trajectory(path_in) if isinstance(path_in, str | os.PathLike) else path_in
    with contextlib.closing(opened[:]) as trajectory:
        part = _Part(trajectory[frames], chosen_atoms(atoms, trajectory.atomic_numbers))
        if not part:
            raise ValueError(
                f"frames must choose at least one of the {len(trajectory)} of {path}, got {_in_words(frames)}"
            )
        with atomic_write(path_out) as temporary:
            writers[path_out.suffix.lower()](temporary, part)
        return len(part)


def _in_words(frames: slice) -> str:
    """A slice as people type it."""
    start, stop, step = ("" if x is None else str(x) for x in (frames.start, frames.stop, frames.step))
    return f"{start}:{stop}" + (f":{step}" if step else "")


class _Part(Sequence[Atoms]):
    """Frames of a trajectory with some of its atoms."""

    def __init__(self, trajectory: Any, chosen: Integer[np.ndarray, " chosen"]):
        self.trajectory, self.chosen = trajectory, chosen
        everything = len(trajectory.atomic_numbers)
        self.complete = len(chosen) == everything
        self._as_it_is = self.complete and np.array_equal(chosen, np.arange(everything))

    def __len__(self) -> int:
        return len(self.trajectory)

    def __getitem__(self, index: Any) -> Any:
        return self._reduced(self.trajectory[index])

    def __iter__(self) -> Iterator[Atoms]:
        return map(self._reduced, self.trajectory)

    def _reduced(self, atoms: Atoms) -> Atoms:
        if self._as_it_is:
            return atoms
        known = atoms.calc.results if atoms.calc is not None else {}
        results = {"forces": known["forces"][self.chosen]} if "forces" in known else {}
        if self.complete and "energy" in known:
            results["energy"] = known["energy"]
        part = atoms[self.chosen]
        part.calc = SinglePointCalculator(part, **results) if results else None
        return part


def _write_extxyz(path: Path, part: _Part) -> None:
    with open(path, "w", encoding="utf-8") as file:
        write_extxyz(file, iter(part))


def _write_traj(path: Path, part: _Part) -> None:
    with ase.io.Trajectory(path, "w") as file:
        for atoms in part:
            file.write(atoms)


def _write_pdb(path: Path, part: _Part) -> None:
    with open(path, "w", encoding="utf-8") as file:
        write_proteindatabank(file, part)


def _write_dcd(path: Path, part: _Part) -> None:
    try:
        from MDAnalysis import Universe
        from MDAnalysis.coordinates.DCD import DCDWriter
    except ImportError:
        raise ImportError(
            "writing .dcd needs MDAnalysis; install it with: pip install MDAnalysis, or export to .extxyz"
        ) from None
    times_ps = part.trajectory[:2].times_fs / 1000.0
    spacing_ps = float(np.diff(times_ps)[0]) if len(times_ps) > 1 else 1.0
    universe = Universe.empty(len(part.chosen), trajectory=True)
    with warnings.catch_warnings(), DCDWriter(str(path), universe.atoms.n_atoms, dt=spacing_ps) as file:
        warnings.filterwarnings("ignore", message="No dimensions set")  # a free molecule has none
        for atoms in part:
            if atoms.pbc.any():  # DCD knows lengths and angles only: turn the atoms with the cell
                cell, rotation = atoms.cell.standard_form()
                atoms.positions = atoms.positions @ rotation.T
                universe.dimensions = cell.cellpar()
            universe.atoms.positions = atoms.positions
            file.write(universe.atoms)


def _write_h5md(path: Path, part: _Part) -> None:
    trajectory, chosen = part.trajectory, part.chosen
    if not isinstance(trajectory, Trajectory):
        raise ValueError(f"only trajectories of so3lab are written as H5MD; write {path.stem}.extxyz or .traj instead")
    table = trajectory.table()
    observables = [name for name in trajectory.observables if part.complete]
    first = part[0]
    about = {"file": trajectory.path.name, "atoms": "all" if part.complete else chosen.tolist()}
    with TrajectoryWriter(
        path,
        first,
        observables=observables,
        state_template={},
        meta=trajectory.meta | {"exported_from": about},
        precision=trajectory.positions(0).dtype.name,
        compress=True,
    ) as writer:
        for start in range(0, len(part), _BLOCK):
            rows = slice(start, start + _BLOCK)
            block: dict[str, Any] = {name: table[name].to_numpy()[rows] for name in ("step", "time_fs", *observables)}
            if np.any(first.cell.array):
                block["cell"] = trajectory.cells(rows)
            for name in ("positions", "velocities", "forces"):
                block[name] = getattr(trajectory, name)(rows)[:, chosen]
            writer.append(block)
