"""How shared files come about: whole or not at all, and made by one process at a time; or why they cannot."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path


class DownloadError(OSError):
    """A published file could not be obtained; the sentence says why, and which file to place where by hand."""


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
        try:
            import fcntl
        except ImportError:  # Windows
            import msvcrt

            while True:  # its own waiting ends after ten seconds
                file.seek(0)
                with contextlib.suppress(OSError):
                    msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
                    break
                time.sleep(0.1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
