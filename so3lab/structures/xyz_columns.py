"""What do the columns of a frame of extended XYZ hold, and which word in them is no number?"""

import re
from collections.abc import Sequence
from typing import NamedTuple

_FORTRAN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)[dD][+-]?\d+")
_PROPERTIES = re.compile(r"Properties=(?:[\"']([^\"']*)[\"']|(\S+))")
_KINDS = {"R": "numbers", "I": "whole numbers"}


class Columns(NamedTuple):
    """Some columns of one name."""

    name: str
    kind: str
    """R for numbers, I for whole ones, S for words, L for yes or no."""
    begin: int
    width: int


def columns_of(comment: str) -> list[Columns]:
    """What ``Properties`` says of the columns.

    Raises:
        ValueError: If it is not of the form that it has.
    """
    match = _PROPERTIES.search(comment)
    words = (match[1] or match[2] if match else "").split(":")
    found, begin = [], 0
    try:
        for name, kind, width in zip(words[::3], words[1::3], words[2::3], strict=True):
            found.append(Columns(name, kind, begin, int(width)))
            begin += int(width)
    except ValueError:
        raise ValueError(
            f"Properties must be names, kinds and widths such as species:S:1:pos:R:3, got {comment.strip()[:120]!r}"
        ) from None
    if all(columns.name != "pos" for columns in found):
        raise ValueError(f"Properties must have pos:R:3, got {':'.join(words)}")
    return found


def number_in(word: str) -> str | None:
    """A number as Python writes it; None when it is none."""
    if _FORTRAN.fullmatch(word):
        word = word.replace("d", "e").replace("D", "e")
    word = word.replace("*^", "e")  # of Mathematica
    try:
        float(word)
    except ValueError:
        return None
    return word


def why_no_number(word: str) -> str:
    """The end of a sentence about a word that should be a number: what it looks like."""
    if "," in word and number_in(word.replace(",", ".")) is not None:
        return "; write a point in place of the comma"
    return "; a program printed stars because the number did not fit" if "*" in word else ""


def in_pythons_words(rows: Sequence[str], columns: Sequence[Columns], first_line: int, path: object) -> list[str]:
    """Rows whose numbers are written as Python writes them.

    Args:
        rows: One for each atom.
        columns: What they hold.
        first_line: Where the first stands in the file.
        path: The file, for messages.

    Raises:
        ValueError: If a row has too few or too many columns, or a word is no number; the sentence names line, column
            and word.
    """
    needed = sum(one.width for one in columns)
    result = []
    for line, row in enumerate(rows, start=first_line):
        words = row.split()
        if len(words) != needed:
            named = ", ".join(f"{one.width} of {one.name}" for one in columns)
            raise ValueError(f"{path}, line {line}: {needed} columns are needed ({named}), got {len(words)}: {row!r}")
        for one in columns:
            for at in range(one.begin, one.begin + one.width) if one.kind in _KINDS else ():
                number = number_in(words[at])
                if number is None:
                    raise ValueError(
                        f"{path}, line {line}: the column {one.name} must hold {_KINDS[one.kind]}, got {words[at]!r}"
                        f"{why_no_number(words[at])}"
                    )
                words[at] = number
        result.append(" ".join(words))
    return result
