"""Weighted links between atoms, such as attention: what is drawn of them, and what their colours and widths mean."""

import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from so3lab_widgets.running.sender import LatestValueSender
from so3lab_widgets.viewer.traits import ViewerTraits


class Links(NamedTuple):
    """What is to be drawn, as :meth:`LinksMixin.link` takes it."""

    pairs: np.ndarray
    weights: np.ndarray
    label: str = "weight"
    definition: str = ""


NO_LINKS = Links(np.empty((0, 2), int), np.empty(0))


class LinksMixin(ViewerTraits):
    """A viewer's links; the widest one is the strongest that was drawn under the same label, so that widths mean the
    same over time."""

    _lock: threading.RLock
    _sender: LatestValueSender
    latest: dict[str, np.ndarray]
    linked: np.ndarray = NO_LINKS.pairs
    """Two atoms for each link, in the order of ``latest["links"]``."""

    @property
    def links_legend(self) -> dict[str, Any]:
        """What the links mean: ``label``, ``definition``, ``low`` and ``high``, the range of the weights, and ``most``,
        the size of the widest; empty without links."""
        return dict(self._links_legend)

    def link(
        self,
        pairs: Sequence[Sequence[int]] | np.ndarray,
        weights: Sequence[float] | np.ndarray,
        label: str = "weight",
        definition: str = "",
        *,
        threshold: float | None = None,
        of_picked: bool | None = None,
    ) -> None:
        """Draw weighted links between pairs of atoms, blue ones for positive and orange ones for negative weights; none
        at all removes them. A click on one picks its two atoms.

        Args:
            pairs: Two atoms per row.
            weights: Of any sign; the largest size is drawn thickest.
            label: What the weights are, with the unit where there is one, for the legend.
            definition: The same in more words.
            threshold: What ``link_threshold`` becomes, where given.
            of_picked: What ``links_of_picked`` becomes, where given.

        Raises:
            ValueError: If there is not a finite weight for each pair, or a pair names atoms that there are not.
        """
        pairs, weights = np.asarray(pairs, int).reshape(-1, 2), np.asarray(weights, float)
        if weights.shape != (len(pairs),) or not np.isfinite(weights).all():
            raise ValueError(f"weights must be {len(pairs)} finite numbers, one per pair, got {weights.tolist()}")
        atoms = 0 if self._atoms is None else len(self._atoms)
        if len(pairs) and not (pairs.min() >= 0 and pairs.max() < atoms):
            raise ValueError(f"pairs must name atoms 0 to {atoms - 1}, got {pairs.min()} to {pairs.max()}")
        if threshold is not None:
            self.link_threshold = threshold
        if of_picked is not None:
            self.links_of_picked = of_picked
        with self._lock:
            if not len(pairs):
                self._forget_links()
                self.latest.pop("links", None)
            else:
                self.linked, self.latest["links"] = pairs, weights
                legend = self._grown(label, definition, weights)
                if legend != self._links_legend:
                    self._links_legend = legend
        self._sender.put_if_empty(("again", None))  # a frame that waits brings the links along

    def _forget_links(self) -> None:
        self.linked = NO_LINKS.pairs
        self._links_legend = {}

    def _grown(self, label: str, definition: str, weights: np.ndarray) -> dict[str, Any]:
        """The legend with the range widened to these weights."""
        before = self._links_legend
        same = before.get("label") == label and before.get("definition") == definition
        low, high = (before["low"], before["high"]) if same else (0.0, 0.0)
        low, high = min(low, float(weights.min())), max(high, float(weights.max()))
        return {"label": label, "definition": definition, "low": low, "high": high, "most": max(-low, high)}
