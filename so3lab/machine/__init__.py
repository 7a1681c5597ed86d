"""This computer: compiled programs, the C compiler, memory, folders, files, checksums. Knows nothing of molecules.

``compilation`` says how JAX compiles for us and keeps programs on disk, ``c_compiler`` makes the library of our loops,
``memory`` makes the C library keep what is freed, ``paths`` says where bundled data and the user's cache lie, ``files``
writes whole files or none, and ``checksum`` tells contents apart.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
