"""Relaxing structures to minima: hundreds at once, each until it has converged.

``relaxation`` holds the two functions that people call, ``ase_optimizer`` the same for any ASE calculator. ``waiting``
makes structures ready, ``batch`` steps them side by side, each by its method: ``internal_bfgs`` for molecules, with
``coordinates`` (which), ``wilson`` (their values and derivatives), ``assembly`` (sparse products) and ``model_hessian``
(how stiff); ``cartesian_lbfgs`` for the rest; ``fire`` where nothing else works. ``memory`` is what steps tell of a
Hessian, ``steps`` when one is good; ``evaluators`` compute the batch, with ``cells`` that are relaxed too. ``freedom``
says what may move, ``curvature`` whether it is a minimum, ``changes`` whether it still is the same molecule,
``outcome`` what comes out.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
