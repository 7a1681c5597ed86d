"""SO3krates as the paper writes it.

``settings`` says what a network is; ``so3krates`` reads from top to bottom: embedding, layers, readout, energy terms.
``layer`` holds attention and exchange, made of the blocks in ``dense`` and ``messages``; ``readout`` what is read off
the final features; ``pairwise`` the physical terms beside the network; ``initializers`` the weights at the start.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
