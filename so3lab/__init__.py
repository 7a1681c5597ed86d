"""so3lab: see a machine-learned force field work.

``so3lab.load(name_or_file)`` gives a :class:`Potential`; ``potential(atoms)`` its energy and forces;
``potential.calculator()`` an ASE calculator. Everything else lives in modules named after the question
they answer: :mod:`so3lab.datasets`, :mod:`so3lab.training`, :mod:`so3lab.dynamics`, ...
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ = sorted([*__all__, "__version__"])
