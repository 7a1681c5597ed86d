"""Where trained networks of others come from: SO3LR's published weights, and files of mlff and so3krates-torch."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
