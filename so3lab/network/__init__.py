"""SO3krates as the paper writes it.

``settings`` says what a network is; ``so3krates`` reads from top to bottom: embedding, layers, readout, energy terms.
The blocks of a layer are in ``dense``, what is read off the final features in ``readout``, the physical terms beside
the network in ``pairwise``, the weights at the start in ``initializers``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
