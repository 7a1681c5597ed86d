"""``so3lab minima check``: what a reference method makes of minima that a model has found."""

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from so3lab.app.console import Console, Interrupted
from so3lab.app.minima_choice import add_choice, gathered, within
from so3lab.counting import counted
from so3lab.machine.files import check_writable
from so3lab.minima.connecting import without_password

if TYPE_CHECKING:
    import pandas

    from so3lab.minima import Agreement, Minimum

SHORT = {
    "number": "minimum", "chosen": "chosen", "beyond_training": "beyond", "model_kcal_mol": "model",
    "there_kcal_mol": "there", "relaxed_kcal_mol": "relaxed", "force_eV_per_A": "force", "rmsd_A": "RMSD",
    "turn_degrees": "turn", "fate": "fate", "why": "why",
}  # fmt: skip
"""Columns that the table on the screen has, and what they are called there."""


def add_command(inner, common: argparse.ArgumentParser) -> None:
    """Add the command to its group."""
    parser = inner.add_parser(
        "check",
        parents=[common],
        help="compare minima with a reference method",
        description="Relax the lowest minima and some others with a reference method, and say how far energies and "
        "structures agree, which minima fall into one and which are lost. What has been computed is kept: the same "
        "command goes on after a kill, and with larger numbers computes what is new.",
        examples=[
            "so3lab minima check alanine.db --calculator gfn2 --lowest 20",
            "so3lab minima check alanine.db --calculator tblite.ase:TBLite --single-points",
        ],
    )
    add_choice(parser)
    parser.add_argument(
        "--calculator",
        required=True,
        metavar="METHOD",
        help="gfn2, pbe, a calculator of ASE by its name (emt), or a module and what makes one (tblite.ase:TBLite)",
    )
    parser.add_argument("--lowest", type=int, default=10, help="how many of the lowest minima (default: 10)")
    parser.add_argument("--random", type=int, default=10, help="how many of the others, at random (default: 10)")
    parser.add_argument("--seed", type=int, default=0, help="of that choice (default: 0)")
    parser.add_argument(
        "--training",
        metavar="SET",
        help="frames that the model has learnt from, a name or a file: minima beyond them are told apart",
    )
    parser.add_argument(
        "--beyond", type=int, default=5, help="how many of those, the farthest ones, are checked too (default: 5)"
    )
    parser.add_argument(
        "--single-points", action="store_true", help="energies at the minima of the model, without relaxing them"
    )
    parser.add_argument("--fmax", type=float, default=0.01, help="largest force of a relaxed one, eV/Å (default: 0.01)")
    parser.add_argument("--max-steps", type=int, default=300, help="evaluations for each (default: 300)")
    parser.add_argument("--processes", type=int, help="worker processes (default: one for each core)")
    parser.add_argument("--retry-failed", action="store_true", help="try those again at which the method failed")
    parser.add_argument(
        "--journal",
        metavar="FILE",
        type=Path,
        help="where what is computed is kept (default: beside the database, named after it and the method)",
    )
    parser.add_argument("--out", metavar="FILE", type=Path, help="the table as a .csv file (default: none)")
    parser.add_argument("--structures", metavar="FILE", type=Path, help="the relaxed structures, such as gfn2.extxyz")
    parser.add_argument("--overwrite", action="store_true", help="replace FILEs that exist")
    parser.set_defaults(run=run, unit="kcal/mol")


def run(options: argparse.Namespace, console: Console) -> int:
    """Compute with progress, then compare."""
    from so3lab.minima import ReferenceRelaxation, check_minima, choose, compare_with_reference, read_check

    _check_outputs(options)
    every = within(gathered(options), options)
    if not every:
        raise ValueError(f"{without_password(options.file)} holds no minima to be checked")
    beyond = None if options.training is None else _beyond(options, every)
    also = (beyond or [])[: options.beyond]
    chosen = choose(every, lowest=options.lowest, at_random=options.random, also=also, seed=options.seed)
    relaxation = None if options.single_points else ReferenceRelaxation(options.fmax, max_steps=options.max_steps)
    journal = options.journal or _journal(options)
    reports = check_minima(
        chosen, options.calculator, journal, relaxation=relaxation, processes=options.processes,
        retry_failed=options.retry_failed,
    )  # fmt: skip
    done = 0
    try:
        with console.progress(f"checking with {options.calculator}") as progress:
            for report in reports:
                done = report.done
                progress.update(done / report.total, f"{done} of {counted(report.total, 'minimum')}")
                if report.failure:
                    console.warn(f"minimum {report.number}: {report.failure}")
    except KeyboardInterrupt:
        reports.close()
        raise Interrupted(f"interrupted after {done} of {len(chosen)} minima; the same command goes on") from None
    found = compare_with_reference(chosen, read_check(chosen, journal), lowest=options.lowest, beyond=beyond)
    _write(options, found)
    _tell(options, console, found, journal)
    return 0


def _beyond(options: argparse.Namespace, minima: "list[Minimum]") -> list[int]:
    """Numbers of the minima beyond the training data, the farthest first."""
    from so3lab import datasets
    from so3lab.landscape import TrainingConformations

    if options.beyond < 0:
        raise ValueError(f"--beyond must not be negative, got {options.beyond}")
    known = TrainingConformations(datasets.load(options.training, check=False), minima[0].atoms)
    found = known.novelty([one.atoms for one in minima])
    return [minima[row].number for row in np.argsort(-found.ratios).tolist() if found.beyond[row]]


def _journal(options: argparse.Namespace) -> Path:
    """Named after the database and the method; in the present folder for a server's database."""
    name = Path("minima.db" if "://" in options.file else options.file)
    return name.with_suffix(f".{re.sub(r'[^A-Za-z0-9]+', '_', options.calculator)}.jsonl")


def _check_outputs(options: argparse.Namespace) -> None:
    if options.out is not None and options.out.suffix != ".csv":
        raise ValueError(f"--out must be a file whose name ends in .csv, got {options.out}")
    if options.structures is not None and options.single_points:
        raise ValueError("--structures are relaxed ones, and --single-points relaxes none; leave out one of them")
    for path in (options.out, options.structures):
        if path is not None:
            if path.exists() and not options.overwrite:
                raise FileExistsError(f"{path} exists; add --overwrite to replace it")
            check_writable(path)


def _write(options: argparse.Namespace, found: "Agreement") -> None:
    if options.out is not None:
        found.table.to_csv(options.out, index=False)
    if options.structures is not None:
        import ase.io

        for number, atoms in found.structures.items():
            atoms.info["number"] = number
        ase.io.write(options.structures, list(found.structures.values()))


def _tell(options: argparse.Namespace, console: Console, found: "Agreement", journal: Path) -> None:
    file = without_password(options.file)
    console.table(
        _short(found.table), f"{file} beside {options.calculator}: kcal/mol above the lowest, eV/Å, Å, degrees"
    )
    console.table(_turned(found.summary), "agreement, energies in kcal/mol with a common zero")
    console.line(f"kept in {journal}")
    console.result(
        {
            "file": file, "calculator": options.calculator, "journal": str(journal), "minima": found.table,
            "summary": found.summary,
        }
    )  # fmt: skip


def _short(table: "pandas.DataFrame") -> "pandas.DataFrame":
    """What fits on a screen, without columns that say nothing."""
    shown = table[[name for name in SHORT if name in table]].rename(columns=SHORT)
    return shown.dropna(axis="columns", how="all").round(2)


def _turned(summary: "pandas.DataFrame") -> "pandas.DataFrame":
    """A column for each group, without rows that say nothing."""
    groups = summary[summary["minima"] > 0].set_index("group").T.astype(float)
    told = groups[(groups.notna() & (groups != 0)).any(axis=1)]
    return told.rename_axis("").reset_index()
