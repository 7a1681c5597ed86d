"""``so3lab data``: which reference sets there are, fetching them, and what is in a file."""

import argparse

from so3lab.app.console import Console
from so3lab.app.info import run_info
from so3lab.app.inputs import add_data_arguments


def add_commands(commands, common: argparse.ArgumentParser) -> None:
    """Add the group of commands to the parser."""
    group = commands.add_parser(
        "data",
        help="reference data; what was understood of any file",
        description="Reference data, and what was understood of any file.",
    )
    inner = group.add_subparsers(
        dest="data_command", required=True, metavar="list|fetch|info", help="each has its own --help"
    )
    parser = inner.add_parser(
        "list",
        parents=[common],
        help="sets that so3lab knows by name",
        description="Sets that so3lab knows by name: bundled ones, and public ones that it can fetch.",
    )
    parser.set_defaults(run=run_list)
    parser = inner.add_parser(
        "fetch",
        parents=[common],
        help="download a public set",
        description="Download a public set, check it and keep it.",
        examples=["so3lab data fetch rmd17-aspirin"],
    )
    parser.add_argument("name", metavar="NAME", help="of 'so3lab data list'")
    parser.set_defaults(run=run_fetch)
    parser = inner.add_parser(
        "info",
        parents=[common],
        help="what was understood of a set, a structure or a trajectory",
        description="What was understood of a data set, a structure, a SMILES or a trajectory.",
        examples=[
            "so3lab data info frames.extxyz",
            "so3lab data info mine.npz --energy-unit kcal/mol --keys forces=minus_grad",
            "so3lab data info smiles:CC(=O)[O-]",
            "so3lab data info run.h5",
        ],
    )
    add_data_arguments(parser)
    parser.set_defaults(run=run_info)


def run_list(options: argparse.Namespace, console: Console) -> int:
    """Print the catalogue."""
    from so3lab import datasets

    table = datasets.catalogue()
    shown = table.drop(columns=["citation", "licence"])
    shown["level_of_theory"] = shown["level_of_theory"].str.partition(",")[0]
    console.table(shown, "reference data")
    console.line("so3lab data fetch NAME downloads a set, with its licence and citation")
    console.result({"sets": table})
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
