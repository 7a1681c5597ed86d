"""``so3lab bench-md``: what will this machine do for this molecule? Nothing is written."""

import argparse
import time

import pandas as pd

from so3lab.app.console import Console, Interrupted
from so3lab.app.inputs import load_structure
from so3lab.app.md_arguments import add_system_arguments
from so3lab.counting import counted
from so3lab.doctor.prepare import prepare_process

HOURS_PER_DAY = 24.0


def add_commands(commands, common: argparse.ArgumentParser) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "bench-md",
        parents=[common],
        help="how fast molecular dynamics will be here",
        description="Time one simulation and batches of 2, 4, 8, ... replicas of it, until more replicas do no more "
        "work per second, memory would get scarce, or the time is spent. Nothing is written.",
        examples=["so3lab bench-md ethanol ethanol", "so3lab bench-md so3lr smiles:CCO --seconds 30"],
    )
    add_system_arguments(parser)
    parser.add_argument(
        "--seconds",
        type=float,
        default=60.0,
        metavar="S",
        help="budget of time; the first row comes in any case",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, console: Console) -> int:
    """Print a row for each number of replicas, and what that means for a nanosecond."""
    atoms = load_structure(options, console)
    prepare_process(keep_programs=False)
    import so3lab
    from so3lab.dynamics import throughput

    potential = so3lab.load(options.model, options.dtype)
    rows: list[throughput.Throughput] = []
    began = time.monotonic()
    measuring = throughput.measure(
        potential,
        atoms,
        ensemble=options.ensemble,
        timestep_fs=options.timestep_fs,
        seconds=options.seconds,
        temperature_K=300.0 if options.temperature_K is None else options.temperature_K,
    )
    try:
        with console.progress("measuring") as progress:
            progress.update(0.0, "1 replica")
            for row in measuring:
                rows.append(row)
                spent = min(0.99, (time.monotonic() - began) / options.seconds)
                progress.update(
                    spent if row.end is None else 1.0,
                    f"{2 * row.replicas} replicas" if row.end is None else "",
                )
    except KeyboardInterrupt:
        if not rows:
            raise Interrupted("interrupted before the first row; give it the time to compile") from None
        console.warn("interrupted; what was measured so far:")
    _tell(console, throughput.device_name(), len(atoms), rows)
    return 0


def _tell(console: Console, device: str, atoms: int, rows: list) -> None:
    one, best = rows[0], max(rows, key=lambda row: row.total_ns_per_day)
    table = pd.DataFrame(rows).drop(columns=["end"])
    hours_alone, hours_together = (HOURS_PER_DAY / speed for speed in (one.ns_per_day, best.total_ns_per_day))
    console.line(
        f"{device}; {counted(atoms, 'atom')}; {one.start_s:.1f} s until the first energies, compilation included"
    )
    console.table(
        table.rename(
            columns={
                "start_s": "start (s)",
                "step_ms": "ms/step",
                "spread_ms": "spread (ms)",
                "ns_per_day": "ns/day each",
                "total_ns_per_day": "ns/day total",
                "atom_steps_per_s": "atom-steps/s",
                "memory_MB": "memory (MB)",
            }
        )
    )
    if rows[-1].end is not None:
        console.line(f"no more replicas: {rows[-1].end}")
    if best.replicas > 1:
        verdict = f"; {best.replicas} replicas are best, and together make 1 ns in {_duration(hours_together)}"
    elif len(rows) > 1:
        verdict = ", and more replicas do not make more of it"
    else:
        verdict = "; whether replicas would make more of it was not measured"
    console.line(f"1 ns takes {_duration(hours_alone)} in one simulation{verdict}")
    console.result(
        {
            "device": device,
            "atoms": atoms,
            "rows": table,
            "end": rows[-1].end,
            "best_replicas": best.replicas,
            "hours_per_ns": hours_alone,
            "hours_per_ns_together": hours_together,
        }
    )


def _duration(hours: float) -> str:
    """A time as people say it."""
    for unit, seconds in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if 3600.0 * hours >= 2 * seconds:
            return f"{3600.0 * hours / seconds:.1f} {unit}"
    return f"{3600.0 * hours:.0f} seconds"
