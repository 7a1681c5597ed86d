"""How frames of ASE's own trajectory files are read, one by one."""

import threading
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms


class TrajFile:
    """An open ``.traj`` file.

    Raises:
        ValueError: If it is none.
    """

    def __init__(self, path: Path):
        self._lock = threading.Lock()
        try:
            self._file = ase.io.Trajectory(path)
            self._count = len(self._file)
        except Exception as error:  # ASE's reader raises whatever it stumbles over
            raise ValueError(f"ASE cannot read {path}: {error or type(error).__name__}; is it complete?") from error

    def __len__(self) -> int:
        return self._count

    def read(self, index: int) -> Atoms:
        """A frame."""
        with self._lock:
            return self._file[index]

    def columns(self) -> dict[str, np.ndarray] | None:
        """Every frame must be read for them."""
        return None

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()
