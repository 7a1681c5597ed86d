"""May a file be read or written that somebody typed into a panel? The one place that checks paths."""

import os
import re
from pathlib import Path
from typing import Any, TypeVar

Typed = TypeVar("Typed")
_folder: Path | None = None


def confine(folder: str | os.PathLike) -> Path:
    """Let panels of this process read and write only below a folder, until it ends.

    Meant for a process whose panels others use: ``so3lab app --ip`` calls it before a panel is made. Code that runs in
    the process is not held back by it, only what people type into panels.

    Args:
        folder: One that exists.

    Returns:
        The folder, resolved.

    Raises:
        NotADirectoryError: If there is no such folder.
        ValueError: If the process is confined to another one, which cannot be taken back.
    """
    global _folder
    found = Path(folder).resolve()
    if not found.is_dir():
        raise NotADirectoryError(f"panels can be confined to a folder that exists, got {folder}")
    if _folder not in (None, found):
        raise ValueError(f"this process is confined to {_folder} already, got {found}")
    _folder = found
    return found


def confined_to() -> Path | None:
    """The folder that panels of this process are confined to; None where they are not."""
    return _folder


def permitted(typed: Typed) -> Typed:
    """What was typed, where panels may read or write it; every field for names and files asks here.

    Names of models, data and molecules and ``smiles:`` are below the folder whatever they say, as a file of that name
    would be. Links are followed first, so that one that leads out of the folder is refused. Objects, which code alone
    can give, pass.

    Raises:
        PermissionError: If this process is confined, and the words name a file outside its folder, or a server.
    """
    if _folder is None or not isinstance(typed, str | os.PathLike):
        return typed
    words = str(typed).strip()
    if "://" in words:
        raise PermissionError(f"{words} names a server; this lab is open to others, and has files below {_folder} only")
    if any(not _lies_below(Path(one).expanduser(), _folder) for one in _files_meant(words)):
        raise PermissionError(
            f"{words} lies outside {_folder}; this lab is open to others, and has files below that folder only"
        )
    return typed


def _files_meant(words: str) -> tuple[Any, ...]:
    """The words as they are, and without what picks a frame: ``models.pdb:0``, and ASE's ``run.traj@3``."""
    return words, re.sub(r":[^:/\\]*$", "", words), re.sub(r"@[^@/\\]*$", "", words)


def _lies_below(path: Path, folder: Path) -> bool:
    try:
        return (folder / path).resolve().is_relative_to(folder)
    except (OSError, RuntimeError, ValueError):  # a name that no file can have, or links that go round
        return False
