"""How commands begin: a machine fit to compute on, and data with their units."""

import argparse


def prepare_machine(keep_programs: bool = True) -> None:
    """Before anything is computed: refuse a JAX that computes wrong numbers, keep compiled programs and memory."""
    from so3lab.machine.c_compiler import compile_ahead

    compile_ahead()
    from so3lab.doctor import require_sound_compiler
    from so3lab.machine.compilation import enable_compilation_cache
    from so3lab.machine.memory import keep_memory

    keep_memory()
    if keep_programs:
        enable_compilation_cache()
    require_sound_compiler()


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
