"""How a list of runs gets done although workers die."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from dataclasses import dataclass, field

from so3lab.cluster.one_run import RunSpec, Summary, frames_in, simulate, summarise
from so3lab.machine.executors import CANNOT_MEND, LastingExecutor, Workers, worker_was_lost

SECONDS_BETWEEN_LOOKS = 0.2


@dataclass(eq=False)
class _Job:
    """A run on its way."""

    run: RunSpec
    executor: Executor | None = None
    future: Future | None = None
    started: float = field(default_factory=time.monotonic)
    running: bool = False
    losses: int = 0
    """Workers lost in a row without a new frame."""
    frames: int = 0


def run_all(
    executor: Workers,
    runs: Sequence[RunSpec],
    *,
    retries: int = 3,
    on_wait: Callable[[], None] | None = None,
) -> Iterator[Summary]:
    """Do independent runs on any executor; a run whose worker died goes on from its file on another worker.

    Nothing is lost beyond the frames since the last flush, about half a second, and the trajectory is bit by bit
    that of an undisturbed run on the same kind of processor. Runs that are complete are not run again, so the same
    call continues after a kill of everything. All workers must see the files of ``runs`` under the same paths. For
    files that several machines share, their file system must support locks (``flock``).

    Args:
        executor: Any executor whose workers have so3lab, such as ``client.get_executor()`` of Dask. A
            ``ProcessPoolExecutor`` that loses a worker is broken for good: give a function that makes one, such as
            :class:`~so3lab.cluster.OwnProcesses`, and it is called again. What that function makes is shut down here.
            Use processes that are spawned, not forked: JAX does not survive a fork.
        runs: What to do; each with an ``out`` of its own.
        retries: How many workers a run may lose in a row without a new frame; then it is given up.
        on_wait: Called a few times a second while nothing is finished.

    Yields:
        A summary of each run, in order of completion; failed runs have a sentence in ``failure`` and stop no other.
        When the generator is closed, what has not started is cancelled.

    Raises:
        ValueError: If two runs write the same file, or ``retries`` is negative.
    """
    if retries < 0:
        raise ValueError(f"retries must not be negative, got {retries}")
    by_file: dict[str, int] = {}
    for number, run in enumerate(runs):
        path = str(run.path.resolve())
        if path in by_file:
            raise ValueError(
                f"every run must write a file of its own, but runs {by_file[path]} and {number} write {run.path}"
            )
        by_file[path] = number
    return _supervise(executor, [_Job(run, frames=frames_in(run.path)) for run in runs], retries, on_wait)


def _supervise(
    executor: Workers,
    jobs: list[_Job],
    retries: int,
    on_wait: Callable[[], None] | None,
) -> Iterator[Summary]:
    executors = LastingExecutor(executor)
    to_submit, pending = list(jobs), list[_Job]()
    try:
        while to_submit or pending:
            for job in to_submit:
                try:
                    _submit(executors, job)
                    pending.append(job)
                except BrokenExecutor:
                    yield _given_up(job, _CANNOT_MEND)
            to_submit = []
            finished = _look(pending)
            if not finished and on_wait is not None:
                on_wait()
            for job in finished:
                pending.remove(job)
                error = _error_of(job)
                if error is None:
                    assert job.future is not None
                    yield job.future.result()._replace(run=job.run)  # the caller's own, not the copy sent
                elif not worker_was_lost(error):
                    yield _given_up(job, f"{type(error).__name__}: {error}")
                elif _count_loss(job, error, jobs) > retries:
                    yield _given_up(job, _too_many(job, error))
                else:
                    to_submit.append(job)
    finally:
        for job in pending:
            if job.future is not None:
                job.future.cancel()
        executors.close()


_CANNOT_MEND = (
    f"{CANNOT_MEND} (so3lab.cluster.OwnProcesses), or call run_all again with a new one: runs go on from their files"
)


def _submit(executors: LastingExecutor, job: _Job) -> None:
    job.future, job.executor = executors.submit(simulate, job.run)
    job.running, job.started = False, time.monotonic()


def _look(pending: list[_Job]) -> list[_Job]:
    """Jobs that are finished by now, or after a short wait; notes which ones run."""
    for job in pending:
        job.running = job.running or bool(job.future and job.future.running())
    futures = [job.future for job in pending if job.future is not None]
    done, _ = wait(futures, timeout=SECONDS_BETWEEN_LOOKS, return_when=FIRST_COMPLETED)
    return [job for job in pending if job.future in done]


def _error_of(job: _Job) -> BaseException | None:
    assert job.future is not None
    try:
        return job.future.exception()
    except CancelledError as error:
        return error


def _count_loss(job: _Job, error: BaseException, jobs: list[_Job]) -> int:
    """Losses in a row without a new frame, this one included.

    A process pool that breaks takes all its jobs with it; those that were still waiting are not to blame.
    """
    frames = frames_in(job.run.path)
    if frames > job.frames:
        job.frames, job.losses = frames, 0
    waited = isinstance(error, BrokenExecutor) and not job.running
    if not (waited and any(other.running for other in jobs if other.executor is job.executor)):
        job.losses += 1
    return job.losses


def _too_many(job: _Job, error: BaseException) -> str:
    times = f"{job.losses} times in a row" if job.losses > 1 else "once"
    return (
        f"given up: its worker died {times} without a new frame ({type(error).__name__}); is there enough memory for "
        "it? The worker's own messages say more. Run it again to go on from its file"
    )


def _given_up(job: _Job, why: str) -> Summary:
    return summarise(job.run, time.monotonic() - job.started, why)
