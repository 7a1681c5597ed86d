"""What viewers draw of a model's attention: links and numbers per atom of the chosen layer and head."""

from collections.abc import Callable

import numpy as np
from ase import Atoms

from so3lab.attention import Channel, Inside, attention_links, attention_received, look_inside
from so3lab.potential.potential import Potential
from so3lab_widgets.viewer.links import Links

MOST_LINKS = 60


def links_of(inside: Inside, channel: Channel, most: int = MOST_LINKS) -> Links:
    """The strongest pairs of a channel as a viewer draws them, with words for its legend."""
    pairs, weights = attention_links(inside, channel, most)
    return Links(pairs, weights, *words_for(channel))


def words_for(channel: Channel) -> tuple[str, str]:
    """Label and definition of a channel's links."""
    return f"attention, {channel.words}", f"{channel.definition}; both directions summed"


def heard_words(channel: Channel) -> str:
    """Definition of how much atoms are heard in a channel."""
    return f"how much others listen to an atom: {channel.definition}, {channel.words}, summed over listeners"


class AttentionSource:
    """Links and colours of structures by a model's attention.

    Args:
        potential: The model.
        channel: Gives the layer and head that are chosen now.
        look: Asks the model.
    """

    def __init__(
        self,
        potential: Potential,
        channel: Callable[[], Channel],
        look: Callable[[Potential, Atoms], Inside] = look_inside,
    ):
        self._potential, self._channel, self._look = potential, channel, look
        self._last: tuple[Atoms, Inside] | None = None

    def links(self, atoms: Atoms) -> Links:
        """The strongest pairs of a structure."""
        return links_of(self._inside(atoms), self._channel())

    def received(self, atoms: Atoms) -> np.ndarray:
        """How much others listen to each atom."""
        return attention_received(self._inside(atoms), self._channel())

    def _inside(self, atoms: Atoms) -> Inside:
        """Links and colours of one structure are asked for one after the other: the model is asked once."""
        if self._last is None or self._last[0] is not atoms:
            self._last = atoms, self._look(self._potential, atoms)
        return self._last[1]
