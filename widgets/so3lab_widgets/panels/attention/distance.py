"""How attention falls off with distance: a point for each ordered pair within the cutoff."""

import numpy as np

from so3lab_widgets.panels.attention.scatter import PairScatter
from so3lab_widgets.panels.attention.shown import Shown


class DistanceView(PairScatter):
    """Weight against distance."""

    def draw(self, shown: Shown) -> None:
        """Show these pairs; the heading says of which channel, since axes are too short for that."""
        pairs = np.argwhere(np.isfinite(shown.distances))
        listener, speaker = pairs.T
        which = f"ordered pairs within {shown.inside.settings.cutoff:g} Å"
        self.draw_points(
            pairs,
            shown.distances[listener, speaker],
            shown.matrix[listener, speaker],
            shown.names,
            titles=("distance (Å)", f"{'change of weight' if shown.other is not None else 'weight'} (no unit)"),
            heading=(shown.words, f"{shown.compared}; {which}" if shown.compared else which),
        )
