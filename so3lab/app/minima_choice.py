"""Which minima of a database a command is about: its file, a window of energy, and when two are the same."""

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from so3lab import units
from so3lab.app import minima_search
from so3lab.app.console import Console

if TYPE_CHECKING:
    from so3lab.minima import DuplicateRule, MinimaDatabase, Minimum


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Arguments that say which minima."""
    parser.add_argument("file", metavar="FILE", help="a database of minima (.db file or URL)")
    parser.add_argument(
        "--window-kcal-mol",
        type=float,
        dest="window_kcal_mol",
        metavar="E",
        help="only minima so little above the lowest (default: all)",
    )
    minima_search.add_rule(parser, *["as searched"] * 3)


def gathered(options: argparse.Namespace) -> "list[Minimum]":
    """All minima of the database, the lowest first."""
    from so3lab.minima import MinimaDatabase, gather

    require_file(options.file)
    database = MinimaDatabase(options.file)
    return gather(database, rule_of(options, database))


def rule_of(options: argparse.Namespace, database: "MinimaDatabase") -> "DuplicateRule | None":
    """The rule that the options describe, and where they say nothing the searches; None when options say nothing."""
    given = minima_search.rule_arguments(options)
    if not given:
        return None
    from so3lab.minima import DuplicateRule
    from so3lab.minima.gathering import common_rule

    searches = database.searches()
    if len(given) == len(dataclasses.fields(DuplicateRule)) or not searches:
        return DuplicateRule(**given)
    return dataclasses.replace(common_rule(database, searches), **given)


def within(minima: "list[Minimum]", options: argparse.Namespace) -> "list[Minimum]":
    """Those within the window."""
    window = options.window_kcal_mol
    if window is None or not minima:
        return minima
    if not window >= 0:
        raise ValueError(f"--window-kcal-mol must not be negative, got {window}")
    return [one for one in minima if one.energy - minima[0].energy <= window * units.kcal_per_mol]


def require_file(name: str) -> None:
    """Refuse a database that is not there, instead of making an empty one.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    if "://" not in name and not Path(name).is_file():
        raise FileNotFoundError(f"there is no database {name}; so3lab minima search ... --out {name} makes one")


def add_novelty(rows: list[dict[str, Any]], minima: "list[Minimum]", training: str, console: Console) -> None:
    """How far each minimum is from a training set, as more columns."""
    from so3lab import datasets
    from so3lab.landscape import TrainingConformations
    from so3lab.landscape.novelty import REACH_PERCENT

    known = TrainingConformations(datasets.load(training, check=False), minima[0].atoms)
    novelty = known.novelty([one.atoms for one in minima])
    column = {"°": "from_training_deg", "Å": "from_training_A"}[known.unit]
    for row, distance, ratio, beyond in zip(rows, novelty.distances, novelty.ratios, novelty.beyond, strict=True):
        row |= {column: float(distance), "novelty": float(ratio), "beyond_training": bool(beyond)}
    reach = f"{known.reach:.3g} {known.unit}"
    console.line(
        f"{int(novelty.beyond.sum())} of {len(minima)} are beyond the training data, {len(known.frames)} frames of "
        f"this compound in {training}: by {known.what}, farther from the nearest frame than {reach}, "
        f"within which {REACH_PERCENT:.0f} % of the frames have one of another trajectory"
    )
