"""Whether arrays make up frames: shapes that agree, finite numbers, elements that exist."""

from collections.abc import Sequence
from typing import Any

import numpy as np

HEAVIEST = 118
"""Largest atomic number that has a name."""


def read_only(array: np.ndarray) -> np.ndarray:
    """A view that refuses to be written to."""
    view = array.view()
    view.flags.writeable = False
    return view


def floats(values: Any, what: str) -> np.ndarray:
    """As float64, or a sentence about ``what``."""
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what} must be a regular array of numbers: {error}") from None


def shaped(array: np.ndarray, what: str, shape: tuple[int, ...]) -> np.ndarray:
    """The array, or a sentence about its shape."""
    if array.shape != shape:
        raise ValueError(f"{what} must have shape {shape}, got {array.shape}")
    return array


def label_per_frame(key: str, values: Any, frames: int) -> np.ndarray:
    """An array with one entry per frame."""
    array = np.asarray(values)
    if array.ndim == 0 or len(array) != frames:
        raise ValueError(f"label {key!r} must have one value for each of {frames} frames, got shape {array.shape}")
    return read_only(array)


def copied(arrays: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    """Copies, so that a small selection does not keep a large file in memory."""
    if len({len(array) for array in arrays}) == 1:
        return tuple(read_only(np.stack(arrays)))
    return tuple(read_only(array.copy()) for array in arrays)


def vectors_per_frame(values: Any, what: str, frames: int) -> tuple[np.ndarray, ...]:
    """``(atoms, 3)`` float64 arrays, one per frame, as read-only views where possible."""
    if values is None:
        raise ValueError(f"{what} are missing; a dataset needs them for every frame")
    if len(values) != frames:
        raise ValueError(f"{what} must have one entry for each of {frames} energies, got {len(values)}")
    if isinstance(values, np.ndarray) and values.dtype != object:
        arrays: tuple[np.ndarray, ...] = tuple(read_only(floats(values, what)))
    else:
        arrays = tuple(read_only(floats(v, f"{what} of frame {i}")) for i, v in enumerate(values))
    for i, array in enumerate(arrays):
        if array.ndim != 2 or array.shape[1] != 3 or len(array) == 0:
            raise ValueError(f"frame {i}: {what} must have shape (atoms, 3), got {array.shape}")
    return arrays


def numbers_per_frame(values: Any, frames: int) -> tuple[np.ndarray, ...]:
    """``(atoms,)`` integer arrays, one per frame; equal frames share one array object."""
    if isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype != object:
        return (_whole_numbers(values, 0),) * frames
    if len(values) != frames:
        raise ValueError(
            f"numbers must be one (atoms,) array or one per frame: {frames} energies, {len(values)} entries"
        )
    values = list(values)  # keeps every entry alive, so that ids stay distinct
    by_content: dict[bytes, np.ndarray] = {}
    by_object: dict[int, np.ndarray] = {}
    for i, value in enumerate(values):
        if id(value) not in by_object:
            array = _whole_numbers(np.asarray(value), i)
            by_object[id(value)] = by_content.setdefault(array.tobytes(), array)
    return tuple(by_object[id(value)] for value in values)


def _whole_numbers(array: np.ndarray, frame: int) -> np.ndarray:
    if array.ndim != 1 or array.dtype.kind not in "iuf" or (array != np.round(array)).any():
        raise ValueError(
            f"frame {frame}: atomic numbers must be whole numbers of shape (atoms,), got {array.dtype} {array.shape}"
        )
    return read_only(array.astype(np.int64))


def require_same_atoms(
    numbers: tuple[np.ndarray, ...], positions: tuple[np.ndarray, ...], forces: tuple[np.ndarray, ...]
) -> None:
    for i, (z, r, f) in enumerate(zip(numbers, positions, forces, strict=True)):
        if not len(z) == len(r) == len(f):
            raise ValueError(
                f"frame {i}: atoms disagree: {len(z)} atomic numbers, {len(r)} positions, {len(f)} forces; "
                f"correct or remove this frame"
            )


def require_finite(energies: np.ndarray, positions: tuple[np.ndarray, ...], forces: tuple[np.ndarray, ...]) -> None:
    bad = np.flatnonzero(~np.isfinite(energies))
    if bad.size:
        raise ValueError(_not_finite(int(bad[0]), "its energy", energies[bad[0]], bad.size))
    for what, arrays in (("a position", positions), ("a force", forces)):
        finite = np.isfinite(np.concatenate(arrays))
        if not finite.all():
            frame_of = np.repeat(np.arange(len(arrays)), [len(a) for a in arrays])
            bad = np.unique(frame_of[~finite.all(axis=1)])
            array = arrays[bad[0]]
            raise ValueError(_not_finite(int(bad[0]), what, array[~np.isfinite(array)][0], bad.size))


def _not_finite(frame: int, what: str, value: float, count: int) -> str:
    return (
        f"frame {frame}: {what} is {value} ({count} such frames); every number must be finite: "
        f"remove these frames, their reference calculation probably failed"
    )


def require_elements(numbers: tuple[np.ndarray, ...]) -> None:
    known: set[int] = set()
    for i, z in enumerate(numbers):
        if id(z) in known:
            continue
        known.add(id(z))
        if z.min() < 1 or z.max() > HEAVIEST:
            wrong = z[(z < 1) | (z > HEAVIEST)][0]
            raise ValueError(
                f"frame {i}: atomic number {wrong} is no element (1 to {HEAVIEST}); "
                f"if it pads smaller molecules, store the atom counts as N beside it"
            )


def require_cells(cells: np.ndarray | None, pbc: np.ndarray) -> None:
    """Every periodic direction needs a lattice vector, and full cells a volume."""
    if not pbc.any():
        return
    if cells is None:
        raise ValueError("pbc is set, but there are no cells; pass cells of shape (frames, 3, 3) in Å")
    bad = np.flatnonzero((np.abs(np.linalg.det(cells)) < 1e-6) & pbc.all(axis=1))
    if bad.size:
        raise ValueError(f"frame {bad[0]}: periodic in all directions, but its cell has no volume; correct it")


def require_stresses(stresses: np.ndarray, cells: np.ndarray | None, pbc: np.ndarray) -> np.ndarray:
    """Stresses of frames that are cells in all directions, NaN for others; a sentence where one is not symmetric."""
    is_cell = np.asarray(pbc.all(axis=1)) if cells is not None else np.zeros(len(pbc), bool)
    result = np.where(is_cell[:, None, None], stresses, np.nan)
    difference = np.abs(result - result.swapaxes(1, 2)).max(axis=(1, 2))
    wrong = np.flatnonzero(np.isfinite(difference) & (difference > 1e-3 * np.abs(result).max(axis=(1, 2)) + 1e-9))
    if wrong.size:
        raise ValueError(f"frame {wrong[0]}: stresses must be symmetric, got {stresses[wrong[0]].tolist()}")
    return result


def frames_named(frames: Sequence[int] | np.ndarray) -> str:
    """The first few of some frames in words: ``frames 3, 8, 9 and 40 more``."""
    shown = [str(int(frame)) for frame in frames[:3]]
    more = len(frames) - len(shown)
    if len(frames) == 1:
        return f"frame {shown[0]}"
    return f"frames {', '.join(shown)} and {more} more" if more else f"frames {', '.join(shown[:-1])} and {shown[-1]}"
