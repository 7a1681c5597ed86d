"""Relaxing structures to minima: hundreds at once, each until it has converged.

``relaxation`` holds the two functions that people call; ``batch`` steps structures side by side, each by its method:
``internal_bfgs`` for molecules, with ``coordinates`` (which), ``wilson`` (their values and derivatives), ``assembly``
(sparse products), ``model_hessian`` (how stiff) and ``updates`` (what is learnt); ``cartesian_lbfgs`` for the rest, and
``fire`` where nothing else works; ``steps`` has the rules that they share. ``freedom`` says what may move, ``changes``
whether it still is the same molecule, ``outcome`` what comes out.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
