"""What commands are given: a model, a structure with its charge and spin, data with their units and names."""

import argparse
import warnings
from typing import TYPE_CHECKING

from so3lab.app.console import Console

if TYPE_CHECKING:
    from ase import Atoms

    from so3lab.datasets import Dataset


def add_model_argument(parser: argparse.ArgumentParser) -> None:
    """The argument that says which model."""
    parser.add_argument("model", metavar="MODEL", help="a model file, the name of a bundled model, or so3lr")


def add_structure_arguments(parser: argparse.ArgumentParser, words: str = "") -> None:
    """Arguments that say which structure, and what its file may not say."""
    parser.add_argument(
        "structure",
        metavar="STRUCTURE",
        help=f"{words}any file that ASE reads (FILE:0 is the first of several structures, FILE the last), a bundled "
        "name (ethanol), or smiles: and a SMILES (smiles:CCO)",
    )
    parser.add_argument(
        "--charge", type=float, metavar="E", help="total charge in e (default: what the file says, else 0)"
    )
    parser.add_argument(
        "--multiplicity", type=int, metavar="M", help="2S + 1: 1 for a closed shell (default: what the file says)"
    )
    parser.add_argument("--no-cell", action="store_true", help="a molecule, whatever cell its file gives it")


def load_structure(options: argparse.Namespace, console: Console) -> "Atoms":
    """The structure that the arguments of :func:`add_structure_arguments` name; what was decided on the way is said."""
    from so3lab.structures.reading import understand

    cell, charge, multiplicity = not options.no_cell, options.charge, options.multiplicity
    found = understand(options.structure, charge=charge, multiplicity=multiplicity, cell=cell)
    console.say(f"{found.source}: {found.summary()}")
    for note in found.notes:
        console.warn(f"{found.source}: {note}")
    return found.atoms


def add_data_arguments(parser: argparse.ArgumentParser, unless: str = "") -> None:
    """Arguments that say which data and in which units; when they need not be given, where that is so."""
    words = "a file (extxyz, npz, ASE db, ...) or a name from 'so3lab data list'"
    words += f"; {unless}" if unless else ""
    parser.add_argument("data", metavar="DATA", nargs="?" if unless else None, help=words)
    group = parser.add_argument_group("how the data are read")
    group.add_argument(
        "--energy-unit",
        metavar="UNIT",
        help="of energies: eV, kcal/mol, kJ/mol, hartree, meV (default: what the file or its format says)",
    )
    group.add_argument(
        "--length-unit", metavar="UNIT", help="angstrom or bohr (default: what the file or its format says)"
    )
    group.add_argument(
        "--keys",
        metavar="WHAT=NAME,...",
        help="names that a file uses: energies=my_energy,forces=my_forces (default: the usual names)",
    )
    group.add_argument("--no-checks", action="store_true", help="take structures and labels as they are")


def load_data(options: argparse.Namespace, console: Console) -> "Dataset":
    """The dataset that the arguments of :func:`add_data_arguments` name; what was decided on the way is said."""
    from so3lab import datasets

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", datasets.LabelWarning)  # said below
        data = datasets.load(
            options.data,
            energy_unit=options.energy_unit,
            length_unit=options.length_unit,
            keys=names_of(options.keys),
            check=not options.no_checks,
        )
    for quantity in ("energies", "forces"):
        if name := data.meta.get(f"{quantity}_read_from"):
            console.say(f"{data.name}: {quantity} are read from {name if ' ' in name else repr(name)}")
    if "labels_left_out" in data.meta:
        console.warn(f"{data.name}: left out {data.meta['labels_left_out']}")
    if "cells" in data.meta:
        console.warn(f"{data.name}: {data.meta['cells']}")
    for remark in data.remarks or ():
        console.warn(f"{data.name}: {remark}")
    for sentence in data.untold:
        console.say(f"{data.name}: {sentence}")
    return data


def names_of(text: str | None) -> dict[str, str] | None:
    """What ``--keys energies=REF_energy,forces=REF_forces`` says, as the library wants it.

    Raises:
        ValueError: If the text is not of this form.
    """
    if text is None:
        return None
    names = {}
    for part in text.split(","):
        quantity, equals, name = (word.strip() for word in part.partition("="))
        if not (quantity and equals and name):
            raise ValueError(f"--keys must be like energies=REF_energy,forces=REF_forces, got {text!r}")
        if quantity in names:
            raise ValueError(f"--keys must name {quantity} once, got {text!r}")
        names[quantity] = name
    return names
