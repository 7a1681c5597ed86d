"""Where files lie: the data and notebooks that travel with so3lab, and the user's cache.

In an installed wheel ``data/`` and ``notebooks/`` are inside the package; in a checkout they
stand beside it.
"""

import os
import sys
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def bundled(kind: str) -> Path:
    """Folder of the bundled ``"data"`` or ``"notebooks"``.

    Raises:
        FileNotFoundError: If the installation is incomplete.
    """
    for folder in (_PACKAGE / "bundled" / kind, _PACKAGE.parent / kind):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"so3lab's bundled folder {kind!r} is missing; reinstall so3lab")


def cache_folder() -> Path:
    """Folder for downloads and compiled programs; ``SO3LAB_CACHE`` overrides the system's choice."""
    if override := os.environ.get("SO3LAB_CACHE"):
        return Path(override).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "so3lab"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "so3lab" / "Cache"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "so3lab"
