"""Where trained networks of others come from: SO3LR's published weights, and files of mlff and so3krates-torch.

``loading`` opens a potential by name; ``lennard_jones`` needs no file. ``so3lr`` is what ``published`` identifies and
``download`` obtains. ``conversion`` makes ours of what ``checkpoints`` read: options by ``mlff``, ``mlff_v03`` and
``torch_port``, parameters by ``names``, out of a ``torch_archive`` or of ``arrays`` in an ``inert_pickle``, which runs
nothing.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
