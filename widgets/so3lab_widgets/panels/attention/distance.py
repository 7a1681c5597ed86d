"""How attention falls off with distance: a point for each ordered pair within the cutoff."""

import numpy as np

from so3lab_widgets.panels.attention.scatter import PairScatter
from so3lab_widgets.panels.attention.shown import Shown


class DistanceView(PairScatter):
    """Weight against distance."""

    def draw(self, shown: Shown) -> None:
        """Show these pairs."""
        pairs = np.argwhere(np.isfinite(shown.distances))
        listener, speaker = pairs.T
        self.draw_points(
            pairs,
            shown.distances[listener, speaker],
            shown.matrix[listener, speaker],
            shown.names,
            titles=("distance (Å)", f"{shown.words} (no unit)"),
            heading=("Weight against distance", f"ordered pairs within {shown.inside.settings.cutoff:g} Å"),
        )
