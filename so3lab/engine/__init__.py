"""What computes energies and forces fast, for dynamics and relaxation.

``energy_model`` is what engines need of any model: an energy function, its parameters, a cutoff; with it go exact
forces. ``compressed_filters`` fits the fast form of a network's filters; ``fast_network`` is the network with them,
made of ``fast_layer`` and ``messages``, or of loops in C: ``kernels``, and ``native_long_range`` for far pairs.
``hessians`` has second derivatives of the network as it stands. ``forces`` computes structures that move:
``pair_lists`` keeps their pairs, ``biases`` adds restraints, pulls and walls.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
