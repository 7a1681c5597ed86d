"""``so3lab data``: which reference sets there are, fetching them, and what is in a file."""

import argparse

from so3lab.app.console import Console
from so3lab.app.info import run_info
from so3lab.app.inputs import add_data_arguments


def add_commands(commands, common: argparse.ArgumentParser) -> None:
    """Add the group of commands to the parser."""
    group = commands.add_parser("data", help="reference data: list, fetch, info")
    inner = group.add_subparsers(dest="data_command", required=True, metavar="list|fetch|info")
    parser = inner.add_parser("list", parents=[common], help="sets that so3lab knows by name")
    parser.set_defaults(run=run_list)
    parser = inner.add_parser("fetch", parents=[common], help="download a public set")
    parser.add_argument("name", metavar="NAME")
    parser.set_defaults(run=run_fetch)
    parser = inner.add_parser(
        "info", parents=[common], help="what was understood of a set, a structure or a trajectory"
    )
    add_data_arguments(parser)
    parser.set_defaults(run=run_info)


def run_list(options: argparse.Namespace, console: Console) -> int:
    """Print the catalogue."""
    from so3lab import datasets

    table = datasets.catalogue()
    shown = [name for name in table.columns if name not in ("citation", "licence")]
    console.table(table.reset_index() if table.index.name else table[shown], "reference data")
    console.result({"sets": table.reset_index() if table.index.name else table})
    return 0


def run_fetch(options: argparse.Namespace, console: Console) -> int:
    """Download with progress."""
    from so3lab import datasets

    with console.progress(options.name) as progress:

        def tell(done: int, total: int | None) -> None:
            progress.update(done / total if total else 0.0, f"{done / 1e6:.1f} MB")

        path = datasets.fetch(options.name, progress=tell)
    table = datasets.catalogue().reset_index()
    row = table[table["name"] == options.name].iloc[0]
    console.line(f"{path}\nlicence: {row['licence']}\nplease cite: {row['citation']}")
    console.result({"path": str(path), "licence": row["licence"], "citation": row["citation"]})
    return 0
