"""Whether a network can see from one picked atom to another at all, by its layers and its cutoff, in a sentence."""

import html
from collections.abc import Sequence

import ipywidgets as ipw

from so3lab.attention import layers_between, pairs_that_see_both
from so3lab_widgets.panels.attention.shown import Shown


class ReachLine(ipw.HTML):
    """A sentence about the first and the last picked atom.

    Attributes:
        sentence: What it says, empty where fewer than two atoms are picked.
    """

    def __init__(self) -> None:
        self.sentence = ""
        super().__init__()

    def tell(self, shown: Shown, picked: Sequence[int]) -> None:
        """Say how far the two are apart for the network of what is shown."""
        inside = len(picked) > 1 and max(picked) < len(shown.atoms)
        self.sentence = _sentence(shown, picked[0], picked[-1]) if inside else ""
        self.value = f'<span role="status">{html.escape(self.sentence)}</span>' if inside else ""


def _sentence(shown: Shown, one: int, other: int) -> str:
    settings, names = shown.inside.settings, shown.names
    steps = int(layers_between(shown.atoms, settings.cutoff)[one, other])
    pair = f"{names[one]} and {names[other]}"
    network = f"{settings.num_layers} layers of {settings.cutoff:g} Å"
    if steps < 0 or steps > settings.num_layers:
        needed = "no number of layers would do" if steps < 0 else f"it would take {steps}"
        return f"Reach: features of {pair} never meet in {network} ({needed})."
    see_both = pairs_that_see_both(shown.atoms, [one], [other], settings.cutoff)
    heard = f"Reach: {pair} know of each other after {steps} layer{'s' if steps > 1 else ''} of {settings.num_layers}"
    if not len(see_both):
        return (
            f"{heard}; no two neighbours see both, so that a torsion between them about a straight chain is not seen."
        )
    seen = ", ".join(names[i] if i == j else f"{names[i]}–{names[j]}" for i, j in see_both[:3])
    more = f" and {len(see_both) - 3} more" if len(see_both) > 3 else ""
    return f"{heard}; neighbours that see both, and so a torsion between them: {seen}{more}."
