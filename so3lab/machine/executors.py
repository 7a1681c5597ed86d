"""How work gets done on any executor although its workers die."""

import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from typing import Any, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")
Workers = Executor | Callable[[], Executor]
"""An executor, or a function that makes one whenever the last has broken."""

CANNOT_MEND = "a worker of the executor died, and that broke the executor; give a function that makes one instead"


class LastingExecutor:
    """An executor, made anew when it breaks and we know how.

    Args:
        given: An executor, used as it is and left open; or a function that makes one, which is shut down here.
    """

    def __init__(self, given: Workers):
        self._make = None if isinstance(given, Executor) else given
        self._present = given if isinstance(given, Executor) else given()

    def submit(self, function: Callable[..., Any], *arguments: Any) -> tuple[Future, Executor]:
        """Hand work in; returns its future, and who has it.

        Raises:
            BrokenExecutor: If the executor is broken and was given as it is.
        """
        try:
            return self._present.submit(function, *arguments), self._present
        except BrokenExecutor:
            if self._make is None:
                raise
            self._present.shutdown()
            self._present = self._make()
            return self._present.submit(function, *arguments), self._present

    def close(self) -> None:
        """Shut down what was made here."""
        if self._make is not None:
            self._present.shutdown()


def worker_was_lost(error: BaseException) -> bool:
    """Whether an error says that the worker died, in the words of the standard library or of Dask."""
    if isinstance(error, BrokenExecutor | CancelledError):
        return True
    distributed = sys.modules.get("distributed")
    return distributed is not None and isinstance(error, distributed.KilledWorker | distributed.comm.CommClosedError)


def results_in_order(
    executor: LastingExecutor, function: Callable[[Job], Result], jobs: Sequence[Job], *, retries: int = 3
) -> Iterator[Result]:
    """What a function makes of each job, in their order; what a lost worker had is done again by another.

    Args:
        executor: Where the work is done.
        function: Of a module, so that it can be sent. Its own errors are raised here.
        jobs: Its arguments.
        retries: How often in all a job may lose its worker.

    Raises:
        RuntimeError: If a job has lost its worker more often, or the executor broke and cannot be made again.
    """
    losses = [0] * len(jobs)
    done: dict[int, Result] = {}
    running: dict[Future, int] = {}
    to_submit, following = list(range(len(jobs))), 0
    try:
        while to_submit or running:
            running |= {_submitted(executor, function, jobs[number]): number for number in to_submit}
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            to_submit = []
            for future in finished:
                number = running.pop(future)
                error = _error_of(future)
                if error is None:
                    done[number] = future.result()
                elif not worker_was_lost(error):
                    raise error
                else:
                    losses[number] += 1
                    if losses[number] > retries:
                        raise RuntimeError(
                            f"given up: work lost its worker {losses[number]} times ({type(error).__name__}); is there "
                            "enough memory for it? The worker's own messages say more"
                        ) from error
                    to_submit.append(number)
            while following in done:
                yield done.pop(following)
                following += 1
    finally:
        for future in running:
            future.cancel()


def _submitted(executor: LastingExecutor, function: Callable[[Job], Result], job: Job) -> Future:
    try:
        return executor.submit(function, job)[0]
    except BrokenExecutor as error:
        raise RuntimeError(CANNOT_MEND) from error


def _error_of(future: Future) -> BaseException | None:
    try:
        return future.exception()
    except CancelledError as error:
        return error
