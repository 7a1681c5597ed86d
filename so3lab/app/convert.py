"""``so3lab convert``: a network of mlff or so3krates-torch as a model file of so3lab."""

import argparse
from pathlib import Path

from so3lab.app.console import Console


def add_commands(commands, common: argparse.ArgumentParser) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "convert",
        parents=[common],
        help="read a network of mlff (SO3LR) or so3krates-torch",
        description="Write a model file with the same numbers from an mlff checkpoint folder, a parameter file with "
        "hyperparameters.json beside it, or a model saved by so3krates-torch. Nothing in these files is executed.",
        examples=["so3lab convert checkpoint/ --energy-unit eV --out mine.so3.safetensors"],
    )
    parser.add_argument("path", metavar="PATH", type=Path, help="checkpoint folder, parameter file or model file")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="model file to write (default: PATH's name with .so3.safetensors)",
    )
    parser.add_argument(
        "--energy-unit",
        metavar="UNIT",
        help="energies of an mlff v0.3 network: eV, kcal/mol, ... (default: what other files say)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, console: Console) -> int:
    """Convert and save; never over an existing file."""
    from ase.data import chemical_symbols

    from so3lab.machine.files import check_writable
    from so3lab.potential.model_file import SUFFIX
    from so3lab.pretrained import convert

    name = options.path.expanduser().resolve().name.removesuffix(".pkl").removesuffix(".model")
    out = options.out or Path(f"{name}{SUFFIX}")
    if not out.name.endswith(SUFFIX):
        raise ValueError(f"--out must end in {SUFFIX}, got {out}")
    if out.exists():
        raise FileExistsError(f"{out} exists; choose another --out")
    check_writable(out)
    potential = convert(options.path, energy_unit=options.energy_unit)
    potential.save(out)
    elements = [chemical_symbols[z] for z in potential.elements]
    about = potential.metadata
    console.line(f"{out}: {about['source']}")
    console.line(f"elements: {', '.join(elements) or 'not known; any is accepted, but only trained ones make sense'}")
    if "citation" in about:
        console.line(f"licence: {about['licence']}\nplease cite: {about['citation']}")
    console.result({"model": out, "settings": potential.settings.to_dict(), "elements": elements, **about})
    return 0
