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

from so3lab.structures.smiles import formal_charge

CHARGE_KEYS = (
    "charge", "total_charge", "total_charges", "net_charge", "Q", "q_total", "total_q", "qtot", "system_charge",
    "molecular_charge", "molecule_charge", "mol_charge", "tot_charge", "pubchem_total_charge", "overall_charge",
    "ionic_charge", "ion_charge", "formal_charge", "charges", "initial_charge", "initial_charges", "charge_e",
    "charge_state", "charge_total", "chrg", "chg", "tot_q",
)  # fmt: skip
"""Names of a total charge in e, whatever their capitals, dashes and spaces."""
NEUTRAL = "neutral"
"""The word that stands for a total charge of 0."""
MULTIPLICITY_KEYS = ("multiplicity", "spin_multiplicity", "mult", "spin_mult", "spinmult", "spinmultiplicity", "2s+1")
"""Names of 2S + 1."""
LEVELS = {
    "singlet": 1, "doublet": 2, "triplet": 3, "quartet": 4, "quintet": 5, "sextet": 6, "septet": 7,
}  # fmt: skip
"""Words for 2S + 1."""
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
                  "npa_charges", "q", "esp_charges", "resp_charges", "bader_charges", "cm5_charges", "mulliken",
                  "mulliken_charge", "lowdin_charges", "hirshfeld", "npa", "partial_charge")  # fmt: skip
"""Names of computed charges of atoms, which tell the total charge where nothing else does and they add up to a whole
number."""

_MOMENTS, _MOMENT = ("magmoms", "magnetic_moments"), "magmom"
"""Names of computed magnetic moments of atoms, and of their sum."""
_OF_ALL = frozenset(("numbers", "positions"))
_WHOLE = 0.05
"""e by which charges of atoms may miss a whole number, as rounded digits do."""
_ABOUT_ELECTRONS = re.compile(r"charge|spin|multiplicity|unpaired|nelec|magmom|^(ms|sz|nopen|nalpha|nbeta)$")
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
    for name, charges in _columns(atoms, CHARGE_ARRAYS).items():
        if np.any(charges):
            sums.append(Stated(float(np.sum(charges)), f"sum of {name}"))
    if not sums:
        return found[0] if found else _of_smiles(atoms) or _sum_of_partial(atoms)
    total, source = sums[0]
    if is_whole(total):
        total = float(round(total))
        _require_agreement([*found, Stated(total, source)], "total charge", "e")
    elif not found:
        raise ValueError(
            f"the {source} must be a whole number of elementary charges, got {total:.4g}; give the total charge with "
            '--charge, charge= or atoms.info["charge"]'
        )
    return found[0] if found else Stated(total, source)


def _of_smiles(atoms: ase.Atoms) -> Stated | None:
    """The formal charges of a SMILES of the same atoms that stands beside them; None without one."""
    for key, value in atoms.info.items():
        if (
            is_smiles_key(key)
            and isinstance(value, str)
            and (charge := formal_charge(value, atoms.numbers)) is not None
        ):
            return Stated(float(charge), key)
    return None


def is_smiles_key(name: str) -> bool:
    """Whether a name is that of a SMILES string."""
    return _canonical(name) in ("smiles", "canonicalsmiles", "mappedsmiles")


def _sum_of_partial(atoms: ase.Atoms) -> Stated:
    """What computed charges of atoms add up to, where that is a whole number."""
    found = _columns(atoms, PARTIAL_ARRAYS)
    if "charges" not in found and (computed := _charges_of_calculator(atoms)) is not None:
        found["charges"] = computed
    for name, charges in found.items():
        if np.shape(charges) != (len(atoms),) or np.asarray(charges).dtype.kind not in "iuf":
            continue
        total = float(np.sum(charges))
        if np.any(charges) and is_whole(total) and not are_electrons(charges):
            return Stated(float(round(total)), f"sum of {name}")
    return Stated(0.0)


def are_electrons(charges: Any) -> bool:
    """Whether what is called charges of atoms are numbers of electrons, as programs for Bader's atoms print them: two
    and more in all, and all of one sign."""
    values = np.asarray(charges)
    return (
        values.size > 1 and abs(float(values.sum())) > 2.0 - _WHOLE and bool((values > 0).all() or (values < 0).all())
    )


def is_whole(total: float) -> bool:
    """Whether charges of atoms add up to a whole number, but for rounded digits."""
    return abs(total - round(total)) < _WHOLE


def _charges_of_calculator(atoms: ase.Atoms) -> Any:
    """Charges of atoms among the results that came with a structure; None without any."""
    return atoms.calc.results.get("charges") if isinstance(atoms.calc, SinglePointCalculator) else None


def stated_spin(atoms: ase.Atoms) -> Stated:
    """Number of unpaired electrons: from ``atoms.info``, or the sum of initial magnetic moments.

    A multiplicity is 2S + 1. What is called ``spin`` is 2S in some programs and 2S + 1 in others; the number of
    electrons has the parity of 2S, which decides. Halves such as 0.5 are S itself.

    Where nothing says it, computed moments of a molecule that add up to a whole number do.

    Raises:
        ValueError: If a spin is no number or cannot be, or two of them disagree.
    """
    found = [
        Stated(_from_multiplicity(level_in(atoms.info[key]) or _number(atoms, key), key), key)
        for key in _keys(atoms, MULTIPLICITY_KEYS)
    ]
    found += [Stated(_number(atoms, key), key) for key in _keys(atoms, UNPAIRED_KEYS)]
    found += [Stated(_from_spin(atoms, key), key) for key in _keys(atoms, SPIN_KEYS)]
    for value, source in found:
        if value < 0 or value != round(value):
            raise ValueError(f"{source} must leave a whole number of unpaired electrons, none or more, got {value:g}")
    _require_agreement(found, "number of unpaired electrons", "")
    if found:
        return found[0]
    moments = atoms.arrays.get("initial_magmoms")
    if moments is None or not np.any(moments):
        return _sum_of_computed_moments(atoms)
    summed = np.sum(moments, axis=0)  # vectors where spins are not collinear
    return Stated(float(np.linalg.norm(summed)), "sum of initial magnetic moments")


def _sum_of_computed_moments(atoms: ase.Atoms) -> Stated:
    """What computed moments of a molecule add up to, where its number of electrons allows that and it is not 0."""
    if atoms.pbc.any() or not has_computed_moments(atoms):
        return Stated(0.0)
    name, moments = next(iter(_computed_moments(atoms).items()))
    if np.ndim(moments) > 1 or np.asarray(moments).dtype.kind not in "iuf":
        return Stated(0.0)
    total = abs(float(np.sum(moments)))
    electrons = int(atoms.numbers.sum()) - round(total_charge(atoms))
    if not round(total) or abs(total - round(total)) > _WHOLE or (electrons - round(total)) % 2:
        return Stated(0.0)
    return Stated(float(round(total)), name if name == _MOMENT else f"sum of {name}")


def has_computed_moments(atoms: ase.Atoms) -> bool:
    """Whether a program left magnetic moments with a structure."""
    return bool(_computed_moments(atoms))


def _computed_moments(atoms: ase.Atoms) -> dict[str, Any]:
    results = atoms.calc.results if isinstance(atoms.calc, SinglePointCalculator) else {}
    found = {name: atoms.arrays[name] for name in _MOMENTS if name in atoms.arrays}
    for place in (results, atoms.info):
        for name in (*_MOMENTS, _MOMENT):
            if place.get(name) is not None:
                found.setdefault(name, place[name])
    return found


def check_parity(atoms: ase.Atoms) -> None:
    """Refuse a charge of more electrons than there are, and a number of unpaired ones that the number of all forbids.

    Args:
        atoms: A molecule; of cells, whose electrons belong to bands, no spin is asked.

    Raises:
        ValueError: If there are fewer electrons than none, or one number is even and the other is odd.
    """
    (charge, of_charge), (unpaired, source) = stated_charge(atoms), stated_spin(atoms)
    electrons = atoms.numbers.sum() - charge
    if electrons < 0:
        raise ValueError(
            f"a total charge of {charge:+g} e ({of_charge}) takes more electrons than the {atoms.numbers.sum()} that "
            f"{atoms.get_chemical_formula()} has; correct it"
        )
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
    if not any(name in result.arrays for name in _MOMENTS):
        for name, moments in _computed_moments(atoms).items():  # likewise
            if name == _MOMENT:
                result.info[name] = float(np.sum(moments))
            elif np.shape(moments) == (len(atoms),):
                result.arrays[name] = np.array(moments)
    if charge is not None:
        for key in _keys(atoms, CHARGE_KEYS):
            del result.info[key]
        for name in _arrays_named(result, CHARGE_ARRAYS + PARTIAL_ARRAYS):
            del result.arrays[name]
        result.info["charge"] = charge
    if multiplicity is not None:
        unpaired = _from_multiplicity(multiplicity, "multiplicity")
        if unpaired != round(unpaired):
            raise ValueError(f"multiplicity must be a whole number, 2S + 1, got {multiplicity}")
        for key in _keys(atoms, MULTIPLICITY_KEYS + UNPAIRED_KEYS + SPIN_KEYS):
            del result.info[key]
        for name in ("initial_magmoms", *_MOMENTS):
            result.arrays.pop(name, None)
        result.info.pop(_MOMENT, None)
        result.info["multiplicity"] = multiplicity
    return result


def overlooked(atoms: ase.Atoms) -> list[str]:
    """Names in ``atoms.info`` of single values that sound like a charge or spin and are none that has a meaning."""
    known = _canonical_names((*CHARGE_KEYS, *MULTIPLICITY_KEYS, *UNPAIRED_KEYS, *SPIN_KEYS, _MOMENT))
    return [
        str(key)
        for key, value in atoms.info.items()
        if sounds_like_electrons(str(key)) and np.size(value) == 1 and _canonical(key) not in known
    ]


def overlooked_columns(atoms: ase.Atoms) -> list[str]:
    """Names of numbers of atoms that sound like charges or spins, have no meaning here and add up to a whole number
    other than 0."""
    known = _canonical_names((*CHARGE_ARRAYS, *_MOMENTS, "initial_magmoms"))
    computed = _canonical_names(PARTIAL_ARRAYS)
    found = []
    for name, values in atoms.arrays.items():
        if _canonical(name) in known or not sounds_like_electrons(name) or values.ndim != 1:
            continue
        if _canonical(name) in computed and not are_electrons(values):
            continue
        if values.dtype.kind in "iuf" and round(total := float(values.sum())) and is_whole(total):
            found.append(name)
    return found


def sounds_like_electrons(name: str) -> bool:
    """Whether a name, known or not, sounds like one of a charge or a spin."""
    return bool(_ABOUT_ELECTRONS.search(_canonical(name)))


def is_charge_key(name: str) -> bool:
    """Whether a name is one of ``CHARGE_KEYS``."""
    return _canonical(name) in _canonical_names(CHARGE_KEYS)


def is_column_of_charges(name: str, *, computed: bool) -> bool:
    """Whether a name is one of computed charges of atoms, or of those of which somebody made the total."""
    return _canonical(name) in _canonical_names(PARTIAL_ARRAYS if computed else CHARGE_ARRAYS)


def is_spin_key(name: str) -> bool:
    """Whether a name is one of those of spins or multiplicities, whatever its capitals and dashes."""
    return _canonical(name) in _canonical_names(MULTIPLICITY_KEYS + UNPAIRED_KEYS + SPIN_KEYS)


@functools.lru_cache(maxsize=4096)
def _canonical(name: Any) -> str:
    return re.sub("[-_ ]", "", str(name).lower())


@functools.cache
def _canonical_names(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(map(_canonical, names))


def _keys(atoms: ase.Atoms, names: tuple[str, ...]) -> list[str]:
    """Keys of ``atoms.info`` that have one of these names; tables, such as quadrupoles called Q, have not, and None
    says nothing."""
    wanted = _canonical_names(names)
    return [
        key
        for key, value in atoms.info.items()
        if _canonical(key) in wanted and value is not None and np.size(value) == 1
    ]


def _arrays_named(atoms: ase.Atoms, names: tuple[str, ...]) -> list[str]:
    """Arrays of the atoms that have one of these names, in the order of the names."""
    wanted = _canonical_names(names)
    found = [name for name in atoms.arrays if name not in _OF_ALL and _canonical(name) in wanted]
    order = list(map(_canonical, names)) if len(found) > 1 else []
    return sorted(found, key=lambda name: order.index(_canonical(name))) if order else found


def _columns(atoms: ase.Atoms, names: tuple[str, ...]) -> dict[str, Any]:
    """Numbers of atoms that have one of these names, some of which people put into ``info``."""
    found = {name: atoms.arrays[name] for name in _arrays_named(atoms, names)}
    wanted = _canonical_names(names)
    for key, value in atoms.info.items():
        listed = isinstance(value, list | tuple | np.ndarray) and _canonical(key) in wanted
        if listed and len(atoms) > 1 and np.shape(value) == (len(atoms),):
            found[key] = value
    return found


def _number(atoms: ase.Atoms, key: str) -> float:
    """The number that an entry is, or that its words mean: ``2-``, ``neutral``, ``doublet``."""
    value = atoms.info[key]
    if isinstance(value, str):
        if value.strip().lower() == NEUTRAL and is_charge_key(key):
            return 0.0
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


def level_in(value: Any) -> int | None:
    """2S + 1 that a word such as ``doublet`` means; None for anything else."""
    return LEVELS.get(value.strip().lower()) if isinstance(value, str) else None


def _from_spin(atoms: ase.Atoms, key: str) -> float:
    """2S of what may be 2S, 2S + 1 or, in halves, S."""
    if level := level_in(atoms.info[key]):
        return level - 1.0
    value = _number(atoms, key)
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
