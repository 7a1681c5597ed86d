"""Which energies and forces does a reference method give? Labels from any ASE calculator.

``labelling`` is the loop, ``journal`` how its results survive kills, ``workers`` who computes, ``methods`` the levels
of theory known by name, ``sampling`` the structures to label, ``labelled_sets`` makes a set of structures that were
found, ``reference_sets`` tells how the bundled sets were made.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
