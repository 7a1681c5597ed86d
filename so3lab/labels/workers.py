"""Who computes many structures with an ASE calculator: this process, several of this machine, or any executor.

Each worker makes its calculator once, so that a method may start from its last density.
"""

import os
import pickle
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, as_completed
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

import numpy as np
from ase.calculators.calculator import CalculatorError

from so3lab.machine.processes import SpawnedProcesses, usable_cores

FAILURES = (CalculatorError, RuntimeError, ArithmeticError, np.linalg.LinAlgError)
"""What a calculator raises at a structure that it cannot compute, while it may well compute others."""

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_local = threading.local()
Job = TypeVar("Job")
Result = TypeVar("Result")


def results(
    compute: Callable[[Job, bytes], Result],
    jobs: Sequence[Job],
    factory: Callable[[], Any],
    *,
    processes: int | None = 1,
    executor: Executor | None = None,
) -> Iterator[Result]:
    """Results in order of completion; unfinished work is cancelled when the caller stops.

    Args:
        compute: What is done with a job; it gets its calculator as :func:`calculator_of` its second argument. A
            function of a module, so that it can be sent.
        jobs: Structures with what belongs to them.
        factory: Makes the calculator; picklable.
        processes: Worker processes, each with one thread; 1 computes in the calling process, None takes one for each
            core.
        executor: Takes the work instead of ``processes``.

    Raises:
        ValueError: If ``processes`` is not positive.
    """
    processes = usable_cores() if processes is None else processes
    if processes < 1:
        raise ValueError(f"processes must be at least 1, or None for one per core, got {processes}")
    sent = pickle.dumps(factory)
    if executor is None and processes == 1:
        _local.factory = None  # start afresh: results must not depend on an earlier call
        yield from (compute(job, sent) for job in jobs)
        return
    with ExitStack() as stack:
        if executor is None:
            executor = stack.enter_context(SpawnedProcesses(min(processes, len(jobs))))
        with _one_thread_each():  # workers start while jobs are handed in
            futures = [executor.submit(compute, job, sent) for job in jobs]
        for future in futures:
            stack.callback(future.cancel)
        for future in as_completed(futures):
            yield future.result()


def calculator_of(sent: bytes) -> Any:
    """The calculator of this thread, made once."""
    if getattr(_local, "factory", None) != sent:
        _local.calculator = pickle.loads(sent)()
        _local.factory = sent
    return _local.calculator


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Environment in which new processes use one thread; the caller's own is put back."""
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
