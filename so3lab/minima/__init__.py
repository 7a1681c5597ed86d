"""All minima of a compound: where to look, which are the same, how many are still unseen, and where they are kept.

``search`` goes in rounds: ``proposals`` say where to look, ``so3lab.minimize`` relaxes, ``judging`` says what came out
(with ``identity``: is it a duplicate? and ``confirming``: is it a minimum?), ``accounts`` hold what is told of each
proposal and what the visits say about the unseen, ``database`` keeps the minima, ``gathering`` is what several searches
found together. ``torsions`` are the bonds that a molecule turns about, ``properties`` what a table says of minima,
``exporting`` is what goes to files, and ``comparing`` says why two are two. ``reference_check`` asks a reference method
about minima, ``agreement`` says whether it agrees.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
