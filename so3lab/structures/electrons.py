"""How many electrons does a structure have, and how many of them are unpaired, under whatever name somebody wrote it?

Files, data sets and programs call a total charge ``charge``, ``total_charge`` or ``Q``, and a spin ``spin`` or
``multiplicity``; the second word means two things. Here each of them has one meaning, at every door of so3lab.
"""

import functools
import re
from typing import Any, NamedTuple

import ase
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator

CHARGE_KEYS = (
    "charge", "total_charge", "total_charges", "net_charge", "Q", "q_total", "total_q", "qtot", "system_charge",
    "molecular_charge", "molecule_charge", "mol_charge", "tot_charge", "pubchem_total_charge", "overall_charge",
    "ionic_charge", "formal_charge", "charges", "initial_charge", "initial_charges", "charge_e", "charge_state", "chrg",
    "chg", "tot_q",
)  # fmt: skip
"""Names of a total charge in e, whatever their capitals and dashes."""
MULTIPLICITY_KEYS = ("multiplicity", "spin_multiplicity", "mult", "spin_mult", "spinmult", "spinmultiplicity", "2s+1")
"""Names of 2S + 1."""
BY_BONDS = "unpaired_by_bonds"
"""What a reader says of a molecule whose bonds pair all electrons, though no atom of it has the charge that they ask
for."""
UNPAIRED_KEYS = (
    "unpaired_electrons", "num_unpaired", "n_unpaired", "nunpaired", "unpaired", "num_unpaired_electrons",
    "n_unpaired_electrons", "number_of_unpaired_electrons", "uhf", "2s", BY_BONDS,
)  # fmt: skip
"""Names of 2S, the number of unpaired electrons."""
SPIN_KEYS = ("spin", "total_spin")
"""Names of 2S in some programs (PySCF, so3lab) and of 2S + 1 in others (fairchem, MACE); parity tells them apart."""
CHARGE_ARRAYS = ("initial_charges", "formal_charges", "formal_charge")
"""Names of charges of atoms whose sum is the total charge."""
PARTIAL_ARRAYS = ("charges", "charge", "partial_charges", "atomic_charges", "mulliken_charges", "hirshfeld_charges",
                  "npa_charges", "q", "esp_charges", "resp_charges", "bader_charges", "cm5_charges")  # fmt: skip
"""Names of computed charges of atoms, which tell the total charge where nothing else does and they add up to a whole
number."""

_WHOLE = 0.05
"""e by which charges of atoms may miss a whole number, as rounded digits do."""
_ABOUT_ELECTRONS = re.compile(
    r"charge|spin|multiplicity|unpaired|n_?elec|magmom|^(m_?s|s_?z|n_?open|n_?alpha|n_?beta)$"
)
_SIGN_BEHIND = re.compile(r"(\d+)\s*([+-])")


class Stated(NamedTuple):
    """A number of a structure, and the name under which it was found; the name is empty where nothing says it."""

    value: float
    source: str = ""


def total_charge(atoms: ase.Atoms) -> float:
    """Total charge of a structure in e; 0 where nothing says it. See :func:`stated_charge`."""
    return stated_charge(atoms).value


def unpaired_electrons(atoms: ase.Atoms) -> float:
    """Number of unpaired electrons of a structure; 0 where nothing says it. See :func:`stated_spin`."""
    return stated_spin(atoms).value


def stated_charge(atoms: ase.Atoms) -> Stated:
    """Total charge in e: that of ``atoms.info`` under any of ``CHARGE_KEYS``, or the sum of charges of the atoms.

    Args:
        atoms: The structure. Charges of atoms are those in ``CHARGE_ARRAYS``, else ``PARTIAL_ARRAYS`` and results of a
            calculator; all zero say nothing.

    Raises:
        ValueError: If a charge is no number, two of them disagree, or charges of atoms do not add up to a whole number
            and nothing else says the total.
    """
    found = [Stated(_number(atoms, key), key) for key in _keys(atoms, CHARGE_KEYS)]
    _require_agreement(found, "total charge", "e")
    sums = []
    for name in CHARGE_ARRAYS:
        if name in atoms.arrays and np.any(atoms.arrays[name]):
            sums.append(Stated(float(np.sum(atoms.arrays[name])), f"sum of {name}"))
    if not sums:
        return found[0] if found else _sum_of_partial(atoms)
    total, source = sums[0]
    whole = abs(total - round(total)) < _WHOLE
    if whole:
        total = float(round(total))
        _require_agreement([*found, Stated(total, source)], "total charge", "e")
    elif not found:
        raise ValueError(
            f"the {source} must be a whole number of elementary charges, got {total:.4g}; give the total charge with "
            '--charge, charge= or atoms.info["charge"]'
        )
    return found[0] if found else Stated(total, source)


def _sum_of_partial(atoms: ase.Atoms) -> Stated:
    """What computed charges of atoms add up to, where that is a whole number other than 0."""
    found = {name: atoms.arrays[name] for name in PARTIAL_ARRAYS if name in atoms.arrays}
    if "charges" not in found and (computed := _charges_of_calculator(atoms)) is not None:
        found["charges"] = computed
    for name, charges in found.items():
        if np.shape(charges) != (len(atoms),) or np.asarray(charges).dtype.kind not in "iuf":
            continue
        total = float(np.sum(charges))
        if round(total) and abs(total - round(total)) < _WHOLE:
            return Stated(float(round(total)), f"sum of {name}")
    return Stated(0.0)


def _charges_of_calculator(atoms: ase.Atoms) -> Any:
    """Charges of atoms among the results that came with a structure; None without any."""
    return atoms.calc.results.get("charges") if isinstance(atoms.calc, SinglePointCalculator) else None


def stated_spin(atoms: ase.Atoms) -> Stated:
    """Number of unpaired electrons: from ``atoms.info``, or the sum of initial magnetic moments.

    A multiplicity is 2S + 1. What is called ``spin`` is 2S in some programs and 2S + 1 in others; the number of
    electrons has the parity of 2S, which decides. Halves such as 0.5 are S itself.

    Raises:
        ValueError: If a spin is no number or cannot be, or two of them disagree.
    """
    found = [Stated(_from_multiplicity(_number(atoms, key), key), key) for key in _keys(atoms, MULTIPLICITY_KEYS)]
    found += [Stated(_number(atoms, key), key) for key in _keys(atoms, UNPAIRED_KEYS)]
    found += [Stated(_from_spin(_number(atoms, key), key, atoms), key) for key in _keys(atoms, SPIN_KEYS)]
    for value, source in found:
        if value < 0 or value != round(value):
            raise ValueError(f"{source} must leave a whole number of unpaired electrons, none or more, got {value:g}")
    _require_agreement(found, "number of unpaired electrons", "")
    if found:
        return found[0]
    moments = atoms.arrays.get("initial_magmoms")
    if moments is None or not np.any(moments):
        return Stated(0.0)
    summed = np.sum(moments, axis=0)  # vectors where spins are not collinear
    return Stated(float(np.linalg.norm(summed)), "sum of initial magnetic moments")


def check_parity(atoms: ase.Atoms) -> None:
    """Refuse a stated number of unpaired electrons that the number of electrons forbids.

    Args:
        atoms: A molecule; of cells, whose electrons belong to bands, nothing is asked.

    Raises:
        ValueError: If one number is even and the other is odd.
    """
    (charge, _), (unpaired, source) = stated_charge(atoms), stated_spin(atoms)
    electrons = atoms.numbers.sum() - charge
    if not source or atoms.pbc.any() or electrons != round(electrons) or unpaired != round(unpaired):
        return
    if (electrons - unpaired) % 2:
        says = "bonds without a charged atom mean" if source == BY_BONDS else f"{source} means"
        raise ValueError(
            f"{says} {unpaired:g} unpaired electrons (a multiplicity of {unpaired + 1:g}), which "
            f"{atoms.get_chemical_formula()} with a charge of {charge:+g} cannot have: it has {electrons:g} electrons; "
            "give the multiplicity (--multiplicity), or another charge (--charge)"
        )


def with_electrons(atoms: ase.Atoms, *, charge: float | None = None, multiplicity: int | None = None) -> ase.Atoms:
    """A copy with this charge and multiplicity in place of all that it says about them.

    Args:
        atoms: The structure.
        charge: Total charge in e; None leaves what there is.
        multiplicity: 2S + 1; None leaves what there is.

    Returns:
        The structure with ``info["charge"]`` and ``info["multiplicity"]``; its calculator is left behind.

    Raises:
        ValueError: If ``multiplicity`` is not a positive whole number.
    """
    result = atoms.copy()
    if (charges := _charges_of_calculator(atoms)) is not None and "charges" not in result.arrays:
        result.arrays["charges"] = np.array(charges)  # the calculator is left behind
    if charge is not None:
        for key in _keys(atoms, CHARGE_KEYS):
            del result.info[key]
        for name in {*CHARGE_ARRAYS, *PARTIAL_ARRAYS} & set(result.arrays):
            del result.arrays[name]
        result.info["charge"] = charge
    if multiplicity is not None:
        unpaired = _from_multiplicity(multiplicity, "multiplicity")
        if unpaired != round(unpaired):
            raise ValueError(f"multiplicity must be a whole number, 2S + 1, got {multiplicity}")
        for key in _keys(atoms, MULTIPLICITY_KEYS + UNPAIRED_KEYS + SPIN_KEYS):
            del result.info[key]
        result.arrays.pop("initial_magmoms", None)
        result.info["multiplicity"] = multiplicity
    return result


def overlooked(atoms: ase.Atoms) -> list[str]:
    """Names in ``atoms.info`` of single values that sound like a charge or spin and are none that has a meaning."""
    known = _canonical_names(CHARGE_KEYS + MULTIPLICITY_KEYS + UNPAIRED_KEYS + SPIN_KEYS)
    return [
        str(key)
        for key, value in atoms.info.items()
        if sounds_like_electrons(str(key)) and np.size(value) == 1 and _canonical(key) not in known
    ]


def sounds_like_electrons(name: str) -> bool:
    """Whether a name, known or not, sounds like one of a charge or a spin."""
    return bool(_ABOUT_ELECTRONS.search(_canonical(name)))


def is_charge_key(name: str) -> bool:
    """Whether a name is one of ``CHARGE_KEYS``."""
    return _canonical(name) in _canonical_names(CHARGE_KEYS)


def is_spin_key(name: str) -> bool:
    """Whether a name is one of those of spins or multiplicities, whatever its capitals and dashes."""
    return _canonical(name) in _canonical_names(MULTIPLICITY_KEYS + UNPAIRED_KEYS + SPIN_KEYS)


def _canonical(name: Any) -> str:
    return str(name).lower().replace("-", "_").replace(" ", "_")


@functools.cache
def _canonical_names(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(map(_canonical, names))


def _keys(atoms: ase.Atoms, names: tuple[str, ...]) -> list[str]:
    """Keys of ``atoms.info`` that have one of these names; tables, such as quadrupoles called Q, have not."""
    wanted = _canonical_names(names)
    return [key for key in atoms.info if _canonical(key) in wanted and np.size(atoms.info[key]) == 1]


def _number(atoms: ase.Atoms, key: str) -> float:
    value = atoms.info[key]
    if isinstance(value, str):
        value = value.strip().replace("\N{MINUS SIGN}", "-").replace("\N{EN DASH}", "-")
        if match := _SIGN_BEHIND.fullmatch(value):
            value = match[2] + match[1]  # 2-, as chemists write it
    try:
        number = np.nan if isinstance(value, bool | np.bool_) else float(np.asarray(value).reshape(()))
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        raise ValueError(f'atoms.info["{key}"] must be a number, got {value!r}')
    return number


def _from_multiplicity(value: float, key: str) -> float:
    if not value >= 1:
        raise ValueError(f"{key} must be 2S + 1, so at least 1 (1 for a closed shell), got {value:g}")
    return value - 1.0


def _from_spin(value: float, key: str, atoms: ase.Atoms) -> float:
    """2S of what may be 2S, 2S + 1 or, in halves, S."""
    electrons = int(atoms.numbers.sum()) - round(total_charge(atoms))
    if value == 0:
        return 0.0
    if value > 0 and value == round(value):
        return value if (value - electrons) % 2 == 0 else value - 1.0
    if value > 0 and 2 * value == round(2 * value) and (2 * value - electrons) % 2 == 0:
        return 2.0 * value
    raise ValueError(
        f"{key} must be the number of unpaired electrons (2S) or the multiplicity (2S + 1) of {electrons} electrons, "
        f"got {value:g}; write multiplicity=..., which has one meaning"
    )


def _require_agreement(found: list[Stated], what: str, unit: str) -> None:
    for other in found[1:]:
        if other.value != found[0].value:
            raise ValueError(
                f"the {what} must be said once, or the same each time, got {found[0].value:g}{unit and ' ' + unit} "
                f"({found[0].source}) and {other.value:g}{unit and ' ' + unit} ({other.source}); remove the wrong one"
            )
