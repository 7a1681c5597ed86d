"""A server takes searches as a file does: the same minima, several writers, and nothing lost by a kill."""

import signal
import subprocess
import sys
from pathlib import Path

import ase.db
import pytest
from molecule_search import search
from postgres import postgres_server
from waiting import wait_for

from so3lab.minima import MinimaDatabase, gather

pytestmark = pytest.mark.process
PROGRAM = Path(__file__).parents[1] / "support" / "molecule_search.py"
SMILES, PROPOSALS = "CCCCCO", 60


@pytest.fixture
def url():
    """Of an empty database."""
    with postgres_server() as address:
        yield address


def began(url, seed):
    return subprocess.Popen([sys.executable, str(PROGRAM), SMILES, url, str(seed), str(PROPOSALS)])


def content(where, search_name=None):
    found = MinimaDatabase(where)
    return [(round(one.minimum.energy, 9), one.minimum.visits) for one in found.minima(search_name)]


def test_two_processes_write_to_a_server_and_a_killed_one_goes_on(url, tmp_path):
    files = [str(tmp_path / f"{seed}.db") for seed in (0, 1)]
    names = []
    for seed, file in enumerate(files):
        one = search(SMILES, file, seed)
        names.append(one.name)
        for _ in one.run(proposals=PROPOSALS):
            pass
    writers = [began(url, seed) for seed in (0, 1)]
    wait_for(lambda: len(stored(url, names[0])) >= 3, "minima are stored", seconds=120)
    writers[0].send_signal(signal.SIGKILL)
    writers[0].wait(timeout=60)
    before = stored(url, names[0])
    assert len(before) >= 3
    writers.append(began(url, 0))
    assert [writer.wait(timeout=120) for writer in writers[1:]] == [0, 0]
    assert stored(url, names[0])[: len(before)] == before
    for name, file in zip(names, files, strict=True):
        assert content(url, name) == content(file, name)
    merged = MinimaDatabase(tmp_path / "merged.db")
    assert merged.take_from(MinimaDatabase(url)) == sum(len(content(file)) for file in files)
    assert [one.energy for one in gather(merged)] == pytest.approx([one.energy for one in gather(MinimaDatabase(url))])


def stored(url, name):
    """Energies in the order in which they were committed, by ASE alone."""
    try:
        return [row.energy for row in ase.db.connect(url).select(kind="minimum", search=name, sort="id")]
    except Exception:  # its tables are being made
        return []


def test_a_server_that_does_not_answer_is_named():
    pytest.importorskip("ase_db_backends", reason="needs the extra 'postgresql'")
    with pytest.raises(ValueError, match=r"127\.0\.0\.1:9"):
        MinimaDatabase("postgresql://nobody:none@127.0.0.1:9/nowhere")
