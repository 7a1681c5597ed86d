"""How trajectories that hold positions and no elements are read: by MDAnalysis, with a topology that names atoms."""

import os
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.cell import Cell

from so3lab.structures.reading import read_structure

NEED_TOPOLOGY = frozenset(
    (".dcd", ".xtc", ".trr", ".nc", ".ncdf", ".netcdf", ".mdcrd", ".crdbox", ".trj", ".trz", ".inpcrd", ".restrt",
     ".rst7")
)  # fmt: skip
"""Endings of files that hold positions alone."""
_TOPOLOGIES = frozenset((".psf", ".prmtop", ".parm7", ".top", ".tpr", ".itp", ".gro", ".mol2", ".data", ".pqr"))
"""Endings of topologies that MDAnalysis reads."""
_FORMATS = {".lammpstrj": "LAMMPSDUMP", ".dump": "LAMMPSDUMP", ".netcdf": "NCDF", ".nc": "NCDF"}


class UniverseFile:
    """An open trajectory that MDAnalysis reads.

    Args:
        path: The file.
        topology: The same atoms, with their elements.

    Raises:
        ImportError: If MDAnalysis is not installed.
        ValueError: If there is no topology, it is of other atoms, or a file cannot be read.
    """

    def __init__(self, path: Path, topology: str | os.PathLike | Atoms | None):
        if topology is None:
            raise ValueError(
                f"{path} holds positions and no elements; give topology=, the same atoms in the same order, such as a "
                ".pdb, .gro, .psf or .prmtop file, or Atoms"
            )
        mdanalysis = _mdanalysis(path)
        self._lock = threading.Lock()
        self._atoms = _named_atoms(mdanalysis, topology)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about units and boxes that a file does not state
            try:
                universe = mdanalysis.Universe.empty(len(self._atoms), trajectory=True)
                universe.load_new(str(path), format=_FORMATS.get(path.suffix.lower()))
                self._trajectory: Any = universe.trajectory
                self._count = len(self._trajectory)
            except Exception as error:  # its readers raise whatever they stumble over
                reason = " ".join(str(error or type(error).__name__).split())
                raise ValueError(
                    f"MDAnalysis cannot read {path} with the {len(self._atoms)} atoms of the topology: {reason}"
                ) from error

    def __len__(self) -> int:
        return self._count

    def read(self, index: int) -> Atoms:
        """A frame, in its cell where it has one."""
        atoms = self._atoms.copy()
        with self._lock:
            now = self._trajectory[index]
            atoms.positions = now.positions
            box = None if now.dimensions is None else np.array(now.dimensions, float)
            velocities = np.array(now.velocities, float) if now.has_velocities else None
        if box is not None and (box[:3] > 0).all():
            atoms.cell, atoms.pbc = Cell.fromcellpar(box), True
        if velocities is not None:
            atoms.set_velocities(velocities / (1000.0 * units.fs))
        return atoms

    def columns(self) -> dict[str, np.ndarray]:
        """Times in ps, where the file has them."""
        with self._lock, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            spacing = float(self._trajectory.dt)
            start = float(self._trajectory[0].time)
        return {"time_ps": start + spacing * np.arange(self._count)} if spacing > 0 else {}


def _mdanalysis(path: Path) -> Any:
    try:
        import MDAnalysis
    except ImportError:
        raise ImportError(
            f"reading {path} needs MDAnalysis; install it with: pip install 'so3lab[trajectories]'"
        ) from None
    return MDAnalysis


def _named_atoms(mdanalysis: Any, topology: str | os.PathLike | Atoms) -> Atoms:
    """Atoms with elements, without a cell, which frames bring along."""
    if isinstance(topology, Atoms):
        return Atoms(topology.numbers, np.zeros((len(topology), 3)))
    path = Path(topology).expanduser()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if path.suffix.lower() not in _TOPOLOGIES:
            known = read_structure(path)
            atoms = Atoms(known.numbers, np.zeros((len(known), 3)))
            for name in ("residuenames", "residuenumbers", "atomtypes"):
                if name in known.arrays:
                    atoms.set_array(name, known.arrays[name])
            return atoms
        if not path.is_file():
            raise FileNotFoundError(f"there is no file {path}")
        try:
            return _atoms_of(mdanalysis.Universe(str(path)))
        except Exception as error:
            reason = " ".join(str(error or type(error).__name__).split())
            raise ValueError(f"topology {path} does not say which elements its atoms are: {reason}") from error


def _atoms_of(universe: Any) -> Atoms:
    found = universe.atoms
    if not hasattr(found, "elements") or not all(found.elements):
        universe.guess_TopologyAttrs(to_guess=["elements"])
    atoms = Atoms([str(one).capitalize() for one in found.elements], np.zeros((len(found), 3)))
    atoms.set_array("residuenames", np.array([str(one) for one in found.resnames]))
    atoms.set_array("residuenumbers", np.array(found.resids, int))
    return atoms
