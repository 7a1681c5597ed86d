"""What commands are given: data with their units."""

import argparse


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
