"""Does a molecule hold together in a model's dynamics, and does it move like its reference?

The protocol of "Forces are not enough" (Fu et al., TMLR 2023, section 4) as the SO3krates paper (Frank et al., Nat.
Commun. 15, 6539, 2024) uses it: several simulations at each temperature, each stable until a bond strays from its mean
length; how many survive, and how far their interatomic distances h(r) are from reference frames.

``study`` runs them, ``criterion`` says when a bond has strayed, ``accumulator`` keeps the numbers of every replica.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
