"""so3lab_widgets: what people look at and click. It draws what it is given and computes no physics.

Also reachable as ``so3lab.widgets``.
"""

import sys

import lazy_loader

from so3lab.doctor.prepare import be_quiet

if "jax" not in sys.modules:
    be_quiet()

if "ipykernel" in sys.modules:  # a notebook's kernel keeps memory, as the commands do: twice the speed on CPU
    from so3lab.machine.memory import keep_memory

    keep_memory()

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
