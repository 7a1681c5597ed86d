"""Which rows of a table does somebody want to see? Words such as ``< 50`` below the name of a column."""

import re

import numpy as np
import pandas as pd

_NUMBER = r"[-+−]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_COMPARED = re.compile(rf"(<=|>=|!=|<|>|=|)\s*({_NUMBER})")
_BETWEEN = re.compile(rf"({_NUMBER})\s*\.\.\s*({_NUMBER})")


def matching(values: pd.Series, wanted: str) -> np.ndarray:
    """Which values fit; all must hold of several conditions with commas between them.

    Args:
        values: A column. Numbers are compared (``< 50``, ``>= 2``, ``!= 0``, ``3``, ``10..20``); of words it is asked
            whether they contain something (``hopping``), or not (``!hopping``), whatever the case of letters.
        wanted: The conditions; nothing fits all.

    Raises:
        ValueError: If a condition on numbers cannot be read.
    """
    fits = np.ones(len(values), bool)
    for condition in filter(None, (part.strip() for part in wanted.split(","))):
        if pd.api.types.is_numeric_dtype(values):
            fits &= _compared(values.to_numpy(float), condition)
        else:
            found = values.astype(str).str.contains(condition.removeprefix("!"), case=False, regex=False).to_numpy()
            fits &= ~found if condition.startswith("!") else found
    return fits


def _compared(numbers: np.ndarray, condition: str) -> np.ndarray:
    if between := _BETWEEN.fullmatch(condition):
        low, high = map(_number, between.groups())
        return (numbers >= low) & (numbers <= high)
    if not (compared := _COMPARED.fullmatch(condition)):
        raise ValueError(f"a filter of numbers must be such as < 50, >= 2, != 0 or 10..20, got {condition!r}")
    sign, value = compared[1], _number(compared[2])
    comparisons = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal, "!=": np.not_equal}
    with np.errstate(invalid="ignore"):
        return comparisons.get(sign, np.equal)(numbers, value)


def _number(text: str) -> float:
    return float(text.replace("−", "-"))
