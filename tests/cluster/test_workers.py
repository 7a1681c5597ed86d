"""How many workers a word asks for, and what is no such word."""

import pytest

from so3lab.cluster import OwnProcesses, executor_at
from so3lab.machine.processes import usable_cores


@pytest.mark.parametrize(("word", "wanted"), [("local:4", 4), ("local:1", 1), ("local", None)])
def test_no_more_processes_than_asked_for_than_cores_and_than_runs(word, wanted):
    for runs in (1, 3, 10_000):
        with executor_at(word, runs) as make:
            assert make.func is OwnProcesses
            assert make.args == (min(runs, wanted or usable_cores()),)


@pytest.mark.parametrize("word", ["local:", "local:0", "local:-1", "local:two", "local:1.5"])
def test_what_is_no_number_of_processes_is_refused(word):
    with pytest.raises(ValueError, match=r"must be followed by a number of processes, as in local:4, got 'local:"):
        executor_at(word, 3).__enter__()
