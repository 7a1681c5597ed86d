"""Mathematics without molecules: functions with finite gradients everywhere, spherical harmonics, radial functions.

In ``safe``, ``spherical``, ``radial`` and ``matrices``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
