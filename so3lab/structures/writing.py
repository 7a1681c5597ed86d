"""Structures to files of any format that ASE writes, which is known before anything is computed for them."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import ase
import ase.io

from so3lab.machine.files import check_writable


def check_structures_file(path: Path, structures: Sequence[ase.Atoms], *, overwrite: bool = False) -> None:
    """Refuse a file to which such structures cannot be written, before work is done for it.

    They are written to a file of the same name in a folder of their own, which is removed.

    Args:
        path: The file; its ending says the format.
        structures: Those that will be written, before or after whatever happens to them.
        overwrite: Whether there may be such a file already.

    Raises:
        FileExistsError: If there is such a file.
        ValueError: If ASE writes no such format, or not with these structures in it.
        FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError: As
            :func:`so3lab.machine.files.check_writable` says.
    """
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; add --overwrite to replace it")
    check_writable(path)
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / path.name
        try:
            ase.io.write(trial, structures)
            _require_same_atoms(trial, structures)
        except Exception as error:  # ASE's writers raise whatever they stumble over
            number = f"{len(structures)} structures" if len(structures) > 1 else "such a structure"
            raise ValueError(
                f"the name of a file must say a format in which ASE writes {number}, got {path} "
                f"({type(error).__name__}: {error}); choose one that ends in .extxyz"
            ) from error


def _require_same_atoms(path: Path, structures: Sequence[ase.Atoms]) -> None:
    """Refuse a file that keeps only the atoms of the first of several molecules, as ASE's PDB files do."""
    written = [len(atoms) for atoms in structures]
    if len(set(written)) == 1:
        return
    try:
        frames = ase.io.read(path, index=":")
    except Exception:  # ASE reads fewer formats than it writes
        return
    kept = [len(atoms) for atoms in frames]
    if kept != written:
        raise ValueError("in this format all must have the same atoms")


def write_structures(path: Path, structures: Sequence[ase.Atoms]) -> None:
    """Write structures; where that fails after all, keep them in another file.

    Raises:
        OSError: If they could not be written to ``path``; the sentence says where they are.
    """
    try:
        ase.io.write(path, structures)
    except Exception as error:  # a full disk, a folder that is gone, numbers that a format has no room for
        kept = Path(tempfile.mkdtemp(prefix="so3lab-")) / f"{path.stem}.extxyz"
        ase.io.write(kept, structures)
        raise OSError(f"{path} could not be written ({error}); the structures are in {kept}") from error
