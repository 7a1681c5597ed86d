"""What is inside a packed file? A copy of it, unpacked, under the name that it has inside."""

import bz2
import contextlib
import gzip
import lzma
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

_OPENERS: dict[str, Callable[..., IO[Any]]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


def is_packed(path: Path) -> bool:
    """Whether a file is packed and its name says what is inside, as that of ``frames.xyz.gz`` does."""
    return path.suffix.lower() in _OPENERS and Path(path.stem).suffix != "" and path.is_file()


@contextlib.contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """The file inside ``path``, as long as it is needed; sentences about it name ``path``.

    Raises:
        ValueError: If the file is damaged.
    """
    with tempfile.TemporaryDirectory() as folder:
        inside = Path(folder) / path.stem
        try:
            with _OPENERS[path.suffix.lower()](path, "rb") as packed, inside.open("wb") as target:
                shutil.copyfileobj(packed, target, 1 << 20)
        except (OSError, EOFError, lzma.LZMAError) as error:
            raise ValueError(f"{path} cannot be unpacked ({error}); is it complete?") from None
        try:
            yield inside
        except ValueError as error:
            raise ValueError(str(error).replace(str(inside), str(path))) from error
