"""How many independent simulations run on many processes or machines, and survive the death of any worker.

``one_run`` is a simulation that can be sent elsewhere, ``supervisor`` gets a list of them done, and ``workers`` are
the processes and machines that do it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
