"""What computes energies and forces fast, for dynamics and relaxation.

``energy_model`` is what engines need of any model: an energy function, its parameters, a cutoff; with it go exact
forces. ``compressed_filters`` fits the fast form of a network's filters, ``kernels`` runs its loops in C on CPU,
``native_long_range`` those of far pairs. ``pair_lists`` keeps the pairs of atoms that move, ``biases`` adds restraints,
pulls and walls.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
