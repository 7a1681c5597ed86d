"""What a trajectory says: pure functions of arrays that give numbers and tables.

Of structures: ``internal`` coordinates, ``bonding``, ``shape``, ``alignment`` on another one, their ``placement`` for
pictures, the ``backbone`` of peptides, ``hydrogen_bonding`` and ``pairs`` of atoms, by nearest images in cells
(``periodic``). Of time: ``diffusion``, ``spectra`` (``power``, ``infrared``), ``vibrations``, ``thermodynamics``, with
error bars by ``blocking``. ``checks`` refuses arrays that are none of these.

Units are ASE's (eV, Å, amu, Å per ASE time unit); times are in fs, and columns name theirs.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
