"""Frames of any origin, opened: what other programs wrote, lists of structures and data sets, like own trajectories.

``opening`` is the door and ``opened`` what stands behind it: the face of :class:`so3lab.trajectory.Trajectory`, with
numbers per frame (``columns``). Frames are read when they are looked at: from text files whose frames were counted
(``text_files``), from ASE's ``.traj``, or by MDAnalysis (``universe``); other formats are read at once by ASE.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
