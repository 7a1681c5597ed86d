"""Files appear whole or not at all, and one at a time; what cannot be had is one error."""

import os
import threading
from pathlib import Path

import pytest

from so3lab import datasets, pretrained
from so3lab.machine.files import DownloadError, atomic_write, check_writable, file_lock, temporary_beside


def test_a_file_appears_when_all_of_it_is_there(tmp_path):
    target = tmp_path / "table.csv"
    target.write_text("old")
    with atomic_write(target) as file:
        file.write_text("new")
        assert target.read_text() == "old"
        assert file.parent == tmp_path  # of the same file system, or it could not take the other's place
    assert target.read_text() == "new"
    assert os.listdir(tmp_path) == ["table.csv"]


@pytest.mark.skipif(not os.access("/proc", os.W_OK), reason="needs Linux, and an administrator, who may all but cannot")
def test_where_permissions_promise_too_much_a_trial_tells():
    with pytest.raises(PermissionError, match=r"/proc/run\.h5 may not be written"):
        check_writable(Path("/proc/run.h5"))


def test_what_fails_leaves_all_as_it_was(tmp_path):
    target = tmp_path / "table.csv"
    target.write_text("old")

    def write_half() -> None:
        with atomic_write(target) as file:
            file.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert target.read_text() == "old"
    with temporary_beside(target) as file:
        file.write_text("not wanted after all")
    assert os.listdir(tmp_path) == ["table.csv"]


def test_a_lock_is_held_by_one_at_a_time(tmp_path):
    held, inside = threading.Event(), []

    def second():
        held.wait()
        with file_lock(tmp_path / "lock"):
            inside.append("second")

    other = threading.Thread(target=second)
    other.start()
    with file_lock(tmp_path / "lock"):
        held.set()
        other.join(0.05)  # it can only wait: whatever the machine does in this time, the order is this
        inside.append("first")
    other.join()
    assert inside == ["first", "second"]


def test_data_and_parameters_that_cannot_be_had_are_one_error():
    assert datasets.DownloadError is pretrained.DownloadError is DownloadError
    assert issubclass(DownloadError, OSError)
