"""From labelled frames to a trained potential: settings, the loop, evaluation.

``settings`` says how, ``loop`` trains epoch by epoch, ``step`` is what is compiled, by ``muon`` unless another
optimizer is chosen, on the padded frames of ``batches``, of which several ``devices`` have a share each; ``checkpoint``
lets a run go on; ``recorded`` keeps one in a folder, made from what its ``plan`` says, and ``runs`` compares those that
were kept; ``evaluation`` compares with labels, and ``seen_frames`` tells which of them a model was trained on.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
