"""How many independent simulations run on many processes or machines, and survive the death of any worker."""

from so3lab.cluster.many_runs import run_on
from so3lab.cluster.one_run import Run, Summary, simulate
from so3lab.cluster.workers import OwnProcesses, connect, executor_at

__all__ = ["OwnProcesses", "Run", "Summary", "connect", "executor_at", "run_on", "simulate"]
