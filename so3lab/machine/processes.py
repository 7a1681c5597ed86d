"""How many cores may be used here, and worker processes on them that end when this process does."""

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

SPAWN = multiprocessing.get_context("spawn")
"""Workers begin anew and inherit no threads: JAX does not survive a fork."""


def usable_cores() -> int:
    """Cores that this process may use, which can be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class SpawnedProcesses(ProcessPoolExecutor):
    """Worker processes that are spawned, and end when this process dies.

    Args:
        number: How many; one for each core when None.
        begin: A function that every worker calls first; it must be picklable.
        arguments: Of ``begin``.

    Raises:
        ValueError: If ``number`` is not positive.
    """

    def __init__(self, number: int | None = None, begin: Callable[..., object] | None = None, *arguments: Any):
        if number is not None and number < 1:
            raise ValueError(f"the number of processes must be positive, or None for one per core, got {number}")
        super().__init__(number, SPAWN, initializer=_begin_worker, initargs=(begin, arguments))


def _begin_worker(begin: Callable[..., object] | None, arguments: tuple[Any, ...]) -> None:
    """The first thing that a worker does."""
    if begin is not None:
        begin(*arguments)
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)  # a killed parent cannot tell it to

    threading.Thread(target=follow, daemon=True).start()
