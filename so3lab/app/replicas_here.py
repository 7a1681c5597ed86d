"""``so3lab md --replicas`` without a cluster: all replicas in one batch, with exchange of temperatures if wanted."""

import argparse
from typing import Any

import numpy as np

from so3lab.app.console import Console, Interrupted
from so3lab.app.md_arguments import check_timestep_of
from so3lab.app.md_results import SpeedMeter, replica_of, summary_of, tell_replicas, with_cli_options
from so3lab.cluster import RunSpec
from so3lab.cluster.one_run import frames_in, is_resumable, provenance
from so3lab.doctor.prepare import prepare_process
from so3lab.trajectory import Trajectory


def run(options: argparse.Namespace, runs: list[RunSpec], console: Console) -> int:
    """Run all replicas at once; exit status 1 when one of them blew up."""
    batch = {"replicas": len(runs), "exchange_every": options.exchange_every}
    resume = options.resume and _is_resumable(runs, batch)
    prepare_process()
    check_timestep_of(runs[0], console)
    from so3lab.dynamics.replica_exchange import ReplicaExchange
    from so3lab.dynamics.replicas import SimulationError

    exchange = ReplicaExchange([run.temperature_K for run in runs], options.seed) if options.exchange_every else None
    chunks, meter = _simulation(options, runs, batch, exchange, resume), SpeedMeter(console)
    all_failed = None
    try:
        with console.progress("simulating") as progress:
            progress.update(0.0, "compiling")
            for of_all in chunks:
                alive = [chunk for chunk in of_all if len(chunk)]
                if not alive:
                    continue
                meter.update(max(int(chunk.step[-1]) for chunk in alive))
                kelvin = np.mean([chunk.temperature.mean() for chunk in alive])
                note = f"{alive[0].time_fs[-1] / 1000:.2f} ps  {kelvin:.0f} K  {len(alive)} of {len(runs)} replicas"
                progress.update(min(1.0, meter.step / options.steps), note)
    except KeyboardInterrupt:
        chunks.close()
        raise Interrupted(f"interrupted at step {meter.step}; the same command with --resume goes on") from None
    except SimulationError as error:
        if not runs[0].path.exists():  # nothing has begun
            raise
        all_failed = str(error)
    failures = {number: str(with_cli_options(all_failed)) for number in range(len(runs)) if all_failed}
    return _tell(options, runs, failures | _failures(runs), exchange, meter, console)


def _simulation(options: argparse.Namespace, runs: list[RunSpec], batch: dict, exchange, resume: bool):
    import so3lab
    from so3lab import dynamics

    potential = so3lab.load(options.model, options.dtype)
    control = runs[0].knobs()
    control.temperature_K = [run.temperature_K for run in runs]
    return dynamics.run_replicas(
        potential, [run.atoms() for run in runs], steps=options.steps, ensemble=options.ensemble, control=control,
        interval=options.interval, seeds=[run.seed for run in runs], exchange_every=options.exchange_every,
        exchange=exchange, limits=runs[0].limits, out=options.out, resume=resume,
        meta=provenance(runs[0], potential, batch) | {"structure": options.structure},
    )  # fmt: skip


def _is_resumable(runs: list[RunSpec], batch: dict[str, Any]) -> bool:
    """Whether there is a batch to go on with; what a kill left at its very beginning is removed."""
    there = [is_resumable(run, batch) for run in runs]
    if there[0] and not all(there):
        missing = runs[there.index(False)].path
        raise FileNotFoundError(f"{missing} is missing, without which the batch cannot go on; put it back")
    if not there[0]:
        left = [run.path for run, is_there in zip(runs, there, strict=True) if is_there]
        for path in left:
            if frames_in(path) > 1:
                raise FileNotFoundError(
                    f"{runs[0].path} is missing, which holds the state of all replicas; put it back, or choose "
                    "another folder"
                )
        for path in left:
            path.unlink()
    return there[0]


def _tell(
    options: argparse.Namespace,
    runs: list[RunSpec],
    failures: dict[int, str],
    exchange,
    meter: SpeedMeter,
    console: Console,
) -> int:
    for number, failure in failures.items():
        console.warn(f"{runs[number].path.name}: {failure}")
    rows = [
        {**replica_of(run), **summary_of(run.path), "result": failures.get(number, "complete")}
        for number, run in enumerate(runs)
    ]
    table, speed = tell_replicas(console, rows), meter.ns_per_day(options.timestep_fs)
    result: dict[str, Any] = {
        "folder": str(options.out),
        "first_frame_s": meter.first_frame_s,
        "replicas": table,
        **speed,
    }
    if exchange is not None:
        result["exchange"] = exchange.report()
        console.table(result["exchange"], "replica exchange")
    if speed:
        each = speed["ns_per_day"]
        result["ns_per_day_total"] = each * len(runs)
        console.line(f"{each:.1f} ns/day for each replica, {each * len(runs):.1f} ns/day in total")
    console.result(result)
    return int(bool(failures))


def _failures(runs: list[RunSpec]) -> dict[int, str]:
    """Why replicas blew up, as the state in the first file tells; the last one of all it does not know."""
    from so3lab.dynamics.limits import Limits, failure_message
    from so3lab.dynamics.restart import with_present_names

    with Trajectory(runs[0].path) as trajectory:
        state = trajectory.restart_state()
    if state is None:
        return {}
    state = with_present_names(state)
    stops = np.cumsum([len(run.atoms()) for run in runs])
    last_good = {
        name: np.split(np.asarray(state[name], float), stops[:-1]) for name in ("positions", "velocities", "forces")
    }
    return {
        int(number): str(
            with_cli_options(
                failure_message(
                    int(state["stop_flags"][number]),
                    int(state["last_good_step"][number]) + 1,
                    runs[number].atoms(),
                    limits=runs[number].limits or Limits(),
                    timestep_fs=runs[number].timestep_fs,
                    cell=state["cells"][number] if "virial" in state else None,
                    **{name: of_all[number] for name, of_all in last_good.items()},
                )
            )
        )
        for number in np.flatnonzero(state["stop_flags"])
    }
