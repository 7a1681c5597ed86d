"""What commands are given: a model, a charge and a spin, data with their units."""

import argparse


def add_model_argument(parser: argparse.ArgumentParser) -> None:
    """The argument that says which model."""
    parser.add_argument("model", metavar="MODEL", help="a model file, the name of a bundled model, or so3lr")


def add_electron_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments that say how many electrons a structure has, and how many of them are unpaired."""
    parser.add_argument(
        "--charge", type=float, help="total charge in e (default: what the file says, and 0 without it)"
    )
    parser.add_argument("--multiplicity", type=int, help="2S + 1: 1 for a closed shell (default: what the file says)")


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments that say which data and in which units."""
    parser.add_argument(
        "data", metavar="DATA", help="a file (extxyz, npz, ASE db, ...) or a name from 'so3lab data list'"
    )
    parser.add_argument("--energy-unit", help="unit of energies in a file that does not say: eV, kcal/mol, ...")
    parser.add_argument("--length-unit", help="unit of lengths in a file that does not say: angstrom, bohr")


def load_data(options: argparse.Namespace):
    """The dataset that the arguments of :func:`add_data_arguments` name."""
    from so3lab import datasets

    return datasets.load(options.data, energy_unit=options.energy_unit, length_unit=options.length_unit)
