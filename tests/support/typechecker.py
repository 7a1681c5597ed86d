"""How annotations are checked in tests: shapes and types of arrays, by beartype. All else is for the static checker and
for the sentences with which functions refuse what people give them."""

from typing import Any, get_args

from beartype import BeartypeConf, beartype
from jaxtyping import AbstractArray

_check = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an integer may stand for a real number, as in Python


def is_about_arrays(hint: Any) -> bool:
    """Whether an annotation names the shape of an array, alone or within others."""
    if isinstance(hint, type) and issubclass(hint, AbstractArray):
        return True
    return any(is_about_arrays(part) for part in get_args(hint))


def check(function):
    """A function whose array annotations are checked when it is called."""
    if hints := getattr(function, "__annotations__", None):
        function.__annotations__ = {name: hint for name, hint in hints.items() if is_about_arrays(hint)}
    return _check(function)
