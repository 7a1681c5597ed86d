"""``so3lab minima search``: find the minima of a compound, and tell what was found on the way."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from so3lab import units
from so3lab.app import minima_spread
from so3lab.app.console import Console
from so3lab.app.inputs import add_model_argument, add_structure_arguments, load_structure
from so3lab.app.minima_stream import budget_share, follow
from so3lab.counting import counted
from so3lab.doctor.prepare import prepare_process
from so3lab.minima.connecting import check_name, without_password
from so3lab.minima.proposals.names import NAMES

if TYPE_CHECKING:
    from ase import Atoms

    from so3lab.engine.energy_model import EnergyModel
    from so3lab.machine.executors import Workers
    from so3lab.minima import Search
    from so3lab.potential import Potential

LENNARD_JONES = "lj"
"""The model, and with a colon and a number of atoms the structure, of Lennard-Jones clusters."""
SMILES = "smiles:"
SATURATION, SATURATION_BESIDE_MINIMA = 0.95, 0.99
"""Where a search without a budget ends, and one that is to find more minima than there may be."""


def add_command(inner: Any, common: argparse.ArgumentParser) -> None:
    """Add the command to its group."""
    parser = inner.add_parser(
        "search",
        parents=[common],
        help="find minima and keep them in a database",
        description="Search for minima until a budget is used up; without one, until about 95 % of the minima are "
        "estimated to have been found. The same command with --resume goes on where it was, after a kill, too. MODEL "
        "lj with STRUCTURE lj:13 is a Lennard-Jones cluster in reduced units.",
        examples=[
            "so3lab minima search lj lj:13 --minima 100 --out lj13.db",
            "so3lab minima search so3lr smiles:CC(O)CN --minutes 10 --out minima.db",
        ],
    )
    add_model_argument(parser)
    add_structure_arguments(parser)
    parser.add_argument(
        "--out", required=True, metavar="FILE", help="database of minima: a .db file, or a URL that ase.db takes"
    )
    parser.add_argument("--minutes", type=float, metavar="T", help="budget of time")
    parser.add_argument("--minima", type=int, metavar="N", help="budget of minima, found in all")
    parser.add_argument(
        "--saturation",
        type=float,
        metavar="SHARE",
        help="share of the minima estimated to have been found (default: 0.95 without another budget, 0.99 with "
        "--minima alone)",
    )
    parser.add_argument("--resume", action="store_true", help="go on with the same search, if OUT holds it")
    parser.add_argument("--seed", type=int, default=0, help="the same seed finds the same minima")
    minima_spread.add_arguments(parser)
    parser.add_argument(
        "--proposals",
        nargs="+",
        choices=NAMES,
        default=[],
        metavar="WHERE",
        help=f"where to look: {', '.join(NAMES)} (default: what suits the structure)",
    )
    parser.add_argument(
        "--given", nargs="+", metavar="FILE", default=[], help="more structures of the compound, all frames of files"
    )
    parser.add_argument(
        "--fmax", type=float, metavar="F", help="largest force of a minimum, eV/Å (default: 0.01; 1e-4 for lj)"
    )
    parser.add_argument("--dtype", choices=["float32", "float64"], help="precision (default: float32; float64 for lj)")
    add_rule(parser, "2.17, which is 0.05 kcal/mol", "0.125", "merged")
    parser.set_defaults(run=run)


def add_rule(parser: argparse.ArgumentParser, energy: str, rmsd: str, mirror_images: str) -> None:
    """Arguments that say when two minima are the same, with their defaults in words."""
    group = parser.add_argument_group("when two minima are the same")
    group.add_argument(
        "--max-difference-meV",
        type=float,
        dest="max_difference_meV",
        metavar="E",
        help=f"of their energies (default: {energy})",
    )
    group.add_argument(
        "--max-rmsd",
        type=float,
        metavar="A",
        help=f"Å, of all atoms, whatever the numbers of equivalent ones (default: {rmsd})",
    )
    group.add_argument(
        "--mirror-images",
        choices=["merged", "kept"],
        help=f"whether mirror images are one minimum (default: {mirror_images})",
    )


def rule_arguments(options: argparse.Namespace) -> dict[str, Any]:
    """What :func:`add_rule` was told, by the names of the rule."""
    difference = options.max_difference_meV
    given = {
        "max_energy_difference": None if difference is None else 1e-3 * difference,
        "max_rmsd": options.max_rmsd,
        "mirror_images": options.mirror_images,
    }
    return {name: value for name, value in given.items() if value is not None}


def run(options: argparse.Namespace, console: Console) -> int:
    """Search with progress, then say what came out."""
    minima_spread.take_place(options)
    check_name(options.out)
    _check(options)
    prepare_process()
    with minima_spread.executor(options) as executor:
        return _run(options, console, _search(options, console, executor))


def _check(options: argparse.Namespace) -> None:
    """Refuse numbers that mean nothing before there is a database."""
    from so3lab.minima.search import check_budget

    if options.fmax is not None and not 0 < options.fmax < float("inf"):
        raise ValueError(f"--fmax must be positive, got {options.fmax:g}")
    check_budget(**{f"--{name}" if name != "saturation" else name: value for name, value in _budget(options).items()})


def _budget(options: argparse.Namespace) -> dict[str, Any]:
    """When to end, by the names that :meth:`so3lab.minima.Search.run` has for it."""
    budget = {name: getattr(options, name) for name in ("minutes", "minima", "saturation")}
    if options.minutes is None and options.saturation is None:
        budget["saturation"] = SATURATION if options.minima is None else SATURATION_BESIDE_MINIMA
    return budget


def _run(options: argparse.Namespace, console: Console, search: "Search") -> int:
    known = len(search.minima)
    budget = _budget(options)

    def share(minutes: float) -> float:
        return budget_share(budget, minutes=minutes, minima=len(search.minima), saturation=search.saturation)

    minutes = follow(
        console, "searching", search.run(**budget), share, lambda minutes: _note(search, known, minutes),
        lambda: f"interrupted with {counted(len(search.minima), 'minimum')} in {without_password(options.out)}; the "
        "same command with --resume goes on, and what was relaxed since is not relaxed again",
    )  # fmt: skip
    _tell(options, console, search, minutes, known)
    return 0


def _search(options: argparse.Namespace, console: Console, executor: "Workers | None") -> "Search":
    """The search that the options describe."""
    from so3lab.minima import DuplicateRule, Search

    model, atoms, smiles = _system(options, console)
    reduced = options.model == LENNARD_JONES
    return Search(
        model, atoms, proposals=options.proposals, smiles=smiles, given=_given(options.given, cell=not options.no_cell),
        rule=DuplicateRule(**rule_arguments(options)), out=options.out, resume=options.resume, seed=options.seed,
        max_force=options.fmax if options.fmax is not None else 1e-4 if reduced else 0.01,
        executor=executor, **({} if options.round_size is None else {"round_size": options.round_size}),
    )  # fmt: skip


def _system(options: argparse.Namespace, console: Console) -> "tuple[Potential | EnergyModel, Atoms, str | None]":
    """Model, structure, and SMILES where there is one."""
    cluster = options.structure.startswith(f"{LENNARD_JONES}:")
    if cluster != (options.model == LENNARD_JONES):
        raise ValueError(
            f"MODEL {LENNARD_JONES} goes with STRUCTURE {LENNARD_JONES}:N, such as lj lj:13; got {options.model} "
            f"{options.structure}"
        )
    if cluster:
        from so3lab.pretrained import lennard_jones, random_cluster

        size = options.structure.partition(":")[2]
        if not size.isdecimal():
            raise ValueError(f"STRUCTURE lj:N must say how many atoms, such as lj:13, got {options.structure!r}")
        return lennard_jones(options.dtype or "float64"), random_cluster(int(size), seed=options.seed), None
    import so3lab

    atoms = load_structure(options, console)
    smiles = options.structure.removeprefix(SMILES) if options.structure.startswith(SMILES) else None
    return so3lab.load(options.model, options.dtype or "float32"), atoms, smiles


def _given(files: Sequence[str], *, cell: bool) -> "list[Atoms]":
    """All frames of some files; as for the structure, an empty box is no cell, and a cell may be told not to be one."""
    from so3lab.structures.boxes import is_empty_box, without_box
    from so3lab.structures.reading import read_frames

    found: list[Atoms] = []
    for name in files:
        if not Path(name).is_file():
            raise FileNotFoundError(f"--given: there is no file {name}")
        frames = read_frames(Path(name))
        for number, atoms in enumerate(frames):
            atoms.calc = None
            if not cell:
                atoms.pbc, atoms.cell = False, None
            elif is_empty_box(atoms):
                atoms = without_box(atoms)
            elif atoms.pbc.any():
                raise ValueError(
                    f"--given {name}: frame {number} has a cell, and minima of cells are not told apart yet; take the "
                    "cell away if it is none (--no-cell)"
                )
            found.append(atoms)
    return found


def _note(search: "Search", known: int, minutes: float) -> str:
    rate = (len(search.minima) - known) / max(minutes, 1e-9)
    return f"{counted(len(search.minima), 'minimum')}, {rate:.0f} per minute, about {search.unseen:.0f} unseen"


def _tell(options: argparse.Namespace, console: Console, search: "Search", minutes: float, known: int) -> None:
    import pandas as pd

    console.table(pd.DataFrame(search.ledger.rows()), "proposals by origin, and what became of them")
    lowest = min((one.energy for one in search.minima), default=None)
    if lowest is not None:
        near = sum(one.energy - lowest <= 3 * units.kcal_per_mol for one in search.minima)
        within = "" if options.model == LENNARD_JONES else f", {near} within 3 kcal/mol"
        console.line(f"lowest: {lowest:.6f} {'ε' if options.model == LENNARD_JONES else 'eV'}{within}")
    out = without_password(options.out)
    console.line(f"{out}: {_note(search, known, minutes)}")
    if options.minima is not None and options.minutes is None and len(search.minima) < options.minima:
        console.line(
            f"ended below {counted(options.minima, 'minimum')}, since {search.saturation:.0%} of those that there are "
            "are estimated to have been found; a larger --saturation goes on"
        )
    console.result(
        {
            "out": out, "search": search.name, "minima": len(search.minima), "lowest_energy_eV": lowest,
            "proposals": search.ledger.proposals, "unseen": search.unseen, "saturation": search.saturation,
            "minutes": minutes, "ledger": search.ledger.rows(),
        }
    )  # fmt: skip
