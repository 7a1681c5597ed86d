"""How the minima of a compound hang together: over which saddles, how high, how fast, and how often each is met.

``states`` and ``network`` are the landscape, ``database`` keeps it beside the minima, ``vibrations`` are the harmonic
modes and the symmetry of its states, ``thermodynamics`` what follows from them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
