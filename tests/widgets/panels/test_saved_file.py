"""Files that a panel has written have links where a server shows them, and none where it does not."""

import json
import os

import pytest
from so3lab_widgets.panels.saved_file import links_to


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A folder that a server shows which says so, as a Jupyter server does that has started this process."""
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("JPY_PARENT_PID", str(os.getpid()))
    folder, about = tmp_path / "shown", tmp_path / "runtime" / f"jpserver-{os.getpid()}.json"
    (folder / "deep er").mkdir(parents=True)
    about.parent.mkdir()
    about.write_text(json.dumps({"root_dir": str(folder), "base_url": "/hub/", "token": "secret"}))
    monkeypatch.chdir(folder / "deep er")
    return folder


def test_a_text_is_opened_or_downloaded_and_other_files_are_downloaded(served, tmp_path):
    text = links_to((served / "deep er" / "a.csv").relative_to(served / "deep er"))
    assert "/hub/files/deep%20er/a.csv?download=1" in text
    assert "docmanager:open" in text
    assert "deep er/a.csv" in text
    frames = links_to(served / "frames.h5")
    assert "/hub/files/frames.h5?download=1" in frames
    assert "docmanager" not in frames
    assert "secret" not in text + frames


def test_what_no_server_shows_has_no_links(served, tmp_path, monkeypatch):
    assert links_to(tmp_path / "elsewhere.csv") == ""
    monkeypatch.setenv("JPY_PARENT_PID", "1")
    assert links_to(served / "a.csv") == ""


def test_names_are_no_markup(served):
    assert "<b>" not in links_to(served / "<b>'\".csv")
