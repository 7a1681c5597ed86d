"""Frames on disk: H5MD files that survive a kill, restart exactly, and read back as ASE atoms.

``layout`` says how a file is laid out and ``names`` what it is called; ``writer`` fills it (``files``: one process at a
time), ``reader`` reads it while it grows, through the one handle of ``source``; ``recovery`` mends what broke,
``identity`` says whether a file belongs to a structure, ``selection`` and ``exporting`` take atoms and frames out.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
