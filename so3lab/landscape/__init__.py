"""How the minima of a compound hang together: over which saddles, how high, how fast, and how often each is met.

``exploring`` grows a landscape in rounds: from minima uphill with ``saddles``, whose ``starts`` lie along their modes,
or on ``paths`` between two of them (``bands`` are what comes of them; ``alignment`` of the ends, ``interpolation``,
forces by ``nudging``, steps by ``band_steps``, ``legs`` where one is divided at a minimum, ``straightening`` where it
went astray); ``sliding`` goes down both sides of a saddle, ``settling`` says which minima lie there. ``states`` and
``network`` are the landscape, ``database`` keeps it beside the minima, ``vibrations`` are the harmonic modes and the
symmetry of its states, ``thermodynamics`` what follows from them.

What is seen of it: ``disconnectivity`` is the tree of superbasins; ``fingerprints`` are numbers that a conformation has
whichever way it is turned and numbered, from which ``maps``, ``clusters`` and ``novelty`` (how far a minimum is from a
training set) are made; ``superposing`` lays structures upon each other.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
