"""Worker processes begin as told, and do not outlive the process that made them."""

import os
import subprocess
import sys
import time

import pytest

from so3lab.machine.processes import SpawnedProcesses, usable_cores


@pytest.mark.process
def test_cores_are_those_that_the_process_may_use():
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)
    if hasattr(os, "sched_setaffinity"):
        code = (
            "import os; from so3lab.machine.processes import usable_cores; "
            "os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); print(usable_cores())"
        )
        told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert told.stdout.strip() == "1"


def test_no_processes_are_refused():
    with pytest.raises(ValueError, match="the number of processes must be positive, or None for one per core, got 0"):
        SpawnedProcesses(0)


@pytest.mark.process
def test_each_worker_begins_as_told():
    with SpawnedProcesses(1, os.umask, 0o031) as workers:
        assert workers.submit(os.umask, 0).result() == 0o031
        assert workers.submit(os.getpid).result() != os.getpid()


ORPHANS = """
import os, time
from so3lab.machine.processes import SpawnedProcesses

if __name__ == "__main__":
    workers = SpawnedProcesses(1)
    print(workers.submit(os.getpid).result(), flush=True)
    workers.submit(time.sleep, 600)
    time.sleep(600)
"""


@pytest.mark.process
def test_workers_end_when_their_parent_is_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(ORPHANS)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as parent:
        worker = int(parent.stdout.readline())
        assert alive(worker)
        parent.kill()
        deadline = time.monotonic() + 120
        while alive(worker):
            assert time.monotonic() < deadline, "the worker outlives its parent"
            time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
