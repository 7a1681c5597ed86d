"""``so3lab md --replicas``: the same simulation several times, on worker processes or a cluster."""

import argparse
import time
from collections.abc import Sequence

import pandas as pd

from so3lab.app.console import Console, Interrupted
from so3lab.cluster import Run, Summary, executor_at, run_on
from so3lab.cluster.one_run import frames_in
from so3lab.structures import read_structure

SECONDS_BETWEEN_LOOKS = 2.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments that ask for several simulations."""
    parser.add_argument(
        "--replicas", type=int, metavar="N",
        help="run N simulations with seeds SEED, SEED+1, ...; OUT is then a folder of replica_0000.h5, ...",
    )  # fmt: skip
    parser.add_argument(
        "--temperatures-K", type=float, nargs="+", metavar="T", dest="temperatures_K",
        help="a temperature for each replica, instead of --temperature-K",
    )  # fmt: skip
    parser.add_argument(
        "--cluster", metavar="ADDRESS",
        help="where replicas run: a Dask scheduler (tcp://host:8786 or its JSON file), which needs "
        'pip install "so3lab[cluster]" and files that all workers see under the same paths; or local, for one process '
        "per core here (local:4 for four). A replica whose worker dies goes on from its file on another",
    )  # fmt: skip


def asked_for(options: argparse.Namespace) -> bool:
    """Whether the arguments ask for several simulations."""
    return any(value is not None for value in (options.replicas, options.temperatures_K, options.cluster))


def run(options: argparse.Namespace, console: Console) -> int:
    """Run all replicas; exit status 1 when one of them failed."""
    if options.cluster is None:
        raise ValueError(
            "--replicas and --temperatures-K need --cluster: an address, or local for processes here"
        )
    runs = _runs(options, _temperatures(options))
    _check_folder(options, runs)
    done: list[Summary] = []
    try:
        with executor_at(options.cluster, len(runs)) as executor, console.progress("simulating") as line:
            options.out.mkdir(parents=True, exist_ok=True)
            progress = _Progress(runs, line)
            progress.show()
            for summary in run_on(executor, runs, on_wait=progress.show_now_and_then):
                done.append(summary)
                progress.show()
                if summary.failure:
                    console.warn(f"{summary.run.path.name}: {summary.failure}")
    except KeyboardInterrupt:
        remark = "" if options.cluster.startswith("local") else "; what a worker has begun, it ends"
        raise Interrupted(
            f"interrupted with {len(done)} of {len(runs)} replicas done{remark}; the same command with --resume goes on"
        ) from None
    table = _table(runs, done)
    console.table(table)
    console.result({"folder": str(options.out), "replicas": table})
    return int(any(summary.failure for summary in done))


def _temperatures(options: argparse.Namespace) -> list[float]:
    """One for each replica."""
    temperatures, replicas = options.temperatures_K, options.replicas
    if replicas is not None and replicas < 1:
        raise ValueError(f"--replicas must be positive, got {replicas}")
    if temperatures is None:
        return [options.temperature_K] * (replicas or 1)
    if replicas not in (None, len(temperatures)):
        raise ValueError(
            f"--temperatures-K must give one temperature for each of the {replicas} replicas, got {len(temperatures)}"
        )
    return temperatures


def _runs(options: argparse.Namespace, temperatures_K: Sequence[float]) -> list[Run]:
    atoms = read_structure(options.structure)
    if options.no_cell:
        atoms.pbc, atoms.cell = False, None
    return [
        Run(
            options.model, atoms, options.out / f"replica_{number:04d}.h5", options.steps, options.ensemble,
            temperature_K, options.timestep_fs, options.friction_per_ps, options.interval, options.seed + number,
            options.dtype,
        )
        for number, temperature_K in enumerate(temperatures_K)
    ]  # fmt: skip


def _check_folder(options: argparse.Namespace, runs: list[Run]) -> None:
    """Refuse to touch what is there, unless ``--resume`` was given."""
    if options.out.exists() and not options.out.is_dir():
        raise FileExistsError(f"--out must be a folder for replicas, but {options.out} is a file")
    there = [run.path for run in runs if run.path.exists()]
    if there and not options.resume:
        raise FileExistsError(f"{there[0]} exists; go on with --resume, or choose another folder")


class _Progress:
    """How far all replicas are, as their files tell."""

    def __init__(self, runs: list[Run], line):
        self._runs, self._line = runs, line
        self._next_look = 0.0

    def show_now_and_then(self) -> None:
        if time.monotonic() >= self._next_look:
            self.show()

    def show(self) -> None:
        wanted = [run.last_step // run.interval + 1 for run in self._runs]
        present = [frames_in(run.path) for run in self._runs]
        share = sum(min(1.0, have / want) for have, want in zip(present, wanted, strict=True)) / len(wanted)
        complete = sum(have >= want for have, want in zip(present, wanted, strict=True))
        self._line.update(share, f"{complete} of {len(wanted)} replicas complete")
        self._next_look = time.monotonic() + SECONDS_BETWEEN_LOOKS


def _table(runs: list[Run], done: list[Summary]) -> pd.DataFrame:
    order = {run: number for number, run in enumerate(runs)}
    rows = [
        {
            "replica": summary.run.path.name, "seed": summary.run.seed, "T (K)": summary.run.temperature_K,
            "mean T (K)": summary.mean_temperature_K, "frames": summary.frames, "steps": summary.step,
            "seconds": summary.seconds, "result": summary.failure or "complete",
        }
        for summary in sorted(done, key=lambda summary: order[summary.run])
    ]  # fmt: skip
    return pd.DataFrame(rows)
