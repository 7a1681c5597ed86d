"""``so3lab relax``: structures to minima, many at once."""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from so3lab.app.console import Console, Interrupted
from so3lab.app.inputs import add_model_argument
from so3lab.app.md_values import with_held_atoms
from so3lab.app.tables import add_unit_argument
from so3lab.doctor.prepare import prepare_process

if TYPE_CHECKING:
    from ase import Atoms

    from so3lab.minimize import Held, Relaxed
    from so3lab.potential import Potential

ROWS_SHOWN = 30
"""Structures that the table lists; of more, those that did not converge as they should."""


def add_commands(commands, common: argparse.ArgumentParser) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "relax",
        parents=[common],
        help="relax structures to minima, many at once",
        description="Relax every structure until its largest force and the energy still to be gained are small. "
        "Molecules are relaxed in internal coordinates, clusters and cells in Cartesian ones.",
        examples=[
            "so3lab relax ethanol ethanol",
            "so3lab relax so3lr frames.extxyz smiles:CCO --out relaxed.extxyz",
            "so3lab relax MODEL crystal.cif --cell --pressure-GPa 1 --out relaxed.cif",
            "so3lab relax MODEL ala2 --keep 4,6,8,14=180 --out rotated.xyz",
        ],
    )
    add_model_argument(parser)
    parser.add_argument(
        "structures",
        metavar="STRUCTURES",
        nargs="+",
        help="files (all frames, molecules or models of XYZ, SDF, PDB and similar files, trajectories and databases, "
        "the last structure of others, FILE:0 the first), bundled names (ethanol), or smiles: and a SMILES "
        "(smiles:CCO)",
    )
    parser.add_argument("--fmax", type=float, default=0.01, metavar="F", help="largest force, eV/Å")
    parser.add_argument("--gain-meV", type=float, default=0.03, metavar="E", help="energy still to be gained, meV")
    parser.add_argument("--max-steps", type=int, default=500, metavar="N", help="evaluations for each")
    parser.add_argument(
        "--method", default="auto", choices=["auto", "internal", "cartesian", "fire"], help="coordinates"
    )
    parser.add_argument("--hold", metavar="ATOMS", help="atoms that stay where they are: heavy, or 0:10,12")
    parser.add_argument(
        "--keep",
        metavar="COORDINATE",
        action="append",
        default=[],
        help="a distance, angle or dihedral that keeps its value, such as 1,2,3,4, or gets one: 1,2,3,4=180",
    )
    parser.add_argument("--cell", action="store_true", help="relax the vectors of cells, too")
    parser.add_argument("--pressure-GPa", type=float, default=0.0, metavar="P", help="at which cells are relaxed")
    parser.add_argument(
        "--confirm", action="store_true", help="by the Hessian of each; saddles and shoulders go on downhill"
    )
    parser.add_argument(
        "--charge", type=float, metavar="E", help="total charge of each in e (default: what the file says)"
    )
    parser.add_argument("--multiplicity", type=int, metavar="M", help="2S + 1 of each (default: what the file says)")
    parser.add_argument(
        "--batch", type=int, metavar="N", help="structures at once (default: what the machine computes well)"
    )
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64"], help="precision")
    add_unit_argument(parser)
    parser.add_argument("--out", type=Path, metavar="FILE", help="relaxed structures, such as relaxed.extxyz")
    parser.add_argument("--overwrite", action="store_true", help="replace FILE if it exists")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, console: Console) -> int:
    """Relax with progress, write, and say of each structure how it ended."""
    import so3lab
    from so3lab.minimize import minimize
    from so3lab.structures.writing import check_structures_file

    _check(options)
    hold = [_held(text) for text in options.keep]
    named = [one for source in options.structures for one in _read(source, options, console)]
    structures = [atoms for _, atoms in named]
    if options.out is not None:
        check_structures_file(options.out, structures, overwrite=options.overwrite)
    prepare_process()
    potential = so3lab.load(options.model, options.dtype)
    for name, atoms in named:
        _check_structure(name, atoms, potential, options.cell, hold)
    found: list[Relaxed] = []
    results = minimize(
        potential, structures, max_force=options.fmax, max_gain_meV=options.gain_meV,
        max_steps=options.max_steps, method=options.method, hold=hold, cell=options.cell,
        pressure_GPa=options.pressure_GPa, confirm=options.confirm, batch=options.batch,
    )  # fmt: skip
    try:
        with console.progress("relaxing") as progress:
            progress.update(0.0, "compiling")
            for one in results:
                found.append(one)
                progress.update(len(found) / len(structures), f"{len(found)} of {len(structures)}")
    except KeyboardInterrupt:
        _write(options.out, found)
        where = f"; the relaxed ones are in {options.out}" if options.out is not None and found else ""
        raise Interrupted(f"interrupted after {len(found)} of {len(structures)} structures{where}") from None
    _write(options.out, found)
    _tell(options, console, sorted(found, key=lambda one: one.number))
    return 0 if all(one.converged for one in found) else 1


def _check(options: argparse.Namespace) -> None:
    """Numbers, by the names that they have on the command line."""
    for name, value in (("--fmax", options.fmax), ("--gain-meV", options.gain_meV)):
        if not 0 < value < float("inf"):
            raise ValueError(f"{name} must be positive, got {value:g}")
    for name, count in (("--max-steps", options.max_steps), ("--batch", options.batch)):
        if count is not None and count < 1:
            raise ValueError(f"{name} must be at least 1, got {count}")
    if not options.cell and options.pressure_GPa != 0:
        raise ValueError(
            f"--pressure-GPa acts on cells that are relaxed; add --cell, or leave out {options.pressure_GPa}"
        )
    if options.cell and (options.method == "internal" or options.keep or options.confirm):
        raise ValueError("--cell relaxes in Cartesian coordinates, without --keep and --confirm; leave them out")


def _check_structure(name: str, atoms: "Atoms", potential: "Potential", cell: bool, hold: "Sequence[Held]") -> None:
    """Refuse one that cannot be relaxed, by the name of its source, before any is."""
    try:
        potential.check_structure(atoms)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if cell and not atoms.pbc.all():
        raise ValueError(
            f"{name}: --cell needs a structure that is periodic in all directions, got {atoms.pbc.tolist()}"
        )
    for one in hold:
        if max(one.atoms) >= len(atoms):
            raise ValueError(
                f"{name}: --keep must name atoms below {len(atoms)}, which are counted from 0, got "
                f"{','.join(map(str, one.atoms))}"
            )


def _read(source: str, options: argparse.Namespace, console: Console) -> "Iterator[tuple[str, Atoms]]":
    """All structures of a source with their names, as one reading them understands them; what was decided on the way is
    said once."""
    from so3lab.structures.reading import understand

    said: set[str] = set()
    frames = _frames(source)
    for number, (atoms, notes) in enumerate(frames):
        name = source if len(frames) == 1 else f"{source}:{number}"
        one = understand(atoms, charge=options.charge, multiplicity=options.multiplicity, name=name)
        for note in {*notes, *one.notes} - said:
            console.warn(f"{source}: {note}")
            said.add(note)
        yield name, one.atoms if options.hold is None else with_held_atoms(one.atoms, options.hold)


def _frames(source: str) -> "Sequence[tuple[Atoms | str, Sequence[str]]]":
    """Frames of a file that has several, with what its reader decided; anything else as it is."""
    from so3lab.structures.reading import OF_SEVERAL, read_contents

    path = Path(source).expanduser()
    several = path.suffix.lower() in (*OF_SEVERAL, ".h5", ".h5md", ".hdf5", ".traj", ".db", ".json")
    if not (several and path.is_file()):
        return [(source, ())]
    return [(content.atoms, content.notes) for content in read_contents(path)]


def _held(text: str) -> "Held":
    from so3lab.minimize import Held

    names, equals, value = text.partition("=")
    try:
        return Held(tuple(int(name) for name in names.split(",")), float(value) if equals else None)
    except ValueError as error:
        raise ValueError(
            "--keep must name two, three or four atoms, and may give them a value in Å or degrees, such as 0,1 or "
            f"1,2,3,4=180, got {text!r} ({error})"
        ) from None


def _write(out: Path | None, found: "list[Relaxed]") -> None:
    """The structures in the order in which they came, with what there is to say of them in ``info``."""
    from so3lab.structures.writing import write_structures

    if out is None or not found:
        return
    frames = []
    for one in sorted(found, key=lambda one: one.number):
        atoms = one.atoms.copy()
        atoms.calc = one.atoms.calc
        atoms.info |= {"number": one.number, "relaxation": one.why, "gain_meV": one.gain_meV}
        frames.append(atoms)
    write_structures(out, frames)


def _tell(options: argparse.Namespace, console: Console, found: "list[Relaxed]") -> None:
    import pandas as pd

    lowest = min((one.energy for one in found if one.converged), default=float("nan"))
    table = pd.DataFrame(
        {
            "number": [one.number for one in found],
            "formula": [one.atoms.get_chemical_formula() for one in found],
            "energy_eV": [f"{one.energy:.4f}" for one in found],
            "above_lowest_meV": [1e3 * (one.energy - lowest) for one in found],
            "largest_force_eV_A": [one.max_force for one in found],
            "gain_meV": [one.gain_meV for one in found],
            "evaluations": [one.evaluations for one in found],
            "result": [one.sentence for one in found],
        }
    )
    shown = table if len(table) <= ROWS_SHOWN else table[[one.why != "converged" for one in found]].head(ROWS_SHOWN)
    if len({tuple(one.atoms.numbers) for one in found}) > 1:
        shown = shown.drop(columns="above_lowest_meV")
    if len(shown):
        console.table(shown, f"{options.model} on {len(found)} structure{'s' * (len(found) > 1)}")
    minima, evaluations = sum(one.why == "converged" for one in found), sum(one.evaluations for one in found)
    written = "" if options.out is None else f"; written: {options.out}"
    console.line(f"{minima} of {len(found)} converged, {evaluations / len(found):.1f} evaluations each{written}")
    rows = [
        {
            "number": one.number, "formula": one.atoms.get_chemical_formula(), "energy_eV": one.energy,
            "max_force_eV_per_A": one.max_force, "gain_meV": one.gain_meV, "evaluations": one.evaluations,
            "method": one.method, "why": one.why, "sentence": one.sentence,
        }
        for one in found
    ]  # fmt: skip
    console.result({"out": options.out and str(options.out), "converged": minima, "structures": rows})
