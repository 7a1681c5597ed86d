"""Where workers come from: processes of this machine, or a Dask cluster at an address."""

import functools
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from so3lab.cluster.one_run import stop_when
from so3lab.machine.processes import SPAWN, SpawnedProcesses, usable_cores

SECONDS_TO_CONNECT = 10.0
LOCAL = "local"


class OwnProcesses(SpawnedProcesses):
    """Worker processes of this machine, made to simulate.

    They are spawned, leave Ctrl-C to their parent, and end when it dies. ``shutdown`` asks running simulations to
    stop after their present chunk, with everything written; they go on when they are run again.

    Args:
        number: How many; one for each core when None.

    Raises:
        ValueError: If ``number`` is not positive.
    """

    def __init__(self, number: int | None = None):
        # Without a lock, for a worker that is killed would keep it.
        self._stop = SPAWN.RawValue("b", 0)
        super().__init__(number, _obey, self._stop)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._stop.value = 1
        super().shutdown(wait, cancel_futures=cancel_futures)


def connect(address: str, *, timeout_s: float = SECONDS_TO_CONNECT) -> Any:
    """A client of the Dask cluster at an address; ``client.get_executor()`` goes into :func:`run_all`.

    Args:
        address: Of the scheduler, such as ``tcp://host:8786``, or the JSON file that it wrote
            (``dask scheduler --scheduler-file``).
        timeout_s: How long to wait for an answer.

    Raises:
        ImportError: If Dask is not installed.
        ValueError: If ``address`` is no address.
        ConnectionError: If no scheduler answers there.
        FileNotFoundError: If there is no such JSON file.
    """
    try:
        from distributed import Client
    except ImportError:
        raise ImportError('a cluster needs Dask; install it with: pip install "so3lab[cluster]"') from None
    where: dict[str, str] = {"address": address}
    if address.endswith(".json"):
        if not Path(address).is_file():
            raise FileNotFoundError(f"there is no scheduler file {address}; dask scheduler --scheduler-file makes it")
        where = {"scheduler_file": address}
    elif not address.rpartition(":")[2].isdigit():
        raise ValueError(
            f"a cluster's address must look like tcp://host:8786, be a scheduler's JSON file, or {LOCAL} for "
            f"processes of this machine, got {address!r}"
        )
    try:
        return Client(**where, timeout=timeout_s, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConnectionError(
            f"no Dask scheduler answers at {address} ({str(error).splitlines()[0]}); start one with: "
            f"dask scheduler, and workers with: dask worker {address}"
        ) from None


@contextmanager
def executor_at(address: str, runs: int) -> Iterator[Executor | Callable[[], Executor]]:
    """What :func:`run_all` takes, for an address or a word that a person typed.

    Args:
        address: As :func:`connect` takes it; ``local`` or ``local:4`` for processes of this machine.
        runs: How many there are to do: more processes would idle.
    """
    if address == LOCAL or address.startswith(f"{LOCAL}:"):
        yield functools.partial(OwnProcesses, min(runs, _local_processes(address)))
        return
    with connect(address) as client:
        yield client.get_executor(pure=False)


def _local_processes(address: str) -> int:
    if address == LOCAL:
        return usable_cores()
    number = address.partition(":")[2]
    if not number.isdigit() or int(number) < 1:
        raise ValueError(f"local must be followed by a number of processes, as in local:4, got {address!r}")
    return int(number)


def _obey(stop: Any) -> None:
    """In a worker: leave Ctrl-C to the parent, and look at its word between chunks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stop_when(lambda: bool(stop.value))
