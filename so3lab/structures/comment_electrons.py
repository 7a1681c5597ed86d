"""What do comment lines of XYZ files say of charge and spin, in whatever words somebody wrote it?

Programs begin a geometry with two numbers, ``-1 1``, and people write ``charge -1, multiplicity 2``, ``S=1`` or
``the anion``. What means one thing is read; what sounds like a charge or a spin and is not read is said.
"""

import re

import ase
import numpy as np

from so3lab.structures.electrons import (
    CHARGE_ARRAYS,
    LEVELS,
    NEUTRAL,
    is_charge_key,
    is_spin_key,
    stated_charge,
    stated_spin,
    total_charge,
)

_WHOLE = rf"(\d+[+-](?!\d)|[+-]?\d+|{NEUTRAL})(?:\.0*)?"
_END = r"(?![\w.])"
_JOIN = r"(?:\s*[:=]\s*|\s+(?:(?:is|of)\s+)?)"
_PAIR_ALONE = re.compile(r"\s*([+-]?\d)[\s,]+(\d)\s*")
"""A comment of two numbers alone: charge and multiplicity, as programs of quantum chemistry begin a geometry."""
_PAIR_BEFORE_WORDS = re.compile(r"\s*([+-]?\d)\s+(\d)\s+[^\s\d.+-].*")
_PAIR_BEHIND_WORDS = re.compile(r".*[^\s\d.+-]\s+([+-]\d)[\s,]+([1-9])\s*")
_PAIR_NAMED = re.compile(
    rf"charge\s*(?:,|/|&|and)\s*(?:spin[ _]?)?mult(?:iplicity)?(?:\s*[:=]\s*|\s+){_WHOLE}[\s,/]+(\d+){_END}",
    re.IGNORECASE,
)
_WITH_CHARGE = rf"(?<!\w)(?:(?:(?:total|net)[ _])?(?:charge|chrg|chg){_JOIN}|q\s*[:=]\s*){_WHOLE}(?:\s?\|?e\|?)?{_END}"
_CHARGE = re.compile(_WITH_CHARGE, re.IGNORECASE)
_MULTIPLICITY = re.compile(rf"(?<!\w)mult(?:iplicity)?{_JOIN}(\d+){_END}", re.IGNORECASE)
_UNPAIRED = re.compile(rf"(?<!\w)uhf{_JOIN}(\d+){_END}", re.IGNORECASE)
_READ = {"charge": _CHARGE, "multiplicity": _MULTIPLICITY, "uhf": _UNPAIRED}
_LEVEL = rf"\b({'|'.join(LEVELS)})\b(?!-)"
_LEVEL_BEHIND_CHARGE = re.compile(rf"{_WITH_CHARGE}[\s,;/]*(?:and\s+)?{_LEVEL}", re.IGNORECASE)
_LEVEL_BEFORE_CHARGE = re.compile(rf"{_LEVEL}[\s,;/]+(?:(?:and|with)\s+)?{_WITH_CHARGE}", re.IGNORECASE)
_SIGNED = r"\(?([+-]\d|\d[+-])\)?"
_SIGNED_AND_LEVEL = re.compile(rf"{_SIGNED}[\s,;/]+{_LEVEL}", re.IGNORECASE)
_LEVEL_AND_SIGNED = re.compile(rf"{_LEVEL}[\s,;/]+{_SIGNED}", re.IGNORECASE)
_SINGLET = re.compile(r"\bsinglet\b(?!-)", re.IGNORECASE)
_IONS = {
    "monoanion": -1, "dianion": -2, "trianion": -3, "tetraanion": -4,
    "monocation": 1, "dication": 2, "trication": 3, "tetracation": 4,
}  # fmt: skip
"""Words that say a total charge."""
_NOT_THE_ION = re.compile(
    r"\b(?:not?|non|neutral|from|to|into|without|parent|precursor|before|minus|and|or)\b", re.IGNORECASE
)
"""Beside such words a comment may speak of another ion than the structure."""
_OF_ODD_ELECTRONS = re.compile(r"\b(?:radical|doublet|quartet|sextet)\b", re.IGNORECASE)
_ENTRY = re.compile(r"""(?<!\S)([^\s="']+)\s*=\s*("[^"]*"|'[^']*'|\S+)""")
_NAMED_ENTRY = re.compile(r"""[^\s="']+=(?:"[^"]*"|'[^']*'|\{[^}]*\}|\[[^\]]*\]|[^\s]+)""")
_OF_CHARGE = re.compile(r"\b(charges?|charged|chrg|chg|\w*anion\w*|\w*cation(?:ic)?|\w*protonated)\b", re.IGNORECASE)
_OF_SPIN = re.compile(
    r"\b(mult|multiplicity|spin|uhf|doublet|triplet|quartet|quintet|sextet|septet|bi?radical|diradical|radical)\b",
    re.IGNORECASE,
)
_FORMULA = re.compile(
    r"(?<![\w.])\[?((?:[A-Z][a-z]?\d*)+)\]?(?:\s?\^?\{?\d?[+-]\}?|[+-]{2,3}|\s?[+-]\d|\s?\((?:\d?[+-]|[+-]\d)\))(?![\w.+-])"
)
"""Of an ion, such as ``NH4+``, ``OH(-)``, ``[SO4]2-``, ``SO4 2-``, ``SO4^2-`` or ``SO4--``."""
_BARE_WORD = re.compile(r"q|(?:(?:total|net)_?)?charges?|-*chrg|-*chg|mult\w*|-*uhf|spin", re.IGNORECASE)
_LARGEST_SPIN = 10.0


def take_electrons(atoms: ase.Atoms, comment: str) -> list[str]:
    """Take charge and spin of a comment line into ``atoms.info``, where it says them in other ways than by a key.

    Args:
        atoms: As ASE read them; changed in place.
        comment: The second line of their frame.

    Returns:
        A sentence for what was read, and for what sounds like a charge or a spin and was not.

    Raises:
        ValueError: If ``S=`` may mean two numbers of unpaired electrons, or words or entries say two charges; the
            sentence names both.
    """
    comment = comment.replace("\N{MINUS SIGN}", "-").replace("\N{EN DASH}", "-")
    pair = _PAIR_ALONE.fullmatch(comment)
    _check_said_once(comment)
    if pair:
        return _take_pair(atoms, comment, int(pair[1]), int(pair[2]))
    notes = _take_words(atoms, comment)
    _drop_words(atoms)
    if not notes and (pair := _PAIR_BEFORE_WORDS.fullmatch(comment)):
        notes = _take_pair_before_words(atoms, comment, pair[1], int(pair[2]))
    notes += _take_level(atoms, comment) + _take_total_spin(atoms) + _take_ion(atoms, comment)
    return notes + _not_read(atoms, comment)


def _check_said_once(comment: str) -> None:
    """Refuse a charge, a spin or an energy that an entry says twice, of which ASE takes the last."""
    if comment.count("=") < 2:
        return
    said: dict[str, str] = {}
    for key, value in _ENTRY.findall(comment):
        if said.setdefault(key, value) != value and (is_charge_key(key) or is_spin_key(key) or "energy" in key.lower()):
            raise ValueError(f"{key} must be said once, got {key}={said[key]} and {key}={value}; remove the wrong one")


def _possible(atoms: ase.Atoms, charge: int, multiplicity: int) -> bool:
    return multiplicity > 0 and (int(atoms.numbers.sum()) - charge - multiplicity) % 2 == 1


def _take_pair(atoms: ase.Atoms, comment: str, charge: int, multiplicity: int) -> list[str]:
    atoms.info = {}  # in which ASE has put the numbers as names
    if not _possible(atoms, charge, multiplicity):
        return [f"the second line {comment.strip()!r} is left out: it cannot be a charge and a multiplicity"]
    atoms.info = {"charge": charge, "multiplicity": multiplicity}
    if not charge and multiplicity == 1:
        return []
    return [f"the second line {comment.strip()!r} is read as charge and multiplicity"]


def _take_pair_before_words(atoms: ase.Atoms, comment: str, charge: str, multiplicity: int) -> list[str]:
    """``-1 1 and words``: taken where the charge has a sign, since numbers of frames have none."""
    start = f"the second line begins with '{charge} {multiplicity}', which"
    if not _possible(atoms, int(charge), multiplicity):
        return [f"{start} is left out: it cannot be a charge and a multiplicity"] if charge[0] in "+-" else []
    if charge[0] in "+-":
        for value, stated in ((int(charge), stated_charge(atoms)), (multiplicity - 1, stated_spin(atoms))):
            if stated.source and stated.value != value:
                raise ValueError(
                    f"{start} would be charge and multiplicity, but another number stands under {stated.source!r}; "
                    "remove the wrong one"
                )
        atoms.info |= {"charge": int(charge), "multiplicity": multiplicity}
        return [f"{start} is read as charge and multiplicity"]
    if not int(charge) and multiplicity == 1:
        return []
    return [
        f"{start} is left out, since it may be something else; if it is charge and multiplicity, write charge={charge} "
        f"multiplicity={multiplicity}"
    ]


def _take_words(atoms: ase.Atoms, comment: str) -> list[str]:
    """Charge and multiplicity in words such as ``charge -1, multiplicity 2``, where nothing of ``info`` says them.

    Raises:
        ValueError: If words say two charges or multiplicities.
    """
    found: dict[str, int] = {}
    if pair := _PAIR_NAMED.search(comment):
        found = {"charge": _signed(pair[1]), "multiplicity": int(pair[2])}
    else:
        for key, pattern in _READ.items():
            stated = [name for name, value in atoms.info.items() if pattern.match(f"{name}=0") and value is not True]
            numbers = set() if stated else set(map(_signed, pattern.findall(comment)))
            if len(numbers) > 1:
                both = " and ".join(map(str, sorted(numbers)))
                raise ValueError(f"the {key} must be said once, but {comment.strip()!r} says {both}; remove one")
            if numbers:
                found[key] = numbers.pop()
    atoms.info.update(found)
    named = ", ".join(f"{key} {value:d}" for key, value in found.items())
    return [f"read from the words of the second line: {named}"] if found else []


def _take_level(atoms: ase.Atoms, comment: str) -> list[str]:
    """``doublet`` beside a charge: ``charge -1, singlet``, ``-1 singlet``; alone it may name anything.

    A charge without a name is taken at the beginning, where programs and people write both.
    """
    if "et" not in comment.lower() or any(is_spin_key(key) for key in atoms.info):
        return []
    if match := _LEVEL_BEHIND_CHARGE.search(comment):
        level = match[2].lower()
    elif match := _LEVEL_BEFORE_CHARGE.search(comment):
        level = match[1].lower()
    else:
        return [] if stated_charge(atoms).source else _take_signed_and_level(atoms, comment.strip())
    atoms.info["multiplicity"] = LEVELS[level]
    return [f"{level!r} of the second line is read as multiplicity {LEVELS[level]}"]


def _take_signed_and_level(atoms: ase.Atoms, comment: str) -> list[str]:
    if match := _SIGNED_AND_LEVEL.match(comment):
        charge, level = _signed(match[1]), match[2].lower()
    elif match := _LEVEL_AND_SIGNED.fullmatch(comment):
        charge, level = _signed(match[2]), match[1].lower()
    else:
        return []
    if not _possible(atoms, charge, LEVELS[level]):
        return [f"{match[0]!r} of the second line is left out: it cannot be a charge and a multiplicity"]
    atoms.info |= {"charge": charge, "multiplicity": LEVELS[level]}
    return [f"{match[0]!r} of the second line is read as charge {charge:+d} and multiplicity {LEVELS[level]}"]


def _take_ion(atoms: ase.Atoms, comment: str) -> list[str]:
    """``dianion``, where it is the only word of a charge and the number of electrons goes with it."""
    if "ion" not in comment.lower() or atoms.pbc.any():
        return []
    free = _NAMED_ENTRY.sub(" ", comment)
    words = [match[0] for match in _OF_CHARGE.finditer(free)]
    charge = _IONS.get(words[0].lower()) if len(words) == 1 else None
    if charge is None or _NOT_THE_ION.search(free) or stated_charge(atoms).source:
        return []
    odd = (int(atoms.numbers.sum()) - charge) % 2 == 1
    if odd != bool(_OF_ODD_ELECTRONS.search(free) or stated_spin(atoms).value % 2):
        return []
    atoms.info["charge"] = charge
    return [f"{words[0]!r} of the second line is read as charge {charge:+d}"]


def _drop_words(atoms: ase.Atoms) -> None:
    """Remove what ASE makes of single words: names without a value."""
    for name, value in list(atoms.info.items()):
        both = re.match(r"charge\W*(?:and\W*)?(?:spin\W*)?mult", str(name), re.IGNORECASE)
        if both or (value is True and _BARE_WORD.fullmatch(str(name).strip(":,;."))):
            del atoms.info[name]


def _signed(word: str) -> int:
    """A whole number whose sign may stand behind it, as chemists write, or the word for none."""
    if word.lower() == NEUTRAL:
        return 0
    return int(word[-1] + word[:-1]) if word[-1] in "+-" else int(word)


def _take_total_spin(atoms: ase.Atoms) -> list[str]:
    """``S=1``: the total spin, so 2S unpaired electrons, or a multiplicity, where the number of electrons decides."""
    found = atoms.info.get("S")
    if isinstance(found, str) and (half := re.fullmatch(r"([1-9])/2", found)):
        found = int(half[1]) / 2
    if isinstance(found, bool) or not isinstance(found, int | float | np.integer | np.floating):
        return []
    value = float(found)
    if not 0 <= value <= _LARGEST_SPIN or 2 * value != round(2 * value):
        return []  # whatever else somebody calls S
    if atoms.pbc.any():
        return [
            f"S={value:g} is left out: of cells the number of electrons does not tell a spin; write multiplicity=..."
        ]
    electrons = int(atoms.numbers.sum()) - round(total_charge(atoms))
    meant = {value - 1.0: "a multiplicity", 2.0 * value: f"the total spin, so a multiplicity of {2 * value + 1:g}"}
    possible = [n for n in meant if n >= 0 and n == round(n) and (electrons - n) % 2 == 0]
    if not possible:
        raise ValueError(f"S={value:g} is no spin of {electrons} electrons; write multiplicity=..., or remove it")
    if len(possible) > 1:
        raise ValueError(
            f"S={value:g} may be the total spin (a multiplicity of {2 * value + 1:g}) or the multiplicity itself, "
            f"{value:g}, of {electrons} electrons; write multiplicity=..., which has one meaning"
        )
    del atoms.info["S"]
    atoms.info["unpaired_electrons"] = int(possible[0])
    return [f"S={value:g} is read as {meant[possible[0]]}"] if value else []


def unread_in_title(atoms: ase.Atoms, title: str) -> list[str]:
    """A sentence for what sounds like a charge or a spin in the title of a format that has other places for both.

    Args:
        atoms: With what those places say.
        title: The name of the molecule, or whatever else somebody wrote there.
    """
    options = {"charge": "--charge", "spin": "--multiplicity"}
    return [
        f"the title has {word!r}, from which nothing is read; if it tells the {what}, give it with "
        f"{options.get(what, '--charge and --multiplicity')}"
        for word, what, _ in _unread(atoms, title)
    ]


def _not_read(atoms: ase.Atoms, comment: str) -> list[str]:
    return [
        f"the second line has {word!r}, from which nothing is read; if it tells the {what}, write {key}=..."
        for word, what, key in _unread(atoms, comment)
    ]


def _unread(atoms: ase.Atoms, comment: str) -> list[tuple[str, str, str]]:
    """Words of charge and spin from which nothing was read, what they may tell, and the key that would."""
    free = _NAMED_ENTRY.sub(" ", comment) if "=" in comment else comment
    of_charge, of_spin, singlet = (pattern.search(free) for pattern in (_OF_CHARGE, _OF_SPIN, _SINGLET))
    ions = _FORMULA.finditer(free) if "+" in free or "-" in free else ()
    ion = next((match for match in ions if _is_part(match[1], atoms)), None)
    pair = _PAIR_BEHIND_WORDS.fullmatch(free)
    if not (of_charge or of_spin or singlet or ion or pair):
        return []
    of_atoms = any(np.any(atoms.arrays.get(name, 0)) for name in CHARGE_ARRAYS)  # whose sum somebody may still replace
    if singlet and not (of_spin or of_atoms or atoms.pbc.any()):
        of_spin = None if _possible(atoms, round(total_charge(atoms)), 1) else singlet  # else nothing new
    found = []
    charged = None if of_atoms or stated_charge(atoms).source else pair or of_charge or ion
    if charged and charged is pair:
        found.append((f"{pair[1]} {pair[2]}", "charge and the multiplicity", f"charge={pair[1]} multiplicity"))
    elif charged:
        found.append((charged[0], "charge", "charge"))
    if of_spin and not any(is_spin_key(key) for key in atoms.info):
        found.append((of_spin[0], "spin", "multiplicity"))
    return found


def _is_part(formula: str, atoms: ase.Atoms) -> bool:
    """Whether all elements of a formula are in the structure, and all of the structure in the formula."""
    return set(re.findall("[A-Z][a-z]?", formula)) == set(atoms.get_chemical_symbols())
