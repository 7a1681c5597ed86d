"""A trajectory file has one writer, which lets readers in when it writes and others when it is done."""

import sys

import pytest

from so3lab.trajectory.files import FileLock

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock")


def test_one_writer_at_a_time_also_while_readers_are_let_in(tmp_path):
    path = tmp_path / "run.h5"
    path.touch()
    lock = FileLock(path)
    for _ in range(2):
        with pytest.raises(BlockingIOError, match=r"run\.h5 is being written by another run.*stop that run"):
            FileLock(path)
        lock.share()
    lock.release()
    FileLock(path).release()


def test_a_file_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(FileNotFoundError):
        FileLock(tmp_path / "run.h5")
    assert list(tmp_path.iterdir()) == []


def test_the_file_that_took_the_name_is_the_one_that_is_locked(tmp_path):
    path, other = tmp_path / "run.h5", tmp_path / "mended.h5"
    path.touch()
    other.touch()
    first = FileLock(path)
    other.replace(path)
    second = FileLock(path)  # the first lock is on a file that has no name any more
    first.release()
    with pytest.raises(BlockingIOError):
        FileLock(path)
    second.release()
