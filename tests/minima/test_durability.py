"""What has been committed survives kills, and several processes fill one database."""

import signal
import subprocess
import sys
from pathlib import Path

import ase.db
import pytest
from ase import Atoms
from waiting import wait_for

from so3lab.minima import MinimaDatabase, Minimum, gather

pytestmark = pytest.mark.process
PROGRAM = Path(__file__).parents[1] / "support" / "molecule_search.py"


def search(file, seed, proposals=120):
    return subprocess.Popen([sys.executable, str(PROGRAM), "CCCCCO", str(file), str(seed), str(proposals)])


def finished(process):
    assert process.wait(timeout=300) == 0


def content(file):
    return [(one.energy, one.visits, one.origin) for one in gather(MinimaDatabase(file))]


def test_a_killed_search_goes_on_to_the_same_minima(tmp_path):
    whole, killed = tmp_path / "whole.db", tmp_path / "killed.db"
    finished(search(whole, 0))
    for minima in (3, 8):
        process = search(killed, 0)
        wait_for(lambda: killed.exists() and len(stored(killed)) >= minima, "minima are stored", seconds=120)  # noqa: B023
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=60)
        before = stored(killed)
        assert len(before) >= minima
    finished(search(killed, 0))
    assert stored(killed)[: len(before)] == before
    assert content(killed) == content(whole)


def test_several_processes_fill_one_database(tmp_path):
    together = tmp_path / "together.db"
    alone = [tmp_path / f"{seed}.db" for seed in (0, 1)]
    for process in [search(together, seed) for seed in (0, 1)] + [search(alone[seed], seed) for seed in (0, 1)]:
        finished(process)
    merged = MinimaDatabase(tmp_path / "merged.db")
    for file in alone:
        merged.take_from(MinimaDatabase(file))
    assert sorted(content(together)) == sorted(content(tmp_path / "merged.db"))


def stored(file):
    """Energies in the order in which they were committed, by ASE alone."""
    try:
        rows = list(ase.db.connect(str(file), use_lock_file=False).select(kind="minimum", sort="id"))
    except Exception:  # its tables are being made
        return []
    return [row.energy for row in rows]


def test_a_round_that_fails_leaves_nothing_behind(tmp_path):
    database = MinimaDatabase(tmp_path / "a.db")
    start = Atoms("He")
    database.begin("search-a", start, {"seed": 0})
    good, bad = Minimum(0, start, 0.5, "start", None), Minimum(1, start, 0.5, "start", None)
    bad.origin = object()  # what no database can hold
    with pytest.raises(ValueError, match="origin"):
        database.commit("search-a", [good, bad], [], {"round": 1})
    assert len(database.table()) == 0
    database.commit("search-a", [good], [], {"round": 1})
    assert database.find("search-a").progress == {"round": 1}
    assert len(MinimaDatabase(tmp_path / "a.db").table()) == 1
