"""Which structures can a model say something about? All others are refused with a sentence."""

import warnings
from collections.abc import Sequence

import ase
import numpy as np
from ase.data import chemical_symbols

from so3lab.network.pairwise import DISPERSION_ELEMENTS
from so3lab.network.settings import MAX_ATOMIC_NUMBER, ModelSettings
from so3lab.structures.electrons import stated_spin, total_charge, unpaired_electrons

_CLOSED = np.array([0, 2, 10, 18, 36, 54, 86, 118])
_SHELL_OF = np.searchsorted(_CLOSED, np.arange(1, MAX_ATOMIC_NUMBER + 1))
_CORE, _FULL = (np.append(0, _CLOSED[_SHELL_OF + step]) for step in (-1, 0))
"""By atomic number: electrons of the last closed shell below an element, and of its own shell when it is full."""


def check_elements(atoms: ase.Atoms, trained: Sequence[int], settings: ModelSettings) -> None:
    """Refuse elements that a model never saw.

    Args:
        atoms: The structure.
        trained: Atomic numbers that the model was trained on; empty when that is not known.
        settings: Of the model.

    Raises:
        ValueError: If there is such an element, or no atom.
    """
    if not len(atoms):
        raise ValueError("atoms must hold at least one atom, got an empty structure")
    known = tuple(trained) or tuple(range(1, MAX_ATOMIC_NUMBER + 1))
    if settings.dispersion:
        known = tuple(sorted(set(known) & set(DISPERSION_ELEMENTS)))
    unknown = sorted(set(atoms.numbers.tolist()) - set(known))
    if unknown:
        raise ValueError(
            f"atoms hold {_symbols(unknown)}, but this model was trained on {_symbols(known)} only; "
            "train on data with these elements, or load another model"
        )


def check_electrons(
    atoms: ase.Atoms,
    settings: ModelSettings,
    charges: Sequence[float] | None = None,
    spins: Sequence[float] | None = None,
) -> None:
    """Refuse impossible charges, charges and spins that a model cannot tell apart, and electrons that it never saw.

    Args:
        atoms: The structure.
        settings: Of the model.
        charges: Total charges of what the model was trained on; None when they are not known. A model in which the
            total charge has no part means these, whatever a structure says.
        spins: Numbers of unpaired electrons, likewise. Where charges are known and these are not, a model in which spin
            has no part means the fewest that a structure can have; where neither is, another spin is warned of.

    Raises:
        ValueError: If the structure cannot have its charge, or the model never saw such electrons.
    """
    charge = total_charge(atoms)
    if charge != round(charge):
        raise ValueError(f"charge must be a whole number of elementary charges, got {charge}")
    protons = int(atoms.numbers.sum())
    electrons = protons - round(charge)
    core, full = int(_CORE[atoms.numbers].sum()), int(_FULL[atoms.numbers].sum())
    if not max(core, 1) <= electrons <= full:
        raise ValueError(
            f"charge must leave the structure its inner shells and give it no more than full ones, got {charge:+g}: "
            f"{atoms.get_chemical_formula()} can have {protons - full:+d} to {protons - max(core, 1):+d}"
        )
    if charges is not None and charge not in charges and not settings.knows_charge:
        known = " or ".join(f"{known:+g}" for known in charges)
        raise ValueError(
            f"charge must be {known}, that of the training data: the total charge has no part in this model, got "
            f"{charge:+g}; load one that knows charges, such as 'so3lr', or train one with charge_embedding"
        )
    odd = electrons % 2 == 1 and not atoms.pbc.any()  # electrons of cells belong to bands
    if settings.spin_trained:
        _check_spin(atoms, settings, electrons, spins, charges is not None)
    else:
        _check_closed_shell(atoms, electrons, charge, odd)


def _check_spin(
    atoms: ase.Atoms, settings: ModelSettings, electrons: int, spins: Sequence[float] | None, training_known: bool
) -> None:
    """For models that saw unpaired electrons, or of which nobody knows whether they did."""
    unpaired, source = stated_spin(atoms)
    cell = bool(atoms.pbc.any())
    odd = electrons % 2 == 1 and not cell
    if settings.spin_embedding:
        if odd and not source:
            raise ValueError(
                f"spin must be said: {atoms.get_chemical_formula()} has an odd number of electrons, and this model "
                'tells spins apart; give --multiplicity or atoms.info["multiplicity"] (2 for one unpaired electron, '
                "4 for three)"
            )
        return
    meant = unpaired if source else float(odd)
    if spins is not None:
        if meant not in spins:
            raise ValueError(
                f"spin must be {_or(spins)} unpaired electrons, that of the training data: spin has no part in this "
                f"model, got {meant:g}; train one on frames of several spins"
            )
        return
    if cell and source not in atoms.info:
        return  # moments of atoms are no spin of a cell
    least = sorted({0.0 if cell else float(odd), float(electrons % 2)})
    if meant in least:
        return
    if training_known:
        raise ValueError(
            f"spin must be {_or(least)} unpaired electrons, the least possible: spin has no part in this model, got "
            f"{meant:g} ({source}); give another multiplicity or none, or train a model on frames of several spins"
        )
    warnings.warn(
        f"spin has no part in this model, so {meant:g} unpaired electrons ({source}) change nothing: its energy is "
        "that of whatever spin it was trained on",
        stacklevel=2,
    )


def _check_closed_shell(atoms: ase.Atoms, electrons: int, charge: float, odd: bool) -> None:
    """For models that never saw unpaired electrons."""
    unpaired = unpaired_electrons(atoms)
    if odd:  # first: with an odd number of electrons, no other spin would help
        raise ValueError(
            f"charge must leave an even number of electrons: this model was trained on closed shells only, "
            f"and a charge of {charge:+g} leaves {electrons}; give the total charge with --charge, charge= or "
            'atoms.info["charge"]'
        )
    if unpaired != 0:
        raise ValueError(
            f"spin must be 0: this model was trained on closed shells only, got {unpaired:g} unpaired electrons; "
            'if the structure has none, set atoms.info["spin"] = 0'
        )


def _or(numbers: Sequence[float]) -> str:
    return " or ".join(f"{one:g}" for one in numbers)


def _symbols(numbers: Sequence[int]) -> str:
    return ", ".join(chemical_symbols[z] for z in numbers)
