"""Where a search looks: structures that may relax to minima that nobody has seen.

``proposer`` says what a proposer is; ``walkers`` go from minimum to minimum, by ``basin_hopping`` with
``torsion_moves`` that avoid ``clashes`` or with ``cluster_moves``, or by ``escapes`` (minima hopping).
``trajectories`` are the short dynamics of escapes and of snapshots (``dynamics``); ``given`` takes structures of users
and embeddings of a SMILES. ``choice`` says which of them suit a structure, by their ``names``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
