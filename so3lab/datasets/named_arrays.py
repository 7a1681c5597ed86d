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
from so3lab.structures.electrons import are_electrons, is_charge_key, is_column_of_charges, is_whole

_FRACTION = 1e-3  # e
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


def total_charges(
    values: Mapping[str, Any], frames: int, atoms: int, what: str
) -> tuple[Float[np.ndarray, " frames"], bool]:
    """Charges under any usual name, one for all frames or one for each, or the sums of charges of atoms.

    Initial and formal charges of atoms count beside others, computed ones where nothing else tells the total and they
    add up to whole numbers in all frames. Arrays of another shape, such as quadrupoles called Q, tell nothing.

    Args:
        values: Arrays by their names.
        frames: How many there are.
        atoms: How many each has at most.
        what: What sentences call the set.

    Returns:
        The charges, zero where nothing says them; and whether something does.

    Raises:
        ValueError: If two names disagree, an entry is no number, or initial charges add up to no whole number.
    """
    usable = {
        key: np.broadcast_to(numbers_of(array, f"{what}, {key!r}", ("frame",)).reshape(-1), frames)
        for key in values
        if is_charge_key(key) and (array := np.asarray(values[key])).size in (1, frames)
        if not (frames == atoms > 1 and array.shape == (atoms,) and _are_of_atoms(key, array))
    }
    sums = _sums_over_atoms({key: values[key] for key in values if key not in usable}, frames, atoms, what, False)
    for key, charges in sums.items():
        off = [frame for frame, charge in enumerate(charges) if not is_whole(charge)]
        if off and not usable:
            raise ValueError(
                f"{what}, {key!r}: the charges of atoms must add up to a whole number of elementary charges, got "
                f"{charges[off[0]]:.4g} in frame {off[0]}; give the total charges under 'charge'"
            )
        if not off:
            usable[key] = np.round(charges)
    if not usable:
        computed = _sums_over_atoms(values, frames, atoms, what, True)
        usable = {key: np.round(sums) for key, sums in computed.items() if all(map(is_whole, sums))}
        return next(iter(usable.values()), np.zeros(frames)), bool(usable)
    for key, charges in usable.items():
        first, others = next(iter(usable.items()))
        wrong = np.flatnonzero(charges != others)
        if wrong.size:
            raise ValueError(
                f"{what}: the total charge must be said once, or the same each time, but frame {wrong[0]} has "
                f"{others[wrong[0]]:g} e under {first!r} and {charges[wrong[0]]:g} e under {key!r}; remove one"
            )
    return next(iter(usable.values())), True


def _are_of_atoms(name: str, values: np.ndarray) -> bool:
    """Whether as many charges as there are frames and atoms are those of atoms: fractions are."""
    named = any(is_column_of_charges(name, computed=computed) for computed in (False, True))
    return named and values.dtype.kind == "f" and bool((np.abs(values - np.round(values)) > _FRACTION).any())


def _sums_over_atoms(
    values: Mapping[str, Any], frames: int, atoms: int, what: str, computed: bool
) -> dict[str, Float[np.ndarray, " frames"]]:
    """Sums of charges of atoms in each frame, by name; all zero say nothing."""
    found = {}
    for key in values:
        if not is_column_of_charges(key, computed=computed):
            continue
        array = np.squeeze(np.asarray(values[key]))
        if array.shape not in ((atoms,), (frames, atoms)):
            continue
        charges = numbers_of(array, f"{what}, {key!r}", ("frame", "atom")[-array.ndim :])
        if charges.any() and not (computed and any(map(are_electrons, np.atleast_2d(charges)))):
            found[key] = np.broadcast_to(charges.sum(axis=-1), frames)
    return found
