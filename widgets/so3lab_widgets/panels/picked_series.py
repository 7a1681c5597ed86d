"""What is measured along a trajectory: RMSD, and of picked atoms a distance, an angle or a dihedral per frame."""

from collections.abc import Iterator, Sequence

import numpy as np

from so3lab.observables import internal_coordinates, rmsd
from so3lab_widgets.panels.frames_row import AnyFrames

_BLOCK = 2000
"""Frames read at a time: a hundredth of a second of work, so that the viewer reads its frame in between."""
RMSD = "RMSD_A"
"""Name of the series of distances from the first frame."""
_KINDS = {2: "distance", 3: "angle", 4: "dihedral"}


def column_of(symbols: Sequence[str], atoms: Sequence[int]) -> str:
    """Name of the series with its unit at the end: ``distance N5–C7_A``.

    Raises:
        ValueError: If there are not two to four different atoms, or one does not exist.
    """
    if len(atoms) not in _KINDS or len(set(atoms)) != len(atoms):
        raise ValueError(f"a series needs two to four different atoms, got {', '.join(map(str, atoms)) or 'none'}")
    if min(atoms) < 0 or max(atoms) >= len(symbols):
        raise ValueError(f"atoms are numbered 0 to {len(symbols) - 1}, got {', '.join(map(str, atoms))}")
    names = "–".join(f"{symbols[atom]}{atom}" for atom in atoms)
    return f"{_KINDS[len(atoms)]} {names}_{'A' if len(atoms) == 2 else 'deg'}"


def _blocks(trajectory: AnyFrames) -> Iterator[slice]:
    for start in range(0, len(trajectory), _BLOCK):
        yield slice(start, start + _BLOCK)


def rmsd_of(trajectory: AnyFrames) -> Iterator[np.ndarray]:
    """RMSD of all atoms from the first frame, superposed on it, in Å, a block of frames after the other."""
    first = np.asarray(trajectory.positions(0), np.float64)
    for frames in _blocks(trajectory):
        found = trajectory.positions(frames)
        yield rmsd(found, first, np.arange(float(len(found))))["rmsd_A"].to_numpy()


def measured(trajectory: AnyFrames, atoms: Sequence[int]) -> Iterator[np.ndarray]:
    """Values in all frames, exact, a block after the other: Å for two atoms, degrees for three and four."""
    for frames in _blocks(trajectory):
        cells = trajectory.cells(frames) if any(trajectory.pbc) else None
        table = internal_coordinates(trajectory.positions(frames), {"picked": tuple(atoms)}, cell=cells)
        yield table.to_numpy()[:, 0]


def code_for_rmsd(opened: str) -> str:
    """The line of Python that gives RMSD from the first frame, of frames that are opened so."""
    return f"so3lab.observables.rmsd({opened}.positions(), {opened}.positions(0), {opened}.times_fs)"


def code_for(opened: str, column: str, atoms: Sequence[int]) -> str:
    """The line of Python that measures the same in frames that are opened so."""
    name = column.rsplit("_", 1)[0]
    return f"so3lab.observables.internal_coordinates({opened}.positions(), {{{name!r}: {tuple(atoms)}}})"
