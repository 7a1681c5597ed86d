"""How fast a machine simulates: rows that make sense, within the time given."""

import json
import time

import pytest
from argon import ARGON
from ase import Atoms
from ase.build import molecule

from so3lab.app import main
from so3lab.dynamics import throughput
from so3lab.dynamics.replicas import SimulationError


@pytest.fixture(scope="module")
def rows():
    """A short measurement, and how long it took."""
    began, five = time.monotonic(), Atoms("Ar5", [[4.0 * k, 0.3 * k * k, 0] for k in range(5)])
    measured = list(throughput.measure(ARGON, five, temperature_K=10, seconds=40, most_replicas=4))
    return measured, time.monotonic() - began


def test_rows_are_consistent(rows):
    rows, took = rows
    assert [row.replicas for row in rows] == [1, 2, 4][: len(rows)]
    assert [row.end is None for row in rows] == [True] * (len(rows) - 1) + [False]
    memory = [row.memory_MB for row in rows]
    assert memory == sorted(memory)
    for row in rows:
        assert row.step_ms > 0
        assert row.spread_ms >= 0
        assert row.start_s > 0
        assert row.ns_per_day == pytest.approx(0.5e-6 * 86400e3 / row.step_ms)
        assert row.total_ns_per_day == pytest.approx(row.replicas * row.ns_per_day)
        assert row.atom_steps_per_s == pytest.approx(5 * row.replicas / (1e-3 * row.step_ms))
    assert took < 10 * 40  # the last row may have begun just before the end, on a busy machine


def test_without_time_there_is_one_row(potential64):
    (row,) = throughput.measure(potential64, molecule("CH4"), seconds=1e-3)
    assert row.end == "2 would take longer than the 0.001 s given"


def test_it_ends_where_memory_or_throughput_do(potential64, monkeypatch):
    monkeypatch.setattr(throughput, "_timed", lambda potential, structures, *rest: (0.1, [0.1, 0.1]))
    rows = list(throughput.measure(potential64, molecule("CH4"), seconds=100, most_replicas=16))
    assert [row.replicas for row in rows] == [1, 2, 4, 8, 16]
    assert rows[-1].end == "16 replicas at most"

    def as_slow_as_many(potential, structures, *rest):
        return 0.1, [0.1 * len(structures)]

    monkeypatch.setattr(throughput, "_timed", as_slow_as_many)
    rows = list(throughput.measure(potential64, molecule("CH4"), seconds=100))
    assert [row.replicas for row in rows] == [1, 2, 4]
    assert "grew by less than 5 % twice in a row" in rows[-1].end
    monkeypatch.setattr(throughput._Memory, "used", lambda self: self.free // 3)
    (row,) = throughput.measure(potential64, molecule("CH4"), seconds=100)
    assert row.end == "2 would need more than 50 % of the free memory"


def test_nonsense_is_refused(potential64):
    with pytest.raises(ValueError, match="seconds must be a positive number, got 0"):
        next(throughput.measure(potential64, molecule("CH4"), seconds=0))
    with pytest.raises(ValueError, match="most_replicas must be positive, got 0"):
        next(throughput.measure(potential64, molecule("CH4"), most_replicas=0))
    with pytest.raises(ValueError, match="timestep_fs must be a positive finite number"):
        next(throughput.measure(potential64, molecule("CH4"), timestep_fs=0))
    with pytest.raises(SimulationError, match="are atoms on top of each other"):
        next(throughput.measure(ARGON, Atoms("Ar2", [[0, 0, 0], [1e-30, 0, 0]])))


def test_the_command_writes_nothing_and_tells_what_a_nanosecond_takes(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # Less than any measurement takes, so that a second one is never begun, however fast the machine.
    command = ["bench-md", "ethanol", "ethanol", "--ensemble", "nve", "--seconds", "0.001"]
    assert main([*command, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    row = result["rows"][0]
    assert result["hours_per_ns"] == pytest.approx(24 / row["ns_per_day"])
    assert result["atoms"] == 9
    assert result["best_replicas"] == 1
    assert result["end"]
    assert list(tmp_path.iterdir()) == []
    assert main(command) == 0
    assert "whether replicas would make more of it was not measured" in " ".join(capsys.readouterr().out.split())
    assert main([*command[:-1], "-1"]) == 1
    assert "seconds must be a positive number, got -1" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["bench-md", "--help"])
    assert "Nothing is written" in " ".join(capsys.readouterr().out.split())
