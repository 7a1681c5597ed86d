"""Is this machine fit: versions, devices, a compiler that computes right, the notebook stack, room."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
