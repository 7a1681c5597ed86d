"""One open handle per file and process, shared by all readers of that file.

HDF5 keeps one cache per file and process, so a second handle would see the past that the first has
seen. With one handle, looking again works for everybody.
"""

import contextlib
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np

from so3lab.trajectory import layout as _layout
from so3lab.trajectory.recovery import how_to_salvage, is_marked_open, is_on_disk, open_readable


class Source:
    """An open trajectory file; get one from :func:`source_of`, it closes when nobody holds it."""

    def __init__(self, path: Path):
        self.path = path
        self._lock = threading.RLock()
        self._open()

    def _open(self) -> None:
        self._file: h5py.File = open_readable(self.path)
        self.layout = _layout.read_layout(self._file)
        self.columns = self.layout.columns()
        self._count = self._file[f"{_layout.PRIVATE}/frames"]
        self._datasets = _layout.growing_datasets(self._file, self.layout)

    def __del__(self, at_the_end: Callable[[], bool] = sys.is_finalizing) -> None:  # modules may be gone by then
        if not at_the_end() and getattr(self, "_file", None):  # h5py closes what is left at the end
            self._file.close()

    @property
    def names(self) -> tuple[str, ...]:
        """What every frame carries."""
        return tuple(self._datasets)

    def count(self) -> int:
        """Look how many frames are complete by now.

        Raises:
            ValueError: If the file has lost its end.
        """
        with self._lock:
            if not self._file.swmr_mode and is_marked_open(self.path):  # a run was resumed behind us
                self.reload()
            self._count.refresh()
            frames = int(self._count[()])  # before the datasets: what it counts is complete
            size = self.path.stat().st_size
            for name, dataset in self._datasets.items():
                dataset.refresh()
                if frames > 0 and not (len(dataset) >= frames and is_on_disk(dataset, frames - 1, size)):
                    raise ValueError(
                        f"{self.path} is damaged: {name} of frame {frames - 1} is missing; {how_to_salvage(self.path)}"
                    )
            return frames

    @contextlib.contextmanager
    def closed(self) -> Iterator[None]:
        """Have the file closed for the duration of a block."""
        with self._lock:
            self._file.close()
            try:
                yield
            finally:
                self._open()

    def reload(self) -> None:
        """Forget what was seen of the file so far."""
        with self.closed():
            pass

    def read(self, name: str, frames: range) -> np.ndarray:
        """Values of some frames, in so3lab's units.

        Raises:
            ValueError: If the file is damaged there.
        """
        ascending = frames if frames.step > 0 else frames[::-1]
        with self._lock:
            dataset = self._datasets[name]
            try:
                values = dataset[ascending.start : ascending.stop : ascending.step] if frames else dataset[:0]
            except (OSError, RuntimeError) as error:
                raise ValueError(
                    f"{self.path} is damaged: {name} of frames {ascending.start} to {ascending[-1]} cannot "
                    f"be read; {how_to_salvage(self.path)}"
                ) from error
        if frames.step < 0:
            values = values[::-1]
        factor = self.columns[name].factor if name in self.columns else 1.0
        return values if factor == 1.0 else values / np.asarray(factor, values.dtype)

    def state(self) -> dict[str, np.ndarray] | None:
        """Arrays of the last good restart state."""
        with self._lock:
            saved = _layout.read_state(self._file)
        return None if saved is None else saved[2]


_sources: weakref.WeakValueDictionary[tuple[int, int], Source] = weakref.WeakValueDictionary()
_sources_lock = threading.Lock()


def source_of(path: Path) -> Source:
    """The open handle of a file, made if there is none yet.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, or was not written by so3lab.
    """
    with _sources_lock:
        key = None
        if path.is_file():
            status = os.stat(path)
            key = (status.st_dev, status.st_ino)
        source = _sources.get(key) if key else None
        if source is None:
            source = Source(path)
            if key:
                _sources[key] = source
        return source


@contextlib.contextmanager
def readers_closed(path: Path) -> Iterator[None]:
    """Readers of a file in this process close it for the duration of a block, and open what is there afterwards."""
    with _sources_lock:
        source = None
        with contextlib.suppress(OSError):
            status = os.stat(path)
            source = _sources.get((status.st_dev, status.st_ino))
        if source is None:
            yield
        else:
            with source.closed():
                yield


def reload(path: Path) -> None:
    """Make this process forget what it saw of a file while another one wrote it.

    HDF5 would answer from its old cache as long as a reader has the file open, and a resumed run would lose the
    frames that came later.
    """
    with _sources_lock:
        status = os.stat(path)
        source = _sources.get((status.st_dev, status.st_ino))
        if source is not None:
            source.reload()
