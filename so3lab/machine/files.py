"""How shared files come about: whole or not at all, and made by one process at a time; or why they cannot."""

import contextlib
import errno
import os
import shlex
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

FILE_ENDINGS = frozenset(
    (".h5", ".h5md", ".hdf5", ".xyz", ".extxyz", ".pdb", ".traj", ".dcd", ".xtc", ".trr", ".nc", ".gro", ".cif", ".sdf",
     ".mol", ".db", ".json", ".npz", ".npy", ".csv", ".txt", ".log", ".zip", ".html", ".safetensors")
)  # fmt: skip
"""Of names that people give to files, never to folders."""


class DownloadError(OSError):
    """A published file could not be obtained; the sentence says why, and which file to place where by hand."""


def check_writable(path: Path) -> None:
    """Refuse a path at which no file can be written, before work is done for it.

    Raises:
        FileNotFoundError: If its folder does not exist.
        NotADirectoryError: If its folder is a file.
        IsADirectoryError: If it is a folder itself.
        PermissionError: If nobody may write there.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, f"{path} is a folder; name a file, such as {path / 'name'}")
    folder = path.parent
    if not folder.exists():
        command = f"mkdir -p {shlex.quote(str(folder))}"
        raise FileNotFoundError(errno.ENOENT, f"the folder of {path} does not exist; make it with: {command}")
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, f"{folder} is a file, so {path} cannot be written; choose another name")
    if not _takes_files(folder) or (path.exists() and not os.access(path, os.W_OK)):
        raise PermissionError(errno.EACCES, f"{path} may not be written; choose a folder of yours")


def _takes_files(folder: Path) -> bool:
    """Whether a file can be made in a folder; permissions alone do not tell, as of ``/proc``."""
    if not os.access(folder, os.W_OK):
        return False
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def check_folder(path: Path) -> None:
    """Refuse a path at which no folder can be made or written into, before work is done for it.

    Raises:
        ValueError: If a new folder would have the name of a file, such as ``run.h5``.
        NotADirectoryError: If it, or a folder above it, is a file.
        PermissionError: If nobody may write there.
    """
    if path.suffix.lower() in FILE_ENDINGS and not path.exists():
        raise ValueError(f"{path} must be a folder, and has the name of a file; choose another, such as {path.stem}")
    above = path.absolute()
    while not above.exists():
        above = above.parent
    if not above.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, f"{path} must be a folder, but {above} is a file; choose another name")
    if not os.access(above, os.W_OK):
        raise PermissionError(errno.EACCES, f"{path} may not be written; choose a folder of yours")


@contextlib.contextmanager
def temporary_beside(target: Path) -> Iterator[Path]:
    """A name in the folder of ``target``, whose file is gone when the block ends unless it was given another name."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_write(target: Path) -> Iterator[Path]:
    """A temporary file beside ``target`` that takes its place only if the block ends well."""
    with temporary_beside(target) as temporary:
        yield temporary
        os.replace(temporary, target)


@contextlib.contextmanager
def file_lock(lock: Path) -> Iterator[None]:
    """Wait until no other process or thread holds ``lock``; the system frees it when a holder dies."""
    with lock.open("a+b") as file:
        while not _locked(file, wait=True):
            time.sleep(0.1)
        yield


@contextlib.contextmanager
def lock_at_once(lock: Path) -> Iterator[bool]:
    """Hold ``lock`` unless another process or thread does; the system frees it when a holder dies.

    Yields:
        Whether it is held here.
    """
    with lock.open("a+b") as file:
        yield _locked(file, wait=False)


def _locked(file: BinaryIO, wait: bool) -> bool:
    """Lock an open file until it is closed, and say whether that was possible."""
    try:
        import fcntl
    except ImportError:  # Windows, whose own waiting ends after ten seconds
        import msvcrt

        file.seek(0)
        with contextlib.suppress(OSError):
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
            return True
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True
