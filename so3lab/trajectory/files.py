"""Who may write a trajectory file: one process at a time, and the kernel forgets the dead."""

import contextlib
import errno
import os
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: HDF5's own refusal to open a file twice must do
    fcntl = None  # type: ignore[assignment]


class FileLock:
    """Exclusive while a file is opened, shared while it is written, gone when the process dies.

    HDF5 drops its own lock in single-writer-multiple-reader mode, so two processes could resume the
    same run. A shared ``flock`` lets HDF5's readers pass and makes the next writer stop.

    Raises:
        BlockingIOError: If another writer, or a program reading without SWMR, has the file.
        FileNotFoundError: If there is no such file.
    """

    def __init__(self, path: Path):
        self._handle: int | None = None
        if fcntl is None:
            return
        while True:
            # NFS turns this lock into one that needs the right to write.
            handle = os.open(path, os.O_RDWR)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                raise BlockingIOError(
                    errno.EWOULDBLOCK,
                    f"{path} is being written by another run, or read by a program that keeps writers "
                    "out (MDAnalysis does); stop that run or close that program, then try again",
                ) from None
            except OSError:  # a file system without locks: better to go on than to refuse
                os.close(handle)
                return
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), os.stat(path)):
                    self._handle = handle
                    return
            os.close(handle)  # replaced in between: look again

    def share(self) -> None:
        """Let readers in, keep writers out."""
        if self._handle is not None:
            fcntl.flock(self._handle, fcntl.LOCK_SH)

    def release(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
