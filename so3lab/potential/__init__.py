"""The hub: a trained force field as one immutable object that predicts, saves, loads and lends its energy function.

``potential`` is the object, ``model_file`` its one file, ``checks`` what structures a model can say nothing about,
``calculator`` the door from ASE.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
