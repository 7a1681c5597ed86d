"""Is this machine fit: versions, devices, a compiler that computes right, the notebook stack, free disk?

``checks`` holds one check for each, ``compiler`` the one that matters most, ``finding`` what a check says, and
``prepare`` makes a process fit before it computes.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
