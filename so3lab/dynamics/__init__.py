"""Molecular dynamics as generators of chunks, of one structure or of many, on disk when asked, with exact restart.

``runs`` holds the two generators. ``replicas`` advances structures by chunks through the ``propagator`` and its
``compiled_loop``, from ``initial_conditions``, with the ensembles of ``integrators``, the knobs of ``control`` and the
``limits`` at which a structure counts as blown up, ``freedom`` counting what carries heat; ``chunk`` is what comes out,
``simulation`` is one structure. ``recording`` writes it, ``live`` remembers it for a person who watches,
``replica_exchange`` swaps temperatures, ``throughput`` measures speed.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
