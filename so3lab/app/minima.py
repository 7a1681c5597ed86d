"""``so3lab minima``: search for the minima of a compound and what lies between them; list, check, merge, export."""

import argparse
from pathlib import Path

from so3lab import units
from so3lab.app import minima_check, minima_landscape, minima_search
from so3lab.app.console import Console
from so3lab.app.minima_choice import add_choice, add_novelty, gathered, require_file, within
from so3lab.app.tables import add_unit_argument
from so3lab.counting import counted
from so3lab.minima.connecting import without_password

ROWS_SHOWN = 40
"""Minima that the table lists, the lowest."""


def add_commands(commands, common: argparse.ArgumentParser) -> None:
    """Add the group of commands to the parser."""
    group = commands.add_parser(
        "minima",
        help="minima of a compound: search, landscape, list, check, merge, export",
        description="Search for the minima of a compound and what lies between them; list, check, merge and export.",
    )
    inner = group.add_subparsers(
        dest="minima_command",
        required=True,
        metavar="search|landscape|list|check|merge|export",
        help="each has its own --help",
    )
    minima_search.add_command(inner, common)
    minima_landscape.add_command(inner, common)
    parser = inner.add_parser(
        "list",
        parents=[common],
        help="what has been found, the lowest first",
        description="Minima of all searches in a database, the lowest first. Rules for duplicates may be others than "
        "those of the search: they are applied to what is stored.",
        examples=["so3lab minima list alanine.db --window-kcal-mol 3", "so3lab minima list lj13.db"],
    )
    add_choice(parser)
    parser.add_argument(
        "--training", metavar="SET", help="frames that the model has learnt from, a name or a file: how far minima are "
        "from the nearest, and which lie beyond them all",
    )  # fmt: skip
    add_unit_argument(parser)
    parser.set_defaults(run=run_list)
    minima_check.add_command(inner, common)
    parser = inner.add_parser(
        "merge",
        parents=[common],
        help="searches of several databases in one",
        description="Copy searches from several databases, such as one for each job of an array, into one. A search "
        "that is there already is left as it is.",
        examples=["so3lab minima merge job1.db job2.db job3.db --out all.db"],
    )
    parser.add_argument("files", metavar="FILE", nargs="+", help="databases (.db files or URLs)")
    parser.add_argument(
        "--out", required=True, metavar="FILE", help="the database that they go to, which may have searches already"
    )
    parser.set_defaults(run=run_merge)
    parser = inner.add_parser(
        "export",
        parents=[common],
        help="structures as a file that other programs read",
        description="Write minima, the lowest first, to a file that other programs read.",
        examples=["so3lab minima export alanine.db minima.xyz --window-kcal-mol 3"],
    )
    add_choice(parser)
    parser.add_argument("out", metavar="OUT", type=Path, help="such as minima.xyz; its ending says the format")
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it exists")
    parser.set_defaults(run=run_export)


def run_list(options: argparse.Namespace, console: Console) -> int:
    """Print a table of minima."""
    import pandas as pd

    from so3lab.minima import unseen

    every = gathered(options)
    chosen = within(every, options)
    lowest = every[0].energy if every else 0.0
    rows = [
        {
            "number": one.number,
            "energy_eV": one.energy,
            "above_lowest_meV": 1e3 * (one.energy - lowest),
            "above_lowest_kcal_mol": (one.energy - lowest) / units.kcal_per_mol,
            "visits": one.visits,
            "origin": one.origin,
            "parent": one.parent,
            "mirror_image_of": one.mirror_image_of,
        }
        for one in chosen
    ]
    if options.training is not None and chosen:
        add_novelty(rows, chosen, options.training, console)
    left = unseen(one.visits for one in every)
    shown = [{name: value for name, value in row.items() if value is not None} for row in rows[:ROWS_SHOWN]]
    if shown:
        table = pd.DataFrame(shown)
        table["energy_eV"] = [f"{row['energy_eV']:.6f}" for row in shown]
        console.table(table, f"{without_password(options.file)}: {len(chosen)} of {counted(len(every), 'minimum')}")
    console.line(
        f"{counted(len(every), 'minimum')}, about {left:.0f} more {'is' if round(left) == 1 else 'are'} expected"
    )
    console.result({"file": without_password(options.file), "found": len(every), "unseen": left, "minima": rows})
    return 0


def run_merge(options: argparse.Namespace, console: Console) -> int:
    """Copy searches into one database."""
    from so3lab.landscape import LandscapeDatabase

    for name in options.files:
        require_file(name)
    merged = LandscapeDatabase(options.out)
    taken = {without_password(name): merged.take_from(LandscapeDatabase(name)) for name in options.files}
    for name, count in taken.items():
        console.line(f"{name}: {counted(count, 'minimum')}")
    total = len(merged.table())
    console.line(
        f"{merged.name}: {counted(total, 'minimum')} of {counted(len(merged.searches()), 'search')}, "
        "those that are the same included"
    )
    console.result({"out": merged.name, "taken": taken, "stored": total, "searches": merged.searches()})
    return 0


def run_export(options: argparse.Namespace, console: Console) -> int:
    """Write structures."""
    from so3lab.minima import frames
    from so3lab.structures.writing import check_structures_file, write_structures

    chosen = within(gathered(options), options)
    if not chosen:
        raise ValueError(f"{without_password(options.file)} holds no minima to be exported")
    structures = frames(chosen)
    check_structures_file(options.out, structures, overwrite=options.overwrite)
    write_structures(options.out, structures)
    console.line(f"{options.out}: {counted(len(chosen), 'minimum')}")
    console.result({"out": str(options.out), "minima": len(chosen)})
    return 0
