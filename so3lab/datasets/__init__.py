"""Which structures, energies and forces a model learns from, and how they get here.

``loading`` is the door: sets known by name (``sources``, ``download``) and files (``readers``, ``ase_readers``), with
what is found in them: ``label_names``, ``file_units``, ``numerals``, ``frame_electrons``, ``empty_boxes``. ``dataset``
is what they become, ``frames`` whether arrays make one up; ``label_checks`` and ``sanity_checks`` say whether their
numbers can be right, by ``consistency``, and ``contents`` what is in a set and what stands out. ``splits`` chooses what
is held out, ``joining`` makes one set of two, ``frame_hashes`` knows a frame again.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
