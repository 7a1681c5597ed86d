"""Where does a structure come from: a file, a bundled molecule by its name, or a SMILES string."""

from pathlib import Path

import ase
import ase.io

from so3lab.machine import paths
from so3lab.structures.smiles import from_smiles

SMILES_PREFIX = "smiles:"
"""What begins a text that :func:`read_structure` takes for a SMILES string."""


def read_structure(source: str) -> ase.Atoms:
    """A structure from any file that ASE reads (its last frame), a bundled one by name, or ``smiles:`` and a SMILES.

    Args:
        source: Such as ``"run.xyz"``, ``"ethanol"`` or ``"smiles:CCO"``; a file goes before a bundled name.

    Raises:
        FileNotFoundError: If there is neither such a file nor such a name.
        ValueError: If the file holds no readable structure, or the SMILES describes none.
    """
    if source.startswith(SMILES_PREFIX):
        return from_smiles(source.removeprefix(SMILES_PREFIX))
    path = Path(source)
    bundled = paths.bundled("data") / f"{source}.xyz"
    if not path.is_file() and bundled.is_file():
        path = bundled
    if not path.is_file():
        names = sorted(file.stem for file in paths.bundled("data").glob("*.xyz"))
        raise FileNotFoundError(
            f"STRUCTURE must be a file, a bundled structure ({', '.join(names)}) or a SMILES such as "
            f"{SMILES_PREFIX}CCO, got {source!r}"
        )
    try:
        atoms = ase.io.read(path)
    except Exception as error:  # ASE's readers raise whatever they stumble over
        raise ValueError(f"ASE cannot read {path}: {error or type(error).__name__}; is it complete?") from error
    assert isinstance(atoms, ase.Atoms)
    if not len(atoms):
        raise ValueError(f"{path} holds no atoms")
    return atoms
