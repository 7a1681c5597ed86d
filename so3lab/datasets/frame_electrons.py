"""How many unpaired electrons do the frames of a set have, as their file says or as the number of electrons asks?"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ase import Atoms
from jaxtyping import Float

from so3lab.datasets.frames import frames_named
from so3lab.datasets.numerals import numbers_of
from so3lab.structures.electrons import check_parity, has_computed_moments, is_spin_key, stated_spin

_ROUNDING = 1e-3  # e


def least_unpaired(
    numbers: Sequence[np.ndarray], charges: Float[np.ndarray, " frames"], pbc: np.ndarray
) -> Float[np.ndarray, " frames"]:
    """One unpaired electron in molecules with an odd number of them, none in others and in cells.

    Args:
        numbers: Atomic numbers of each frame.
        charges: Total charges in e.
        pbc: Periodicity, shape ``(frames, 3)``.
    """
    protons = {key: int(z.sum()) for key, z in {id(z): z for z in numbers}.items()}
    electrons = np.array([protons[id(z)] for z in numbers]) - charges
    odd = np.round(electrons) % 2 == 1
    return np.where(odd & ~pbc.any(axis=1), 1.0, 0.0)


def whole_charges(charges: Float[np.ndarray, " frames"]) -> Float[np.ndarray, " frames"]:
    """Total charges without the rounding of somebody's sums.

    Raises:
        ValueError: If one is no whole number of elementary charges; the sentence names the frame.
    """
    whole = np.round(charges)
    wrong = np.flatnonzero(~(np.abs(charges - whole) <= _ROUNDING))
    if wrong.size:
        frame = int(wrong[0])
        raise ValueError(
            f"frame {frame}: its total charge must be a whole number of elementary charges, got {charges[frame]:g} "
            f"({len(wrong)} of {len(charges)} frames); correct it, or remove these frames"
        )
    return whole


def require_parity(
    unpaired: Float[np.ndarray, " frames"],
    numbers: Sequence[np.ndarray],
    charges: Float[np.ndarray, " frames"],
    pbc: np.ndarray,
) -> None:
    """Refuse unpaired electrons of molecules that their number of electrons forbids.

    Raises:
        ValueError: If one number is even and the other odd; the sentence names the frame.
    """
    least = least_unpaired(numbers, charges, pbc)
    asked = ~pbc.any(axis=1) & (unpaired == np.round(unpaired))
    wrong = np.flatnonzero(asked & ((unpaired - least) % 2 != 0))
    if wrong.size:
        frame = int(wrong[0])
        raise ValueError(
            f"frame {frame}: unpaired_electrons must be {'odd' if least[frame] else 'even'} for a total charge of "
            f"{charges[frame]:+g}, got {unpaired[frame]:g}; correct it, or pass unpaired_electrons=None"
        )


def require_all_charged(charges: Sequence[float], said: Sequence[bool], where: str) -> None:
    """Refuse sets in which some frames carry a total charge and others say nothing: neutral, or forgotten?

    Args:
        charges: In e, of each frame.
        said: Whether the frame says it.
        where: What sentences call the set.

    Raises:
        ValueError: With numbers of frames of both kinds, where a charge that is said is not 0.
    """
    charged = [i for i, charge in enumerate(charges) if said[i] and charge]
    silent = [i for i, one in enumerate(said) if not one]
    if charged and silent:
        raise ValueError(
            f"every frame of {where} must say its total charge, or none: {frames_named(charged)} "
            f"carry one ({charges[charged[0]]:+g} e in frame {charged[0]}), {frames_named(silent)} say nothing; write "
            "charge=0 where it is 0"
        )


def spins_of_atoms(frames: Sequence[Atoms], charges: Sequence[float], where: str) -> Float[np.ndarray, " frames"]:
    """Unpaired electrons of frames, as they say or as :func:`least_unpaired`.

    Raises:
        ValueError: If a spin cannot be; the sentence names the frame.
    """
    named = {key for atoms in frames for key in atoms.info if is_spin_key(key)}
    if named or any("initial_magmoms" in atoms.arrays or has_computed_moments(atoms) for atoms in frames):
        return _stated(frames, np.asarray(charges), where)
    periodic = np.array([atoms.pbc for atoms in frames])
    return least_unpaired([atoms.numbers for atoms in frames], np.asarray(charges), periodic)


def spins_of_arrays(
    values: Mapping[str, Any], numbers: Sequence[np.ndarray], charges: Float[np.ndarray, " frames"], where: str
) -> np.ndarray | None:
    """As :func:`spins_of_atoms`, from arrays with one spin for all frames or one for each; None without any.

    Raises:
        ValueError: If an entry is no number, or spins do not fit.
    """
    frames = len(numbers)
    columns = {key: np.asarray(values[key]) for key in values if is_spin_key(key)}
    usable = {
        key: np.broadcast_to(numbers_of(column, f"{where}, {key!r}", ("frame",)).reshape(-1), frames)
        for key, column in columns.items()
        if column.size in (1, frames)
    }
    if not usable:
        return None
    atoms = [
        Atoms(z, info={"charge": charge, **{key: float(column[i]) for key, column in usable.items()}})
        for i, (z, charge) in enumerate(zip(numbers, charges, strict=True))
    ]
    return _stated(atoms, charges, where)


def _stated(frames: Sequence[Atoms], charges: np.ndarray, where: str) -> np.ndarray:
    """What each frame says, and the least that is possible where one says nothing."""
    least = least_unpaired([atoms.numbers for atoms in frames], charges, np.array([atoms.pbc for atoms in frames]))
    result = least.copy()
    for i, atoms in enumerate(frames):
        try:
            value, source = stated_spin(atoms)
            check_parity(atoms)
        except ValueError as error:
            raise ValueError(f"frame {i} of {where}: {error}") from None
        if source:
            result[i] = value
    return result
