"""How commands find what they are given: structures by file or bundled name, data with their units."""

import argparse
from pathlib import Path

import ase
import ase.io

from so3lab import resources


def prepare_machine() -> None:
    """Before anything is computed: refuse a JAX that computes wrong numbers, keep compiled programs and memory."""
    from so3lab.compilation import enable_compilation_cache
    from so3lab.doctor import require_sound_compiler
    from so3lab.memory import keep_memory

    keep_memory()
    enable_compilation_cache()
    require_sound_compiler()


def read_structure(name_or_file: str) -> ase.Atoms:
    """A structure from any file that ASE reads (its last frame), or a bundled start structure by name.

    Raises:
        FileNotFoundError: If there is neither.
        ValueError: If the file holds no readable structure.
    """
    path = Path(name_or_file)
    bundled = resources.bundled("data") / f"{name_or_file}.xyz"
    if not path.is_file() and bundled.is_file():
        path = bundled
    if not path.is_file():
        names = sorted(file.stem for file in resources.bundled("data").glob("*.xyz"))
        raise FileNotFoundError(
            f"STRUCTURE must be a file or a bundled structure ({', '.join(names)}), got {name_or_file!r}"
        )
    try:
        atoms = ase.io.read(path)
    except Exception as error:  # ASE's readers raise whatever they stumble over
        raise ValueError(
            f"ASE cannot read {path}: {error or type(error).__name__}; is it complete?"
        ) from error
    assert isinstance(atoms, ase.Atoms)
    if not len(atoms):
        raise ValueError(f"{path} holds no atoms")
    return atoms


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments that say which data and in which units."""
    parser.add_argument(
        "data", metavar="DATA", help="a file (extxyz, npz, ASE db, ...) or a name from 'so3lab data list'"
    )
    parser.add_argument(
        "--energy-unit", help="unit of energies in a file that does not say: eV, kcal/mol, ..."
    )
    parser.add_argument("--length-unit", help="unit of lengths in a file that does not say: angstrom, bohr")


def load_data(options: argparse.Namespace):
    """The dataset that the arguments of :func:`add_data_arguments` name."""
    from so3lab import datasets

    return datasets.load(options.data, energy_unit=options.energy_unit, length_unit=options.length_unit)
