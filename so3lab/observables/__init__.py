"""What a trajectory says: pure functions of arrays that give numbers and tables.

Units are ASE's (eV, Å, amu, Å per ASE time unit); times are in fs, and columns name theirs.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
