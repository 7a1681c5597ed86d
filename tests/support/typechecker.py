"""How annotations are checked in tests: beartype, where an integer may stand for a real number, as in Python."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
