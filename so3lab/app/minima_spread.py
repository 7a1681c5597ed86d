"""``so3lab minima search`` on many workers: one search that they share, or one of many in an array of jobs."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from so3lab.machine.executors import Workers


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments that say who works, and which place in an array this is."""
    group = parser.add_argument_group("many workers")
    group.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="relax on other processes: of a Dask scheduler (tcp://host:8786 or its JSON file), which needs "
        'pip install "so3lab[cluster]"; or local, for one process per core here (local:4 for four). The minima do not '
        "depend on how many there are, and a worker that dies costs nothing",
    )
    group.add_argument(
        "--round-size", type=int, help="proposals that are relaxed together (default: 32); workers take 8 at once"
    )
    group.add_argument(
        "--array",
        metavar="INDEX/COUNT",
        help="one search of an array of independent ones, INDEX from 0 to COUNT-1: its seed is SEED + INDEX, and it "
        "writes a file of its own, OUT with -INDEX before its ending, for so3lab minima merge",
    )


def take_place(options: argparse.Namespace) -> None:
    """Turn ``--array`` into the seed and the file of this search.

    Raises:
        ValueError: If it is not of the form INDEX/COUNT, or OUT is a server's, which needs no array of files.
    """
    if options.array is None:
        return
    index, slash, count = options.array.partition("/")
    if not (slash and index.isdecimal() and count.isdecimal() and int(index) < int(count)):
        raise ValueError(
            f"--array must be INDEX/COUNT with INDEX from 0 to COUNT-1, such as 3/16, got {options.array!r}; let the "
            "array of jobs begin with 0"
        )
    if "://" in options.out:
        raise ValueError("--array gives each search a file of its own; with a server, give each another --seed")
    path = Path(options.out)
    places = len(str(int(count) - 1))
    options.out = str(path.with_name(f"{path.stem}-{int(index):0{places}d}{path.suffix}"))
    options.seed += int(index)


@contextmanager
def executor(options: argparse.Namespace) -> "Iterator[Workers | None]":
    """Whom the address names; None without one."""
    if options.cluster is None:
        yield None
        return
    from so3lab.cluster import executor_at
    from so3lab.minima.search import ROUND
    from so3lab.minima.spreading import PIECE

    with executor_at(options.cluster, -(-(options.round_size or ROUND) // PIECE)) as found:
        yield found
