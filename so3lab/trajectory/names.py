"""What trajectory files are called, and where they may be written."""

import errno
import shlex
from pathlib import Path

from so3lab.machine.files import FILE_ENDINGS, check_writable

ENDINGS = (".h5", ".h5md", ".hdf5")
"""Of H5MD files."""


def check_new_trajectory(path: Path) -> None:
    """Refuse a name under which no new trajectory can be written, before anything is computed for it.

    Raises:
        ValueError: If the name says that it is a file of another format.
        FileExistsError: If there is such a file.
        FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError: As
            :func:`so3lab.machine.files.check_writable` says.
    """
    if path.suffix.lower() in FILE_ENDINGS.difference(ENDINGS):
        h5 = path.with_suffix(".h5")
        export = f"so3lab export {shlex.quote(str(h5))} {shlex.quote(str(path))}"
        raise ValueError(
            f"the name of a trajectory must end in {', '.join(ENDINGS)}, for it is H5MD, got {path}; write {h5}, and "
            f"then, for formats that export knows: {export}"
        )
    if path.is_file():
        raise FileExistsError(
            errno.EEXIST,
            f"{path} exists and is not overwritten; go on with it by --resume (in Python resume=True, "
            "TrajectoryWriter.resume), or choose another name",
        )
    check_writable(path)


def replica_path(folder: str | Path, number: int) -> Path:
    """The file of a replica, counted from 0: ``replica_0000.h5`` and so on."""
    return Path(folder) / f"replica_{number:04d}.h5"
