"""Mathematics without molecules: functions with finite gradients everywhere, spherical harmonics, radial functions.

In ``safe``, ``spherical`` and ``radial``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
