"""``so3lab md --replicas``: which simulations the arguments ask for, and who runs them."""

import argparse
from dataclasses import replace

from so3lab.app import replicas_here, replicas_on_cluster
from so3lab.app.console import Console
from so3lab.app.md_arguments import one_of, run_of
from so3lab.cluster import RunSpec
from so3lab.dynamics.ensembles import EXCHANGING
from so3lab.machine.files import check_folder
from so3lab.trajectory.names import replica_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments that ask for several simulations."""
    group = parser.add_argument_group("several simulations")
    group.add_argument(
        "--replicas",
        type=int,
        metavar="N",
        help="run N simulations with seeds SEED, SEED+1, ...; OUT is then a folder of replica_0000.h5, ... They run "
        "in one batch, which on small molecules is several times as fast as one after another",
    )
    group.add_argument(
        "--temperatures-K",
        type=float,
        nargs="+",
        metavar="T",
        dest="temperatures_K",
        help="a temperature for each replica, instead of --temperature-K; with --replicas N the lowest and the "
        "highest of N in geometric progression",
    )
    group.add_argument(
        "--exchange-every",
        type=int,
        metavar="STEPS",
        help="let replicas of neighbouring temperatures exchange them (replica exchange); a multiple of --interval",
    )
    group.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="run replicas apart instead of in a batch: on a Dask scheduler (tcp://host:8786 or its JSON file), which "
        'needs pip install "so3lab[cluster]" and files that all workers see under the same paths; or local, for one '
        "process per core here (local:4 for four). A replica whose worker dies goes on from its file on another",
    )


def asked_for(options: argparse.Namespace) -> bool:
    """Whether the arguments ask for several simulations."""
    wanted = (options.replicas, options.temperatures_K, options.cluster, options.exchange_every)
    return any(value is not None for value in wanted)


def run(options: argparse.Namespace, console: Console) -> int:
    """Run all replicas; exit status 1 when one of them failed."""
    temperatures_K = _temperatures(options)
    _check_exchange(options, temperatures_K)
    one = run_of(options, console)
    runs = [
        replace(
            one,
            out=replica_path(options.out, number),
            seed=options.seed + number,
            temperature_K=one.temperature_K if temperature_K is None else temperature_K,
        )
        for number, temperature_K in enumerate(temperatures_K)
    ]
    _check_folder(options, runs)
    if options.cluster is not None:
        return replicas_on_cluster.run(options, runs, console)
    return replicas_here.run(options, runs, console)


def _temperatures(options: argparse.Namespace) -> list[float] | list[None]:
    """One for each replica; None where it is that of a single simulation."""
    temperatures, replicas = options.temperatures_K, options.replicas
    if replicas is not None and replicas < 1:
        raise ValueError(f"--replicas must be positive, got {replicas}")
    if temperatures is None:
        return [None] * (replicas or 1)
    if options.temperature_K is not None:
        raise ValueError("--temperature-K and --temperatures-K cannot be given both; leave out one")
    if len(temperatures) == 2 and replicas is not None and replicas > 2:
        from so3lab.dynamics.replica_exchange import temperature_ladder

        if not 0 < temperatures[0] < temperatures[1]:
            raise ValueError(
                "--temperatures-K must be the lowest and the highest of a ladder, both positive, "
                f"got {temperatures[0]:g} {temperatures[1]:g}"
            )
        return temperature_ladder(temperatures[0], temperatures[1], replicas)
    if replicas not in (None, len(temperatures)):
        raise ValueError(
            "--temperatures-K must give the lowest and the highest temperature, or one temperature for each of the "
            f"{replicas} replicas, got {len(temperatures)}"
        )
    return temperatures


def _check_exchange(options: argparse.Namespace, temperatures_K: list[float] | list[None]) -> None:
    every = options.exchange_every
    if every is None:
        return
    if options.cluster is not None:
        raise ValueError(
            f"--exchange-every needs all replicas in one process; leave out --cluster, got --cluster {options.cluster}"
        )
    if every < 1 or options.interval < 1 or every % options.interval:
        raise ValueError(f"--exchange-every must be a multiple of --interval ({options.interval}), got {every}")
    if options.ensemble not in EXCHANGING:
        raise ValueError(f"--exchange-every needs --ensemble {one_of(EXCHANGING)}, got {options.ensemble}")
    if None in temperatures_K or len(set(temperatures_K)) < max(2, len(temperatures_K)):
        raise ValueError(
            "--exchange-every needs two or more different temperatures, such as --replicas 8 --temperatures-K 300 600; "
            f"got --temperatures-K {options.temperatures_K}"
        )


def _check_folder(options: argparse.Namespace, runs: list[RunSpec]) -> None:
    """Refuse to touch what is there, unless ``--resume`` was given."""
    if options.out.exists() and not options.out.is_dir():
        raise FileExistsError(f"--out must be a folder for replicas, but {options.out} is a file")
    check_folder(options.out)
    there = [run.path for run in runs if run.path.exists()]
    if there and not options.resume:
        raise FileExistsError(f"{there[0]} exists; go on with --resume, or choose another folder")
