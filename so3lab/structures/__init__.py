"""Where a structure comes from, and the arrays that it becomes: who is within the cutoff of whom.

``reading`` takes files, names and SMILES; ``electrons`` says what charge and spin they have; ``neighbors`` finds pairs,
``bonds`` says which are bonded, ``constraints`` which atoms are held; ``symmetry`` which are equivalent, and
``superposition`` (along bonds) and ``assignment`` (without any) lay structures upon each other whatever the numbers of
such atoms (``rotations`` is the best one); ``graph`` holds the arrays that every energy is a function of.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
