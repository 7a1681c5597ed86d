"""Memory that a process gave back and wants again is not cleared by the system each time."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

FAULTS = """
import resource, sys
import numpy as np
from so3lab.machine.memory import keep_memory
if sys.argv[1] == "keep":
    assert keep_memory()
if sys.argv[1] == "notebook":
    import ipykernel, so3lab_widgets
def touch():
    return np.empty(100_000_000, np.uint8).fill(1)
touch(); touch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    touch()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="the C library must be glibc")
def test_kept_memory_is_not_faulted_in_again():
    environment = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    environment["NUMPY_MADVISE_HUGEPAGE"] = "0"
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("not glibc")
    faults = {
        mode: int(
            subprocess.run(
                [sys.executable, "-c", FAULTS, mode],
                capture_output=True,
                text=True,
                check=True,
                env=environment,
                cwd=ROOT,
            ).stdout
        )
        for mode in ("keep", "notebook", "not")
    }
    assert faults["keep"] < 100
    assert faults["notebook"] < 100
    assert faults["not"] > 50_000
