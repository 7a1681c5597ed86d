"""``so3lab md --replicas --cluster``: the same simulation several times, on worker processes or a cluster."""

import argparse
import time
from typing import Any

from so3lab.app.console import Console, Interrupted
from so3lab.app.md_results import replica_of, summary_of, tell_replicas, with_cli_options
from so3lab.cluster import RunSpec, Summary, executor_at, run_all
from so3lab.cluster.one_run import frames_in

SECONDS_BETWEEN_LOOKS = 2.0


def run(options: argparse.Namespace, runs: list[RunSpec], console: Console) -> int:
    """Run all replicas; exit status 1 when one of them failed."""
    done: list[Summary] = []
    try:
        with executor_at(options.cluster, len(runs)) as executor, console.progress("simulating") as line:
            options.out.mkdir(parents=True, exist_ok=True)
            progress = _Progress(runs, line)
            progress.show()
            for summary in run_all(executor, runs, on_wait=progress.show_now_and_then):
                done.append(summary)
                progress.show()
                if summary.failure:
                    console.warn(f"{summary.run.path.name}: {with_cli_options(summary.failure)}")
    except KeyboardInterrupt:
        remark = "" if options.cluster.startswith("local") else "; what a worker has begun, it ends"
        raise Interrupted(
            f"interrupted with {len(done)} of {len(runs)} replicas done{remark}; the same command with --resume goes on"
        ) from None
    table = tell_replicas(console, _rows(runs, done))
    console.result({"folder": str(options.out), "replicas": table})
    return int(any(summary.failure for summary in done))


class _Progress:
    """How far all replicas are, as their files tell."""

    def __init__(self, runs: list[RunSpec], line):
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


def _rows(runs: list[RunSpec], done: list[Summary]) -> list[dict[str, Any]]:
    order = {run: number for number, run in enumerate(runs)}
    return [
        {
            **replica_of(summary.run),
            **summary_of(summary.run.path),
            "seconds": summary.seconds,
            "result": with_cli_options(summary.failure) or "complete",
        }
        for summary in sorted(done, key=lambda summary: order[summary.run])
    ]
