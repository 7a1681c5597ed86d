"""How trajectory files are made, opened, and brought back to order after a kill or a damage."""

import contextlib
import errno
import os
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from so3lab.machine.files import atomic_write, temporary_beside
from so3lab.trajectory import layout as _layout
from so3lab.trajectory.files import FileLock
from so3lab.trajectory.layout import Layout
from so3lab.trajectory.names import check_new_trajectory


class SavedState(NamedTuple):
    """A restart state and its place in the run."""

    counter: int
    frames: int
    arrays: dict[str, np.ndarray]


def create_new(path: Path, layout: Layout) -> None:
    """Make an empty trajectory file under a name that must be free.

    The file is complete before it gets its name, so a kill never leaves half a header there.

    Raises:
        ValueError, OSError: As :func:`so3lab.trajectory.names.check_new_trajectory` says.
    """
    check_new_trajectory(path)
    with temporary_beside(path) as temporary:
        _layout.create(temporary, layout)
        try:
            os.link(temporary, path)  # unlike a rename, this fails if somebody took the name
        except FileExistsError:
            check_new_trajectory(path)  # says so
            raise
        except OSError:  # a file system without hard links
            os.replace(temporary, path)


def open_readable(path: Path) -> h5py.File:
    """Open a trajectory file that is closed, killed, or being written right now.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not HDF5, is damaged, or was not written by so3lab.
    """
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, f"there is no trajectory file {path}")
    file = _open_hdf5(path)
    try:
        found = file[_layout.PRIVATE].attrs["format"]
    except (KeyError, OSError, RuntimeError):
        file.close()
        raise ValueError(
            f"{path} is an HDF5 file but not a so3lab trajectory, or is damaged; other H5MD files open in MDAnalysis"
        ) from None
    if found > _layout.FORMAT:
        file.close()
        raise ValueError(f"{path} was written by a newer so3lab (format {found}); update so3lab")
    return file


def is_trajectory(path: Path) -> bool:
    """Whether a file is a trajectory of so3lab that can be read."""
    try:
        open_readable(path).close()
    except (OSError, ValueError):
        return False
    return True


def _open_hdf5(path: Path) -> h5py.File:
    """Closed files are opened plainly: in SWMR mode HDF5 retries damaged metadata for minutes."""
    try:
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        if not h5py.is_hdf5(path):
            raise ValueError(f"{path} is not an HDF5 file, so it is not a so3lab trajectory") from None
        problem: Exception = error
    try:
        if is_marked_open(path):
            try:
                return h5py.File(path, "r", swmr=True, locking=False)
            except (OSError, RuntimeError, ValueError) as error:
                problem = error
        elif "truncated file" in str(problem):
            raise ValueError(f"{path} is damaged: its end is missing; {how_to_salvage(path)}") from problem
        raise ValueError(
            f"{path} cannot be opened ({_first_line(problem)}): it is damaged at its beginning, or was "
            "not written by so3lab; copy it again from where it came"
        ) from problem
    finally:
        del problem  # its traceback would keep our callers' frames alive, and with them the open file


def open_appendable(path: Path) -> h5py.File:
    """Open a cleanly closed file as its single writer; a kill from here on leaves it readable."""
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_libver_bounds(h5py.h5f.LIBVER_V110, h5py.h5f.LIBVER_V110)
    access.set_file_locking(False, True)  # FileLock holds the file already
    flags = h5py.h5f.ACC_RDWR | h5py.h5f.ACC_SWMR_WRITE
    return h5py.File(h5py.h5f.open(os.fsencode(path), flags, access))


def reopen(path: Path, behind: int | None = None) -> tuple[h5py.File, SavedState, FileLock]:
    """Open a closed or killed file for appending behind its last good restart state, or that behind so many frames.

    A file that was killed, or has frames younger than the state, or is being read by this very
    process (HDF5 then refuses to write) is copied up to the state and replaced in one step.

    Raises:
        FileNotFoundError, BlockingIOError, ValueError: As ``TrajectoryWriter.resume`` says.
        OSError: If there is no room for the copy.
    """
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, f"there is no trajectory file {path} to resume")
    from so3lab.trajectory.source import reload  # which needs this module

    lock = FileLock(path)
    try:
        reload(path)  # nobody writes any more
        with open_readable(path) as file:
            saved = _last_state(file, path, behind)
        try:
            if _is_closed_behind(path, saved.frames):
                return open_appendable(path), saved, lock
        except OSError:
            pass
        with atomic_write(path) as temporary:
            copied = _copy(path, temporary, saved.frames, path.stat().st_size)
            if copied < saved.frames:
                raise ValueError(
                    f"{path} is damaged: its restart state belongs behind frame {saved.frames}, but only "
                    f"{copied} frames can be read; {how_to_salvage(path)}"
                )
            with h5py.File(temporary, "r+", libver=_layout.LIBVER) as file:
                _layout.write_state(_layout.state_slots(file), *saved)
        lock.release()
        lock = FileLock(path)
        return open_appendable(path), saved, lock
    except BaseException:
        lock.release()
        raise


def how_to_salvage(path: Path) -> str:
    """What a person whose file is damaged may type."""
    command = f"so3lab export {shlex.quote(str(path))} NEW.h5 --salvage"
    return f"{command} (in Python so3lab.trajectory.salvage) saves the frames that can be read"


def salvage(path: str | os.PathLike, new_path: str | os.PathLike) -> int:
    """Copy all frames that can be read from a damaged file into a new one.

    Args:
        path: The damaged trajectory; it is not touched.
        new_path: File to make. It opens like any trajectory; it can be resumed only if the restart
            state belongs to frames that were saved.

    Returns:
        How many frames were saved.

    Raises:
        FileExistsError: If ``new_path`` exists.
        ValueError: If not even the beginning of the file can be read.
    """
    path, new_path = Path(path), Path(new_path)
    with _whole(path, new_path) as source:
        with open_readable(source) as file:
            frames, layout = int(file[_layout.PRIVATE]["frames"][()]), _layout.read_layout(file)
            saved = _layout.read_state(file)
        create_new(new_path, layout)
        with atomic_write(new_path) as temporary:
            copied = _copy(source, temporary, frames, path.stat().st_size)
            if saved is not None and saved[1] <= copied:
                with h5py.File(temporary, "r+", libver=_layout.LIBVER) as file:
                    _layout.write_state(_layout.state_slots(file), *saved)
    return copied


def is_on_disk(dataset: h5py.Dataset, row: int, file_size: int) -> bool:
    """Whether a file of so many bytes reaches as far as a row of a growing dataset.

    HDF5 does not look: behind the end of a file it reads zeros.
    """
    try:
        chunk = dataset.id.get_chunk_info_by_coord((row, *(0 for _ in dataset.shape[1:])))
    except (OSError, RuntimeError):
        return False
    if chunk.byte_offset is None:
        return False
    if dataset.compression is not None:
        return chunk.byte_offset + chunk.size <= file_size
    row_bytes = dataset.dtype.itemsize * int(np.prod(dataset.shape[1:]))
    return chunk.byte_offset + (row % dataset.chunks[0] + 1) * row_bytes <= file_size


@contextlib.contextmanager
def _whole(path: Path, new_path: Path) -> Iterator[Path]:
    """The file, or if its end is missing a copy as long as it should be, which HDF5 opens."""
    if not path.is_file() or not h5py.is_hdf5(path) or is_marked_open(path):
        yield path
        return
    with open(path, "rb") as file:
        file.seek(28)  # version 3 of HDF5's superblock: where the file should end
        end = int.from_bytes(file.read(8), "little")
    if not path.stat().st_size < end < 1 << 50:
        yield path
        return
    with temporary_beside(new_path.with_name(f"{new_path.name}.whole")) as temporary:
        shutil.copyfile(path, temporary)
        os.truncate(temporary, end)
        yield temporary


def is_marked_open(path: Path) -> bool:
    """The flag of HDF5's superblock (version 3, byte 11) that a writer sets and a kill leaves."""
    with open(path, "rb") as file:
        return file.read(12)[11] != 0


def _last_state(file: h5py.File, path: Path, behind: int | None) -> SavedState:
    saved = _layout.read_state(file, behind)
    if saved is None:
        raise ValueError(
            f"{path} holds no complete restart state (the run ended before it saved one, or the file is "
            "damaged), so it cannot be resumed; start again under another name"
        )
    return SavedState(*saved)


def _is_closed_behind(path: Path, frames: int) -> bool:
    """Whether the file was closed in good order and ends with exactly so many frames."""
    try:
        with h5py.File(path, "r", locking=False) as file:
            datasets = _layout.growing_datasets(file, _layout.read_layout(file))
            lengths = {len(dataset) for dataset in datasets.values()}
            return lengths == {frames} and int(file[_layout.PRIVATE]["frames"][()]) == frames
    except (OSError, RuntimeError, ValueError):
        return False


def _copy(path: Path, new_path: Path, frames: int, size: int) -> int:
    """Copy the first ``frames`` frames, or as many as can be read, into a new closed file."""
    room = shutil.disk_usage(new_path.parent).free
    if room < size:
        raise OSError(
            errno.ENOSPC,
            f"putting {path} in order needs {size / 1e6:.3g} MB beside it, "
            f"{room / 1e6:.3g} MB are free; make room and try again",
        )
    with open_readable(path) as old:
        layout = _layout.read_layout(old)
        _layout.create(new_path, layout)
        with h5py.File(new_path, "r+", libver=_layout.LIBVER) as new:
            source = _layout.growing_datasets(old, layout)
            target = _layout.growing_datasets(new, layout)
            for name in source:
                frames = _copy_dataset(source[name], target[name], frames, size)
            for dataset in target.values():
                dataset.resize(frames, axis=0)
            new[_layout.PRIVATE]["frames"][...] = frames
    return frames


def _copy_dataset(source: h5py.Dataset, target: h5py.Dataset, frames: int, size: int) -> int:
    """Copy rows chunk by chunk until the end, or the first chunk that cannot be read."""
    rows, frames = source.chunks[0], min(frames, len(source))
    target.resize(frames, axis=0)
    for start in range(0, frames, rows):
        stop = min(start + rows, frames)
        if not is_on_disk(source, stop - 1, size):
            return start
        try:
            target[start:stop] = source[start:stop]
        except (OSError, RuntimeError):
            return start
    return frames


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
