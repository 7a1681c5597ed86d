"""What the trajectory files of several replicas are called."""

from pathlib import Path


def replica_path(folder: str | Path, number: int) -> Path:
    """The file of a replica, counted from 0: ``replica_0000.h5`` and so on."""
    return Path(folder) / f"replica_{number:04d}.h5"
