"""How many independent simulations run on many processes or machines, and survive the death of any worker."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
