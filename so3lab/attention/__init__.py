"""What happens inside a network while it looks at a structure, and what of that matters.

``look`` runs a network forwards once and keeps what it says of atoms and pairs; ``channels`` names a layer with one of
its heads or degrees, or sums over them. ``pairs`` makes matrices and links of it, ``table`` a tidy table, ``grouped``
sums by atoms, elements and fragments, ``compared`` means over frames, curves along them and differences, ``variables``
numbers per atom. Attention alone proves nothing: ``response`` and ``displaced`` say what follows when an atom moves.
``reach`` says what a network of some layers and a cutoff can see at all, and ``cumulenes`` is where that has an edge.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
