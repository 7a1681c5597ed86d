"""How many there are of something, in words: 1 minimum, 2 minima."""

_PLURALS = {"minimum": "minima", "search": "searches"}
"""Of words that do not simply take an s."""


def counted(number: int, noun: str) -> str:
    """A number with the word that belongs to it.

    Args:
        number: How many there are.
        noun: Word for one of them.
    """
    return f"{number:,} {noun if number == 1 else _PLURALS.get(noun, noun + 's')}"
