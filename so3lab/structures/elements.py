"""Which elements do what in a molecule."""

COVALENT = frozenset((1, 5, 6, 7, 8, 9, 14, 15, 16, 17, 32, 33, 34, 35, 52, 53))
"""Elements whose bonds have a direction; metals and ions change their neighbours as they like."""
