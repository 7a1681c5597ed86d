"""Which array of a file holds which quantity of a data set, and in what form?"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from ase.data import atomic_numbers
from jaxtyping import Float

from so3lab.datasets.label_names import (
    QUANTITIES,
    found_under,
    in_order_of_families,
    is_gradient,
    nothing_found,
)
from so3lab.datasets.numerals import numbers_of
from so3lab.structures.electrons import is_charge_key

NOT_SAID = "nothing says which directions repeat, so that a cell repeats in all of them"
"""What is said of cells without a ``pbc``."""


def candidates(available: Mapping[str, Any], keys: Mapping[str, str], what: str) -> dict[str, list[str]]:
    """Under which names each quantity stands, the one to read first.

    Raises:
        ValueError: If a quantity is not there; the sentence lists what is.
    """
    found = {q: found_under(available.keys(), q, keys) for q in QUANTITIES}
    for quantity, names in found.items():
        if not names:
            raise ValueError(f"{what} has {nothing_found(available.keys(), quantity, keys)}")
    found["energies"], found["forces"] = in_order_of_families(found["energies"], found["forces"])
    return found


def read_array(values: Any, quantity: str, name: str, what: str) -> np.ndarray:
    """The numbers of a quantity; labels are finite, and may be texts of numbers; forces are minus a gradient; elements
    may be symbols.

    Raises:
        ValueError: If an entry is no number, or no element.
    """
    if quantity == "numbers":
        return _elements(np.asarray(values), f"{what}, {name!r}")
    if quantity not in ("energies", "forces"):
        return np.asarray(values)
    found = numbers_of(values, f"{what}, {name!r}", ("frame", "atom"))
    return -found if quantity == "forces" and is_gradient(name) else found


def _elements(values: np.ndarray, what: str) -> np.ndarray:
    if values.dtype.kind not in "OSU":
        return values
    symbols = [s.decode(errors="replace") if isinstance(s, bytes) else str(s) for s in values.reshape(-1).tolist()]
    unknown = [symbol for symbol in symbols if symbol not in atomic_numbers]
    if unknown:
        raise ValueError(f"{what} must be atomic numbers or symbols of elements, got {unknown[0]!r}")
    return np.array([atomic_numbers[symbol] for symbol in symbols]).reshape(values.shape)


def pick_optional(arrays: Mapping[str, Any], quantity: str) -> Any:
    """The array of a quantity that files may lack; None without any."""
    return next((arrays[name] for name in found_under(arrays.keys(), quantity, {})), None)


def cells_of_arrays(values: Any, pbc: Any, frames: int, what: str) -> tuple[np.ndarray | None, np.ndarray, bool]:
    """Cells and periodic directions of all frames, in whatever form arrays have them.

    Args:
        values: One cell or one for each frame: three rows, nine numbers, or three edges; None without any.
        pbc: Which directions repeat, in all frames or in each; None where nothing says so, which means all.
        frames: How many there are.
        what: What sentences call the set.

    Returns:
        Cells of shape ``(frames, 3, 3)``, ``pbc`` of shape ``(frames, 3)``, and whether the latter was a guess.

    Raises:
        ValueError: If a shape fits neither.
    """
    cells = None if values is None else _cells(np.asarray(values), frames, what)
    if pbc is None:
        volumes = np.zeros(frames) if cells is None else np.abs(np.linalg.det(cells))
        return cells, np.repeat((volumes > 0)[:, None], 3, axis=1), bool(volumes.any())
    directions = np.asarray(pbc)
    if directions.shape not in ((), (1,), (3,), (frames,), (frames, 3)):
        raise ValueError(f"{what}: pbc must have shape (3,) or ({frames}, 3), got {directions.shape}")
    if directions.shape == (frames,) and frames != 3:
        directions = directions[:, None]
    return cells, np.broadcast_to(directions.astype(bool), (frames, 3)), False


def _cells(values: np.ndarray, frames: int, what: str) -> Float[np.ndarray, "frames 3 3"]:
    try:
        numbers = values.astype(float)
    except (TypeError, ValueError):
        raise ValueError(f"{what}: cells must be numbers, got {values.dtype}") from None
    if numbers.shape in ((3, 3), (1, 3, 3), (frames, 3, 3)):
        return np.broadcast_to(numbers, (frames, 3, 3))
    if numbers.shape in ((9,), (frames, 9)):
        return np.broadcast_to(numbers.reshape(-1, 3, 3), (frames, 3, 3))
    if numbers.shape in ((3,), (frames, 3)):
        return np.broadcast_to(numbers[..., None] * np.eye(3), (frames, 3, 3))
    raise ValueError(
        f"{what}: cells must be three rows, nine numbers or three edges, for all frames or for each of {frames}, got "
        f"shape {numbers.shape}"
    )


def total_charges(values: Mapping[str, Any], frames: int, what: str) -> Float[np.ndarray, " frames"]:
    """Charges under any usual name, one for all frames or one for each; zero where there is none.

    Arrays of another shape, such as charges of atoms or quadrupoles called Q, are not total charges.

    Raises:
        ValueError: If two names disagree, or an entry is no number.
    """
    found = {key: np.asarray(values[key]) for key in values if is_charge_key(key)}
    usable = {
        key: np.broadcast_to(numbers_of(array, f"{what}, {key!r}", ("frame",)).reshape(-1), frames)
        for key, array in found.items()
        if array.size in (1, frames)
    }
    for key, charges in usable.items():
        first, others = next(iter(usable.items()))
        wrong = np.flatnonzero(charges != others)
        if wrong.size:
            raise ValueError(
                f"{what}: the total charge must be said once, or the same each time, but frame {wrong[0]} has "
                f"{others[wrong[0]]:g} e under {first!r} and {charges[wrong[0]]:g} e under {key!r}; remove one"
            )
    return next(iter(usable.values()), np.zeros(frames))
